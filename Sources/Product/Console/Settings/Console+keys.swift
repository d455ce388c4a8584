// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The tenant's keys of other services: stored, validated, revoked, never shown.
extension Console {
    func registerKeys(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/settings/keys", forMembers { visit, person in await keysPage(visit, person) })
        router.on(.post, "/settings/keys", maxBodyBytes: bytes, forMembers(saveKey))
        router.on(.post, "/settings/keys/validate", maxBodyBytes: bytes, forMembers(validateKey))
        router.on(.post, "/settings/keys/revoke", maxBodyBytes: bytes, forMembers(revokeKey))
        router.on(.post, "/settings/keys/remove", maxBodyBytes: bytes, forMembers(removeKey))
    }

    /// The services that are offered by name; any other can be typed.
    static let knownServices: [(id: String, name: String)] = [
        ("openai", "OpenAI"), ("anthropic", "Anthropic"), ("perplexity", "Perplexity"),
        ("twitter_bearer", "Twitter bearer token"), ("twitter_api_key", "Twitter API key"),
        ("twitter_api_secret", "Twitter API secret"), ("twitter_access_token", "Twitter access token"),
        ("twitter_access_secret", "Twitter access secret"), ("twilio", "Twilio"), ("heygen", "HeyGen"),
        ("qdrant", "Qdrant"),
    ]

    static func serviceName(_ id: String) -> String { knownServices.first { $0.id == id }?.name ?? id }

    private func keysPage(_ visit: Visit, _ person: Person, _ outcome: Outcome? = nil) async -> HTTPResponse {
        let keys = await visit.call(.get, "/api/user/api-keys?all=true").body?["apiKeys"]?.arrayValue ?? []
        return settingsPage(visit, .keys, .keysText, status: outcome?.status ?? .ok) {
            Components.section("stored-keys", .storedKeys) {
                outcome.notice("stored")
                if keys.isEmpty {
                    Components.empty(.key, .noKeyYet, .noKeyYetText)
                } else {
                    Components.table(
                        .storedKeys, [.service, .status, .since, .lastUsed, .action],
                        rows: keys.map { keyRow(visit, $0) })
                }
            }
            Components.section("new-key", .addKey) {
                outcome.notice("new")
                Markup(.form, .method("post"), .action("/settings/keys")) {
                    Form.token(visit.formToken)
                    keyFields(outcome.state("new"))
                    Form.button(.storeKey)
                }
            }
        }
    }

    /// Service and key; the set-up asks with the same.
    func keyFields(_ state: Form.State) -> Markup {
        Markup(.div) {
            Form.select(
                "service_name", .service,
                options: Self.knownServices.map { ($0.id, .words($0.name)) } + [("", .of(.otherService))],
                state: state)
            Form.field(
                "other_service", .otherServiceName,
                Form.Input(isRequired: false, maxLength: 64, pattern: "[a-z0-9][a-z0-9_.\\-]*"), state: state,
                hint: .of(.otherServiceHint))
            Form.field(
                "api_key", .key, Form.Input(type: "password", maxLength: 8192), state: state, hint: .of(.keyHint))
        }
    }

    /// Which service a form with ``keyFields(_:)`` names.
    static func service(in form: FormFields) -> String {
        let other = form.first("other_service") ?? ""
        let chosen = form.first("service_name") ?? ""
        return chosen.isEmpty ? other : chosen
    }

    private func keyRow(_ visit: Visit, _ key: JSON) -> [Markup] {
        let service = key["service_name"]?.stringValue ?? ""
        let name = Self.serviceName(service)
        let isActive = key["is_active"]?.boolValue ?? true
        let validity = key["validation"]?.stringValue
        let status: Markup =
            switch (isActive, validity) {
            case (false, _): Components.badge(.revoked)
            case (_, "valid"): Components.badge(.valid, "good")
            case (_, "invalid"): Components.badge(.invalid, "bad")
            default: Components.badge(.stored)
            }
        return [
            Markup(.span) {
                Markup(.strong, data: name)
                if name != service {
                    Markup.data(" ")
                    Components.code(service)
                }
            },
            status, Components.moment(key["created_at"]?.stringValue),
            Components.moment(key["last_used_at"]?.stringValue),
            Markup(.div, .class("actions")) {
                if isActive {
                    Form.action(
                        "/settings/keys/validate", .validate, token: visit.formToken, about: name,
                        ("service_name", service))
                    Form.action(
                        "/settings/keys/revoke", .revoke, token: visit.formToken, about: name,
                        ("service_name", service))
                }
                Form.action(
                    "/settings/keys/remove", .remove, token: visit.formToken, about: name, asks: .askRemove,
                    ("service_name", service))
            },
        ]
    }

    private func saveKey(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let service = Self.service(in: form)
        let answer = await visit.call(
            .post, "/api/user/api-keys",
            ["service_name": .string(service), "api_key": .string(form.first("api_key") ?? "")])
        guard answer.isSuccess else {
            let isName = service.isEmpty || !Self.knownServices.contains { $0.id == service }
            return await keysPage(
                visit, person,
                Outcome(
                    "new", answer, field: isName ? "other_service" : "api_key",
                    values: [
                        "service_name": form.first("service_name") ?? "",
                        "other_service": form.first("other_service") ?? "",
                    ]))
        }
        return PageResponse.redirect(SettingsSection.keys.path(done: .keyStored))
    }

    private func validateKey(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let service = Self.segment(form.first("service_name") ?? "")
        let answer = await visit.call(.post, "/api/user/api-keys/\(service)/validate", [:])
        guard answer.isSuccess else { return await keysPage(visit, person, Outcome("stored", answer)) }
        switch answer.body?["valid"]?.boolValue {
        case true?: return PageResponse.redirect(SettingsSection.keys.path(done: .keyIsValid))
        case false?:
            return await keysPage(visit, person, Outcome("stored", Form.State(problem: .of(.keyIsInvalid))))
        case nil: return PageResponse.redirect(SettingsSection.keys.path(done: .keyNotChecked))
        }
    }

    private func revokeKey(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let service = Self.segment(form.first("service_name") ?? "")
        let answer = await visit.call(.post, "/api/user/api-keys/\(service)/revoke", [:])
        guard answer.isSuccess else { return await keysPage(visit, person, Outcome("stored", answer)) }
        return PageResponse.redirect(SettingsSection.keys.path(done: .keyRevoked))
    }

    private func removeKey(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let answer = await visit.call(
            .delete, "/api/user/api-keys", ["service_name": .string(form.first("service_name") ?? "")])
        guard answer.isSuccess else { return await keysPage(visit, person, Outcome("stored", answer)) }
        return PageResponse.redirect(SettingsSection.keys.path(done: .keyRemoved))
    }
}
