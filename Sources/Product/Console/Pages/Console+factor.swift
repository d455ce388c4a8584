// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The second factor at sign-in: a code of an app or by phone, or a security key, raises the session.
extension Console {
    func registerFactorChallenge(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/auth/mfa", open(factorPage))
        router.on(.post, "/auth/mfa", maxBodyBytes: bytes, open(proveFactor))
        router.on(.post, "/auth/mfa/send", maxBodyBytes: bytes, open(sendFactorCode))
        router.on(.post, "/auth/mfa/key/options", maxBodyBytes: bytes, open(keyOptions))
        router.on(.post, "/auth/mfa/key", maxBodyBytes: bytes, open(proveKey))
    }

    private func factorPage(_ visit: inout Visit) async throws -> HTTPResponse {
        let next = Self.destination(visit.query.first("next"))
        guard let person = try await person(&visit) else { return Self.signInFirst(next) }
        guard person.hasVerifiedFactor, visit.session?.isSecondLevel == false else {
            return PageResponse.redirect(next)
        }
        return challengePage(
            visit, person, Challenge(visit.query, of: person), next: next)
    }

    private static func signInFirst(_ next: String) -> HTTPResponse {
        PageResponse.redirect("/auth/signin?next=\(encoded(next))")
    }

    /// What one is asked for.
    private struct Challenge {
        let factor: Person.Factor?
        /// Of a code that was sent.
        let id: String

        /// The factor that the fields name, or the one that is least work.
        init(_ fields: FormFields, of person: Person) {
            let factors = person.factors.filter(\.isVerified)
            factor =
                factors.first { $0.id == fields.first(KeyCeremony.factorField) }
                ?? factors.first { $0.kind == .securityKey } ?? factors.first { $0.kind == .app } ?? factors.first
            id = fields.first(KeyCeremony.challengeField) ?? ""
        }
    }

    private func challengePage(
        _ visit: Visit, _ person: Person, _ challenge: Challenge, next: String, _ state: Form.State = .empty,
        status: HTTPStatus = .ok
    ) -> HTTPResponse {
        // The navigation leads to pages that are not open yet.
        var visit = visit
        visit.signedIn = nil
        let kind = challenge.factor?.kind ?? .app
        let lead: Message =
            switch kind {
            case .app: .secondFactorText
            case .securityKey: .securityKeyText
            case .phone: .phoneCodeText
            }
        return visit.page(.secondFactor, .narrow, status: status) {
            Components.heading(.of(.secondFactor), .message(lead, [challenge.factor?.lastDigits ?? ""]))
            if let problem = state.problem { Components.notice(problem, isGood: false) }
            if let factor = challenge.factor {
                switch factor.kind {
                case .app: codeForm(visit, factor, next: next, state, hint: .codeHint)
                case .phone: phoneForm(visit, factor, challenge: challenge.id, next: next, state)
                case .securityKey:
                    KeyCeremony.form(
                        "/auth/mfa/key", options: "/auth/mfa/key/options", token: visit.formToken, class: "card",
                        factor: factor.id
                    ) {
                        Form.hidden("next", next)
                        Form.button(.useSecurityKey)
                    }
                }
            }
            otherFactors(person, but: challenge.factor, next: next)
            Markup(.form, .method("post"), .action("/auth/signout"), .class("centred")) {
                Form.token(visit.formToken)
                Markup(.button, .type("submit"), .class("link"), text: .signOut)
            }
        }
    }

    private func codeForm(
        _ visit: Visit, _ factor: Person.Factor, challenge: String = "", next: String, _ state: Form.State,
        hint: Message
    ) -> Markup {
        Markup(.form, .method("post"), .action("/auth/mfa"), .class("card")) {
            Form.token(visit.formToken)
            Form.hidden("next", next)
            Form.hidden(KeyCeremony.factorField, factor.id)
            Form.hidden(KeyCeremony.challengeField, challenge)
            Form.field("code", .code, .code, state: state, hint: .of(hint))
            Form.button(.verify)
        }
    }

    /// Sends the code first, then asks for it.
    @MarkupBuilder private func phoneForm(
        _ visit: Visit, _ factor: Person.Factor, challenge: String, next: String, _ state: Form.State
    ) -> Markup {
        if !challenge.isEmpty {
            codeForm(visit, factor, challenge: challenge, next: next, state, hint: .phoneCodeHint)
        }
        Markup(.form, .method("post"), .action("/auth/mfa/send"), .class(challenge.isEmpty ? "card" : "centred")) {
            Form.token(visit.formToken)
            Form.hidden("next", next)
            Form.hidden(KeyCeremony.factorField, factor.id)
            if challenge.isEmpty {
                Form.button(.sendCode)
            } else {
                Markup(.button, .type("submit"), .class("link"), text: .sendCodeAgain)
            }
        }
    }

    /// The ways beside the one that is shown.
    @MarkupBuilder private func otherFactors(_ person: Person, but shown: Person.Factor?, next: String) -> Markup {
        let others = person.factors.filter { $0.isVerified && $0.id != shown?.id }
        if !others.isEmpty {
            Markup(.nav, .class("others"), .label(.otherWays)) {
                Markup(.p, .class("hint"), text: .otherWays)
                Markup(.ul, .class("plain")) {
                    for factor in others {
                        Markup(.li) {
                            Markup(
                                .a, .href("/auth/mfa?factor=\(Self.encoded(factor.id))&next=\(Self.encoded(next))")
                            ) { Markup.text(factor.name) }
                            Markup.data(" ")
                            Components.badge(factor.kind.title)
                        }
                    }
                }
            }
        }
    }

    // MARK: Proving

    private func proveFactor(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let next = Self.destination(form.first("next"))
        guard let person = try await person(&visit) else { return Self.signInFirst(next) }
        let challenge = Challenge(form, of: person)
        let answer = await raise(
            &visit, factor: challenge.factor?.id ?? "", code: form.first("code") ?? "", challenge: challenge.id)
        guard answer.isSuccess else {
            return challengePage(
                visit, person, challenge, next: next, Form.State(errors: ["code": answer.phrase]),
                status: answer.pageStatus)
        }
        return PageResponse.redirect(next)
    }

    private func sendFactorCode(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let next = Self.destination(form.first("next"))
        guard let person = try await person(&visit) else { return Self.signInFirst(next) }
        let challenge = Challenge(form, of: person)
        let factor = challenge.factor?.id ?? ""
        let answer = await self.challenge(visit, factor: factor)
        guard answer.isSuccess, let id = answer.body?["id"]?.stringValue else {
            return challengePage(
                visit, person, challenge, next: next, Form.State(problem: answer.phrase), status: answer.pageStatus)
        }
        return PageResponse.redirect(
            "/auth/mfa?factor=\(Self.encoded(factor))&challenge=\(Self.encoded(id))&next=\(Self.encoded(next))")
    }

    /// What a key is asked to sign, for the script.
    private func keyOptions(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        visit.session = await ConsoleSession.current(of: visit.request, api)
        return await keyOptions(visit, factor: form.first(KeyCeremony.factorField) ?? "")
    }

    private func proveKey(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let next = Self.destination(form.first("next"))
        guard let person = try await person(&visit) else { return Self.signInFirst(next) }
        let answer = await raise(&visit, byKey: form, .get)
        guard answer.isSuccess else {
            return challengePage(
                visit, person, Challenge(form, of: person), next: next,
                Form.State(problem: Self.refusal(ofKey: answer)),
                status: answer.pageStatus)
        }
        return PageResponse.redirect(next)
    }

    /// Auth refuses keys by the code it has for codes.
    static func refusal(ofKey answer: ConsoleAPI.Answer) -> Phrase {
        answer.code == "mfa_verification_failed" ? .of(.keyRefused) : answer.phrase
    }

    // MARK: What the settings do as well

    private static func path(ofFactor factor: String) -> String { "/auth/v1/factors/\(segment(factor))" }

    /// Challenges a factor; a phone is sent a code.
    func challenge(_ visit: Visit, factor: String) async -> ConsoleAPI.Answer {
        await visit.call(.post, "\(Self.path(ofFactor: factor))/challenge", [:])
    }

    /// Proves a factor with a code; the visit goes on in the raised session.
    ///
    /// - Parameter challenge: the one that the code was sent for; empty for apps, which make codes without being asked.
    func raise(
        _ visit: inout Visit, factor: String, code: String, challenge: String = ""
    ) async -> ConsoleAPI.Answer {
        var id = challenge
        if id.isEmpty {
            let made = await self.challenge(visit, factor: factor)
            guard made.isSuccess, let new = made.body?["id"]?.stringValue else { return made }
            id = new
        }
        return await raise(
            &visit, factor, ["challenge_id": .string(id), "code": .string(code.filter { $0 != " " })])
    }

    /// Proves a security key with what it answered.
    func raise(_ visit: inout Visit, byKey form: FormFields, _ kind: KeyCeremony.Kind) async -> ConsoleAPI.Answer {
        await raise(
            &visit, form.first(KeyCeremony.factorField) ?? "",
            [
                "challenge_id": .string(form.first(KeyCeremony.challengeField) ?? ""),
                "webauthn": [
                    "type": kind == .create ? "create" : "request", "credential_response": KeyCeremony.answer(in: form),
                ],
            ])
    }

    private func raise(_ visit: inout Visit, _ factor: String, _ proof: JSON) async -> ConsoleAPI.Answer {
        let answer = await visit.call(.post, "\(Self.path(ofFactor: factor))/verify", proof)
        if answer.isSuccess, let session = ConsoleSession(answer.body) { visit.session = session }
        return answer
    }

    /// Challenges a security key, which is made on the first challenge and proved on the others.
    func keyOptions(_ visit: Visit, factor: String) async -> HTTPResponse {
        let answer = await challenge(visit, factor: factor)
        guard answer.isSuccess, let id = answer.body?["id"]?.stringValue, let ceremony = answer.body?["webauthn"],
            let options = ceremony["credential_options"]?["publicKey"]
        else { return KeyCeremony.refusal(answer, in: visit.language) }
        return KeyCeremony.options(
            ceremony["type"] == "create" ? .create : .get, options, challenge: id, factor: factor)
    }
}
