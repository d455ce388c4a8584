// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Signing in by a passkey: the browser offers those it has, and the key itself says whose it is.
extension Console {
    func registerPasskeySignIn(on router: inout Router) {
        guard methods.passkeys else { return }
        router.on(.post, "/auth/passkey/options", maxBodyBytes: Self.maxFormBytes, open(passkeyOptions))
        router.on(.post, "/auth/passkey", maxBodyBytes: Self.maxFormBytes, open(signInByPasskey))
    }

    /// What stands below the form for password on the sign-in page.
    @MarkupBuilder func passkeyChoice(_ visit: Visit, next: String) -> Markup {
        if methods.passkeys {
            KeyCeremony.form(
                "/auth/passkey", options: "/auth/passkey/options", token: visit.formToken, class: "or"
            ) {
                Form.hidden("next", next)
                Markup(.p, .class("divider")) { Markup(.span, text: .or) }
                Markup(.button, .type("submit"), .class("quiet")) {
                    Icon.key.markup
                    Markup.data(" ")
                    Markup.text(.usePasskey)
                }
            }
        }
    }

    private func passkeyOptions(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let answer = await visit.call(.post, "/auth/v1/passkeys/authentication/options", proven([:], by: form))
        guard answer.isSuccess, let challenge = answer.body?["challenge_id"]?.stringValue,
            let options = answer.body?["options"]
        else { return KeyCeremony.refusal(answer, in: visit.language) }
        return KeyCeremony.options(.get, options, challenge: challenge)
    }

    private func signInByPasskey(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let answer = await visit.call(
            .post, "/auth/v1/passkeys/authentication/verify",
            [
                "challenge_id": .string(form.first(KeyCeremony.challengeField) ?? ""),
                "credential": KeyCeremony.answer(in: form),
            ])
        return signedIn(&visit, answer, next: form.first("next"))
            ?? signInPage(
                visit, Form.State(problem: answer.phrase), next: form.first("next"), status: answer.pageStatus)
    }
}
