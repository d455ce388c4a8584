// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Passkeys: keys of phones, computers and password managers that sign in without a password.
extension Console {
    func registerPasskeys(on router: inout Router) {
        guard methods.passkeys else { return }
        let bytes = Self.maxFormBytes
        router.on(.post, "/settings/passkeys/options", maxBodyBytes: bytes, forMembers(newPasskeyOptions))
        router.on(.post, "/settings/passkeys", maxBodyBytes: bytes, forMembers(addPasskey))
        router.on(.post, "/settings/passkeys/rename", maxBodyBytes: bytes, forMembers(renamePasskey))
        router.on(.post, "/settings/passkeys/remove", maxBodyBytes: bytes, forMembers(removePasskey))
    }

    func passkeys(_ visit: Visit) async -> [JSON] {
        guard methods.passkeys else { return [] }
        return await visit.call(.get, "/auth/v1/passkeys").body?.arrayValue ?? []
    }

    @MarkupBuilder func passkeySection(_ visit: Visit, _ passkeys: [JSON], _ outcome: Outcome?) -> Markup {
        if methods.passkeys {
            Components.section("passkeys", .passkeys, .of(.passkeysText)) {
                outcome.notice("passkeys")
                if passkeys.isEmpty {
                    Components.empty(.key, .noPasskey, .noPasskeyText)
                } else {
                    Components.table(
                        .passkeys, [.name, .since, .lastUsed, .action], rows: passkeys.map { passkeyRow(visit, $0) })
                }
                KeyCeremony.form(
                    "/settings/passkeys", options: "/settings/passkeys/options", token: visit.formToken
                ) {
                    Markup(.div, .class("row-form")) {
                        Form.field(
                            "passkey_name", .passkeyName,
                            Form.Input(isRequired: false, maxLength: 120, placeholder: .of(.passkeyNameExample)),
                            state: outcome.state("passkeys"))
                        Form.button(.addPasskey)
                    }
                }
            }
        }
    }

    private func passkeyRow(_ visit: Visit, _ passkey: JSON) -> [Markup] {
        let id = passkey["id"]?.stringValue ?? ""
        let name = passkey["friendly_name"]?.stringValue ?? ""
        return [
            Markup(.form, .method("post"), .action("/settings/passkeys/rename"), .class("inline")) {
                Form.token(visit.formToken)
                Form.hidden("passkey", id)
                Markup(
                    .input, .name("passkey_name"), .value(name), .required(), .maxlength(120), .class("small"),
                    .autocomplete("off"), .label(.nameOf, name))
                Markup(.button, .type("submit"), .class("quiet")) {
                    Markup.text(.rename)
                    Markup(.span, .class("unseen"), data: " \(name)")
                }
            },
            Components.moment(passkey["created_at"]?.stringValue),
            Components.moment(passkey["last_used_at"]?.stringValue),
            Form.action(
                "/settings/passkeys/remove", .remove, token: visit.formToken, about: name, asks: .askRemove,
                ("passkey", id)),
        ]
    }

    private func newPasskeyOptions(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        _ = try await visit.form(ofTenant: false)
        let answer = await visit.call(.post, "/auth/v1/passkeys/registration/options", [:])
        guard answer.isSuccess, let challenge = answer.body?["challenge_id"]?.stringValue,
            let options = answer.body?["options"]
        else { return KeyCeremony.refusal(answer, in: visit.language) }
        return KeyCeremony.options(.create, options, challenge: challenge)
    }

    private func addPasskey(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let answer = await visit.call(
            .post, "/auth/v1/passkeys/registration/verify",
            [
                "challenge_id": .string(form.first(KeyCeremony.challengeField) ?? ""),
                "credential": KeyCeremony.answer(in: form),
            ])
        guard answer.isSuccess, let id = answer.body?["id"]?.stringValue else {
            return await securityPage(visit, person, Outcome("passkeys", answer))
        }
        // A key without a name is called after the browser it was made in.
        let typed = form.first("passkey_name") ?? ""
        let name =
            typed.isEmpty
            ? UserAgent(visit.request.headers["user-agent"] ?? "").phrase.text(in: visit.language) : typed
        let named = await rename(id, name, visit)
        guard named.isSuccess else { return await securityPage(visit, person, Outcome("passkeys", named)) }
        return PageResponse.redirect(SettingsSection.security.path(done: .passkeyAdded))
    }

    private func rename(_ id: String, _ name: String, _ visit: Visit) async -> ConsoleAPI.Answer {
        await visit.call(.patch, "/auth/v1/passkeys/\(Self.segment(id))", ["friendly_name": .string(name)])
    }

    private func renamePasskey(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let answer = await rename(form.first("passkey") ?? "", form.first("passkey_name") ?? "", visit)
        guard answer.isSuccess else { return await securityPage(visit, person, Outcome("passkeys", answer)) }
        return PageResponse.redirect(SettingsSection.security.path(done: .passkeyRenamed))
    }

    private func removePasskey(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let answer = await visit.call(.delete, "/auth/v1/passkeys/\(Self.segment(form.first("passkey") ?? ""))")
        guard answer.isSuccess else { return await securityPage(visit, person, Outcome("passkeys", answer)) }
        return PageResponse.redirect(SettingsSection.security.path(done: .passkeyRemoved))
    }
}
