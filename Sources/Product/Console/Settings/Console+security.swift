// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Password and sessions; passkeys and second factors stand on the same page.
extension Console {
    func registerSecurity(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/settings/security", forMembers { visit, person in await securityPage(visit, person) })
        router.on(.post, "/settings/password", maxBodyBytes: bytes, forMembers(savePassword))
        router.on(.post, "/settings/password/code", maxBodyBytes: bytes, forMembers(sendCode))
        registerFactors(on: &router)
        registerPasskeys(on: &router)
        router.on(.post, "/settings/sessions/end", maxBodyBytes: bytes, forMembers(endSession))
        router.on(.post, "/settings/sessions/end-others", maxBodyBytes: bytes, forMembers(endOtherSessions))
    }

    func securityPage(_ visit: Visit, _ person: Person, _ outcome: Outcome? = nil) async -> HTTPResponse {
        async let sessionAnswer = visit.call(.get, "/auth/v1/user/sessions")
        async let passkeys = passkeys(visit)
        let (sessions, keys) = await (sessionAnswer.body?["sessions"]?.arrayValue ?? [], passkeys)
        return settingsPage(visit, .security, .securityText, status: outcome?.status ?? .ok) {
            passwordSection(visit, outcome)
            passkeySection(visit, keys, outcome)
            factorSection(visit, person, outcome)
            sessionSection(visit, sessions, outcome)
        }
    }

    // MARK: Password

    private func passwordSection(_ visit: Visit, _ outcome: Outcome?) -> Markup {
        let state = outcome.state("password")
        return Components.section("password-section", .password, .of(.passwordText)) {
            outcome.notice("password")
            Markup(.form, .method("post"), .action("/settings/password")) {
                Form.token(visit.formToken)
                Form.field("current_password", .currentPassword, .currentPassword, state: state)
                Form.field(
                    "password", .newPassword, .newPassword(minPasswordLength), state: state, hint: passwordHint)
                if state.values["asks_for_code"] != nil {
                    Form.field("nonce", .mailedCode, .code, state: state, hint: .of(.mailedCodeHint))
                }
                Form.button(.changePassword)
            }
            if state.values["asks_for_code"] != nil {
                Form.action("/settings/password/code", .sendCodeAgain, token: visit.formToken)
            }
        }
    }

    private func savePassword(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        var body: JSONObject = [
            "password": .string(form.first("password") ?? ""),
            "current_password": .string(form.first("current_password") ?? ""),
        ]
        if let code = form.first("nonce"), !code.isEmpty { body["nonce"] = .string(code.filter { $0 != " " }) }
        let answer = await visit.call(.put, "/auth/v1/user", .object(body))
        if answer.isSuccess {
            return PageResponse.redirect(SettingsSection.security.path(done: .passwordChanged))
        }
        switch answer.code {
        case "current_password_invalid", "current_password_required":
            return await securityPage(visit, person, Outcome("password", answer, field: "current_password"))
        case "reauthentication_needed":
            _ = await visit.call(.get, "/auth/v1/reauthenticate")
            return await securityPage(visit, person, Outcome("password", Self.askingForCode(.of(.codeSent))))
        case "reauthentication_not_valid":
            var outcome = Outcome("password", answer, field: "nonce")
            outcome.state.values["asks_for_code"] = "yes"
            return await securityPage(visit, person, outcome)
        default: return await securityPage(visit, person, Outcome("password", answer, field: "password"))
        }
    }

    private static func askingForCode(_ problem: Phrase) -> Form.State {
        Form.State(values: ["asks_for_code": "yes"], problem: problem)
    }

    private func sendCode(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        _ = try await visit.form(ofTenant: false)
        let answer = await visit.call(.get, "/auth/v1/reauthenticate")
        return await securityPage(
            visit, person,
            Outcome("password", Self.askingForCode(answer.isSuccess ? .of(.codeSent) : answer.phrase)))
    }

    // MARK: Sessions

    private func sessionSection(_ visit: Visit, _ sessions: [JSON], _ outcome: Outcome?) -> Markup {
        Components.section("sessions", .sessions, .of(.sessionsText)) {
            outcome.notice("sessions")
            if !sessions.isEmpty {
                Components.table(
                    .sessions, [.device, .address, .lastUsed, .action],
                    rows: sessions.map { session in sessionRow(visit, session) })
            }
            if sessions.count > 1 {
                Markup(.form, .method("post"), .action("/settings/sessions/end-others")) {
                    Form.token(visit.formToken)
                    Form.button(.signOutOthers, "danger")
                }
            }
        }
    }

    private func sessionRow(_ visit: Visit, _ session: JSON) -> [Markup] {
        let id = session["id"]?.stringValue ?? ""
        let agent = UserAgent(session["user_agent"]?.stringValue ?? "")
        return [
            Markup(.span) {
                Markup.text(agent.phrase)
                if session["aal"]?.stringValue == "aal2" {
                    Markup.data(" ")
                    Components.badge(.twoFactors, "good")
                }
            },
            .data(session["ip"]?.stringValue ?? "–"),
            Components.moment(session["last_used_at"]?.stringValue),
            id == visit.session?.id
                ? Components.badge(.thisSession, "good")
                : Form.action("/settings/sessions/end", .endSession, token: visit.formToken, ("session", id)),
        ]
    }

    private func endSession(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let answer = await visit.call(.delete, "/auth/v1/user/sessions/\(Self.segment(form.first("session") ?? ""))")
        guard answer.isSuccess else { return await securityPage(visit, person, Outcome("sessions", answer)) }
        return PageResponse.redirect(SettingsSection.security.path(done: .sessionEnded))
    }

    private func endOtherSessions(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        _ = try await visit.form(ofTenant: false)
        let answer = await visit.call(.post, "/auth/v1/logout?scope=others")
        guard answer.isSuccess else { return await securityPage(visit, person, Outcome("sessions", answer)) }
        return PageResponse.redirect(SettingsSection.security.path(done: .othersSignedOut))
    }
}

/// What a `User-Agent` field says, as people would: the browser and the system, as far as they are known.
struct UserAgent: Sendable {
    let phrase: Phrase

    init(_ field: String) {
        // The first name that stands in the field: browsers name those they descend from as well.
        let browser = [
            ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
            ("curl/", "curl"), ("python", "Python"), ("supabase", "Supabase"),
        ].first { field.contains($0.0) }?.1
        let system = [
            ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
            ("Mac OS", "macOS"), ("Linux", "Linux"),
        ].first { field.contains($0.0) }?.1
        switch (browser, system) {
        case (let browser?, let system?): phrase = .of(.browserOnSystem, browser, system)
        case (let browser?, nil): phrase = .words(browser)
        case (nil, _): phrase = field.isEmpty ? .of(.unknownDevice) : .words(String(field.prefix(40)))
        }
    }
}
