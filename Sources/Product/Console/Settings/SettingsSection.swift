// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// The pages of the settings.
enum SettingsSection: CaseIterable, Sendable {
    case profile, security, keys, members, team, account

    var path: String {
        switch self {
        case .profile: "/settings"
        case .security: "/settings/security"
        case .keys: "/settings/keys"
        case .members: "/settings/members"
        case .team: "/settings/team"
        case .account: "/settings/account"
        }
    }

    var title: Message {
        switch self {
        case .profile: .profile
        case .security: .security
        case .keys: .apiKeys
        case .members: .members
        case .team: .team
        case .account: .account
        }
    }

    var icon: Icon {
        switch self {
        case .profile: .person
        case .security: .shield
        case .keys: .key
        case .members: .people
        case .team: .building
        case .account: .warning
        }
    }

    /// The address of the page, once something was done there.
    func path(done: Message) -> String { "\(path)?done=\(done)" }
}

extension Console {
    func registerSettings(on router: inout Router) {
        registerProfile(on: &router)
        registerSecurity(on: &router)
        registerKeys(on: &router)
        registerMembers(on: &router)
        registerTeam(on: &router)
        registerAccount(on: &router)
    }

    /// A page of the settings.
    func settingsPage(
        _ visit: Visit, _ section: SettingsSection, _ lead: Message, status: HTTPStatus = .ok,
        @MarkupBuilder content: () -> Markup
    ) -> HTTPResponse {
        visit.page(section.title, .settings(section), status: status) {
            Components.heading(.of(section.title), .of(lead))
            visit.notice
            content()
        }
    }

    /// How a form of a page that has several went, when it did not go well.
    struct Outcome {
        /// Which of the page's forms.
        let form: String
        var state: Form.State
        var status: HTTPStatus

        init(_ form: String, _ answer: ConsoleAPI.Answer, field: String? = nil, values: [String: String] = [:]) {
            self.form = form
            state = Form.State(values: values)
            status = answer.pageStatus
            if let field { state.errors[field] = answer.phrase } else { state.problem = answer.phrase }
        }

        init(_ form: String, _ state: Form.State) {
            self.form = form
            self.state = state
            status = .unprocessableContent
        }
    }
}

extension Console.Outcome? {
    func state(_ form: String) -> Form.State { self?.form == form ? self?.state ?? .empty : .empty }

    /// What is wrong with a form as a whole.
    func notice(_ form: String) -> Markup {
        guard let problem = state(form).problem else { return .nothing }
        return Components.notice(problem, isGood: false)
    }
}
