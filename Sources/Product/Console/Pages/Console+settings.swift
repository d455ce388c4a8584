// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Profile, password, keys of other services, and the ways out.
extension Console {
    func registerSettings(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/settings", forMembers { visit in await settings(visit) })
        router.on(.post, "/settings/profile", maxBodyBytes: bytes, forMembers(saveProfile))
        router.on(.post, "/settings/password", maxBodyBytes: bytes, forMembers(savePassword))
        router.on(.post, "/settings/keys", maxBodyBytes: bytes, forMembers(saveKey))
        router.on(.post, "/settings/keys/remove", maxBodyBytes: bytes, forMembers(removeKey))
        router.on(.post, "/settings/sessions/end", maxBodyBytes: bytes, forMembers(endSessions))
    }

    /// Which of the page's forms was sent, and how it went.
    private struct Outcome {
        enum Part: String {
            case profile, password, keys, sessions
        }
        var part: Part
        var state = Form.State.empty
        /// What was done.
        var success: String?
    }

    private static let services = [
        "openai", "anthropic", "perplexity", "twitter_bearer", "twitter_api_key", "twitter_api_secret",
        "twitter_access_token", "twitter_access_secret", "twilio", "heygen", "qdrant",
    ]

    private func settings(_ visit: Visit, _ outcome: Outcome? = nil, status: HTTPStatus = .ok) async -> HTTPResponse {
        let profile = await visit.call(.get, "/api/user/profile").body?["profile"]
        let user = await visit.call(.get, "/auth/v1/user").body
        let keys = await visit.call(.get, "/api/user/api-keys").body?["apiKeys"]?.arrayValue ?? []
        let layout = Layout(
            title: "Settings", visitor: Self.visitor(user, profile), path: "/settings", formToken: visit.formToken)
        func state(_ part: Outcome.Part) -> Form.State { outcome?.part == part ? outcome?.state ?? .empty : .empty }
        func notice(_ part: Outcome.Part) -> Markup {
            guard outcome?.part == part else { return .nothing }
            if let success = outcome?.success { return Layout.notice(success, isGood: true) }
            if let problem = outcome?.state.notice { return Layout.notice(problem, isGood: false) }
            return .nothing
        }
        var person = state(.profile)
        for name in ["full_name", "company_name"] where person.values[name] == nil {
            person.values[name] = profile?[name]?.stringValue ?? ""
        }
        return PageResponse.html(
            layout.page {
                Markup(.h1) { "Settings" }
                Layout.section("profile", "Profile") {
                    notice(.profile)
                    Markup(.form, .method("post"), .action("/settings/profile")) {
                        Form.token(visit.formToken)
                        Form.field(
                            "full_name", "Name", state: person, autocomplete: "name", isRequired: false, maxLength: 200)
                        Form.field(
                            "company_name", "Company", state: person, autocomplete: "organization", isRequired: false,
                            maxLength: 200)
                        Form.button("Save profile")
                    }
                }
                Layout.section("keys", "API keys") {
                    notice(.keys)
                    keyTable(keys, visit)
                    Markup(.form, .method("post"), .action("/settings/keys")) {
                        Form.token(visit.formToken)
                        Form.select(
                            "service_name", "Service", options: Self.services.map { ($0, $0) }, state: state(.keys))
                        Form.field(
                            "api_key", "Key", type: "password", state: state(.keys),
                            hint: "Sealed for your tenant. It is never shown again.", maxLength: 8192)
                        Form.button("Store key")
                    }
                }
                Layout.section("password-change", "Password") {
                    notice(.password)
                    Markup(.form, .method("post"), .action("/settings/password")) {
                        Form.token(visit.formToken)
                        Form.field(
                            "password", "New password", type: "password", state: state(.password),
                            hint: "At least \(minPasswordLength) characters.", autocomplete: "new-password",
                            minLength: minPasswordLength, maxLength: 72)
                        Form.button("Change password")
                    }
                }
                Layout.section("sessions", "Sessions") {
                    notice(.sessions)
                    Markup(.p) { "Signs out every other browser and device that is signed in to this account." }
                    Markup(.form, .method("post"), .action("/settings/sessions/end")) {
                        Form.token(visit.formToken)
                        Form.button("Sign out the others", "danger")
                    }
                }
            }, status: status)
    }

    private func keyTable(_ keys: [JSON], _ visit: Visit) -> Markup {
        guard !keys.isEmpty else {
            return Markup(.p, .class("empty")) { "No key yet." }
        }
        return Markup(.table) {
            Markup(.thead) {
                Markup(.tr) {
                    Markup(.th, .scope("col")) { "Service" }
                    Markup(.th, .scope("col")) { "Since" }
                    Markup(.th, .scope("col")) { "" }
                }
            }
            Markup(.tbody) {
                for key in keys {
                    let service = key["service_name"]?.stringValue ?? ""
                    let since = key["created_at"]?.stringValue ?? ""
                    Markup(.tr) {
                        Markup(.td) { Markup(.code) { service } }
                        Markup(.td) { Markup(.time, .datetime(since)) { String(since.prefix(10)) } }
                        Markup(.td) {
                            Markup(.form, .method("post"), .action("/settings/keys/remove")) {
                                Form.token(visit.formToken)
                                Markup(.input, .type("hidden"), .name("service_name"), .value(service))
                                Markup(.button, .type("submit"), .class("quiet"), .aria("label", "Remove \(service)")) {
                                    "Remove"
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    // MARK: Forms

    private func answer(
        _ visit: Visit, _ part: Outcome.Part, _ answer: ConsoleAPI.Answer, done: String, field: String? = nil,
        values: [String: String] = [:]
    ) async -> HTTPResponse {
        if answer.isSuccess { return await settings(visit, Outcome(part: part, success: done)) }
        var state = Form.State(values: values)
        if let field { state.errors[field] = answer.message } else { state.notice = answer.message }
        return await settings(
            visit, Outcome(part: part, state: state), status: HTTPStatus(code: answer.status))
    }

    private func saveProfile(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        var body: JSONObject = [:]
        for name in ["full_name", "company_name"] { body[name] = .string(form.first(name) ?? "") }
        let saved = await visit.call(.patch, "/api/user/profile", .object(body))
        return await answer(
            visit, .profile, saved, done: "Profile saved.",
            values: ["full_name": form.first("full_name") ?? "", "company_name": form.first("company_name") ?? ""])
    }

    private func savePassword(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let saved = await visit.call(.put, "/auth/v1/user", ["password": .string(form.first("password") ?? "")])
        return await answer(visit, .password, saved, done: "Password changed.", field: "password")
    }

    private func saveKey(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let service = form.first("service_name") ?? ""
        let saved = await visit.call(
            .post, "/api/user/api-keys",
            ["service_name": .string(service), "api_key": .string(form.first("api_key") ?? "")])
        return await answer(
            visit, .keys, saved, done: "The key of \(service) is stored.", field: "api_key",
            values: ["service_name": service])
    }

    private func removeKey(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let service = form.first("service_name") ?? ""
        let removed = await visit.call(.delete, "/api/user/api-keys", ["service_name": .string(service)])
        return await answer(visit, .keys, removed, done: "The key of \(service) is removed.")
    }

    private func endSessions(_ visit: inout Visit) async throws -> HTTPResponse {
        _ = try await forms.form(of: visit.request)
        let ended = await visit.call(.post, "/auth/v1/logout?scope=others")
        return await answer(visit, .sessions, ended, done: "The others are signed out.")
    }
}
