// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Second factors: authenticator apps, security keys, phones.
extension Console {
    func registerFactors(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.post, "/settings/factors", maxBodyBytes: bytes, forMembers(enrollApp))
        router.on(.post, "/settings/factors/verify", maxBodyBytes: bytes, forMembers(verifyApp))
        router.on(.post, "/settings/factors/key/options", maxBodyBytes: bytes, forMembers(newKeyOptions))
        router.on(.post, "/settings/factors/key", maxBodyBytes: bytes, forMembers(verifyKey))
        router.on(.post, "/settings/factors/phone", maxBodyBytes: bytes, forMembers(enrollPhone))
        router.on(.get, "/settings/factors/phone", forMembers { visit, person in phonePage(visit, person) })
        router.on(.post, "/settings/factors/phone/send", maxBodyBytes: bytes, forMembers(sendPhoneCode))
        router.on(.post, "/settings/factors/phone/verify", maxBodyBytes: bytes, forMembers(verifyPhone))
        router.on(.post, "/settings/factors/remove", maxBodyBytes: bytes, forMembers(removeFactor))
    }

    private static let nameField = "friendly_name"

    func factorSection(_ visit: Visit, _ person: Person, _ outcome: Outcome?) -> Markup {
        let factors = person.factors.filter(\.isVerified)
        return Components.section("factors", .secondFactors, .of(.secondFactorsText)) {
            outcome.notice("factors")
            if factors.isEmpty {
                Components.empty(.shield, .noFactor, methods.hasFactors ? .noFactorText : .factorsNotOffered)
            } else {
                Components.table(
                    .secondFactors, [.name, .kind, .since, .action], rows: factors.map { factorRow(visit, $0) })
            }
            if methods.authenticatorApps {
                Markup(.h3, text: .authenticatorApp)
                Markup(.form, .method("post"), .action("/settings/factors"), .class("row-form")) {
                    Form.token(visit.formToken)
                    nameInput(.factorName, .factorNameExample, outcome.state("app"), id: "app_name")
                    Form.button(.addAuthenticator)
                }
            }
            if methods.securityKeys {
                Markup(.h3, text: .securityKey)
                outcome.notice("key")
                KeyCeremony.form(
                    "/settings/factors/key", options: "/settings/factors/key/options", token: visit.formToken
                ) {
                    Markup(.div, .class("row-form")) {
                        nameInput(.securityKeyName, .securityKeyNameExample, .empty, id: "key_name")
                        Form.button(.addSecurityKey)
                    }
                }
            }
            if methods.phones {
                Markup(.h3, text: .phone)
                Markup(.form, .method("post"), .action("/settings/factors/phone"), .class("row-form")) {
                    Form.token(visit.formToken)
                    nameInput(.phoneName, .factorNameExample, outcome.state("phone"), id: "phone_name")
                    Form.field("phone", .phoneNumber, .phone, state: outcome.state("phone"), hint: .of(.phoneHint))
                    Form.button(.addPhone)
                }
            }
        }
    }

    private func nameInput(_ label: Message, _ example: Message, _ state: Form.State, id: String) -> Markup {
        Form.field(
            Self.nameField, label, Form.Input(maxLength: 64, placeholder: .of(example)), state: state, id: id)
    }

    private func factorRow(_ visit: Visit, _ factor: Person.Factor) -> [Markup] {
        [
            Markup(.span) { Markup.text(factor.name) },
            Markup(.span) {
                Markup.text(.of(factor.kind.title))
                if !factor.lastDigits.isEmpty { Markup.data(" ···\(factor.lastDigits)") }
            },
            Components.moment(factor.createdAt),
            Form.action(
                "/settings/factors/remove", .remove, token: visit.formToken,
                about: factor.name.text(in: visit.language), asks: .askRemove, (KeyCeremony.factorField, factor.id)),
        ]
    }

    /// Adds a factor that is to be proved next. One of the same name whose proof was given up is in the way and goes.
    private func enroll(
        _ visit: Visit, _ person: Person, _ kind: Person.Factor.Kind, named name: String, _ members: JSONObject = [:]
    ) async -> ConsoleAPI.Answer {
        for old in person.factors where !old.isVerified && old.isNamed(name) {
            _ = await visit.call(.delete, "/auth/v1/factors/\(Self.segment(old.id))")
        }
        var body = members
        body["factor_type"] = .string(kind.rawValue)
        body["friendly_name"] = .string(name)
        return await visit.call(.post, "/auth/v1/factors", .object(body))
    }

    private func removeFactor(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let factor = form.first(KeyCeremony.factorField) ?? ""
        let answer = await visit.call(.delete, "/auth/v1/factors/\(Self.segment(factor))")
        guard answer.isSuccess else { return await securityPage(visit, person, Outcome("factors", answer)) }
        return PageResponse.redirect(SettingsSection.security.path(done: .factorRemoved))
    }

    // MARK: Authenticator apps

    /// Shows the secret once, as a picture and as text, and asks for a first code.
    private func enrollApp(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let name = form.first(Self.nameField) ?? ""
        let answer = await enroll(visit, person, .app, named: name, ["issuer": "Atoll"])
        guard answer.isSuccess, let id = answer.body?["id"]?.stringValue, let secret = answer.body?["totp"] else {
            return await securityPage(
                visit, person, Outcome("app", answer, field: Self.nameField, values: [Self.nameField: name]))
        }
        return appPage(
            visit,
            Enrollment(id: id, secret: secret["secret"]?.stringValue ?? "", qrCode: secret["qr_code"]?.stringValue))
    }

    private struct Enrollment {
        let id: String
        let secret: String
        /// An SVG document; nil once the page was sent back, as it is not kept.
        let qrCode: String?
    }

    private func appPage(
        _ visit: Visit, _ enrollment: Enrollment, _ state: Form.State = .empty, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        visit.page(.addAuthenticator, .settings(.security), status: status) {
            Components.heading(.of(.addAuthenticator), .of(.enrollText))
            Markup(.section, .class("enroll"), .label(.addAuthenticator)) {
                if let code = enrollment.qrCode {
                    Markup(
                        .img, .class("qr"), .alt(.qrCodeOfSecret),
                        .picture(type: "image/svg+xml", base64: Base64.encode(Array(code.utf8))),
                        .svg("width", "220"), .svg("height", "220"))
                }
                Markup(.div) {
                    Markup(.p, text: .orTypeSecret)
                    Markup(.p, .class("secret")) { Components.code(enrollment.secret) }
                    Markup(.form, .method("post"), .action("/settings/factors/verify")) {
                        Form.token(visit.formToken)
                        Form.hidden(KeyCeremony.factorField, enrollment.id)
                        Form.hidden("secret", enrollment.secret)
                        Form.field("code", .code, .code, state: state, hint: .of(.codeHint))
                        verifyOrCancel
                    }
                }
            }
        }
    }

    private var verifyOrCancel: Markup {
        Markup(.div, .class("actions")) {
            Form.button(.verify)
            Markup(.a, .class("button quiet"), .href("/settings/security"), text: .cancel)
        }
    }

    private func verifyApp(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let factor = form.first(KeyCeremony.factorField) ?? ""
        let answer = await raise(&visit, factor: factor, code: form.first("code") ?? "")
        guard answer.isSuccess else {
            return appPage(
                visit, Enrollment(id: factor, secret: form.first("secret") ?? "", qrCode: nil),
                Form.State(errors: ["code": answer.phrase]), status: answer.pageStatus)
        }
        return PageResponse.redirect(SettingsSection.security.path(done: .factorAdded))
    }

    // MARK: Security keys

    private func newKeyOptions(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let made = await enroll(visit, person, .securityKey, named: form.first(Self.nameField) ?? "")
        guard made.isSuccess, let id = made.body?["id"]?.stringValue else {
            return KeyCeremony.refusal(made, in: visit.language)
        }
        return await keyOptions(visit, factor: id)
    }

    private func verifyKey(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let answer = await raise(&visit, byKey: form, .create)
        guard answer.isSuccess else {
            var outcome = Outcome("key", answer)
            outcome.state.problem = Self.refusal(ofKey: answer)
            return await securityPage(visit, person, outcome)
        }
        return PageResponse.redirect(SettingsSection.security.path(done: .securityKeyAdded))
    }

    // MARK: Phones

    private func enrollPhone(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let name = form.first(Self.nameField) ?? ""
        let typed = form.first("phone") ?? ""
        let number = typed.filter { !" -()./".contains($0) }
        let made = await enroll(visit, person, .phone, named: name, ["phone": .string(number)])
        guard made.isSuccess, let factor = made.body?["id"]?.stringValue else {
            let isName = made.code == "mfa_factor_name_conflict"
            var outcome = Outcome(
                "phone", made, field: isName ? Self.nameField : "phone", values: [Self.nameField: name, "phone": typed])
            if made.code == "validation_failed" { outcome.state.errors["phone"] = .of(.phoneInvalid) }
            return await securityPage(visit, person, outcome)
        }
        return await sendCode(visit, person, factor: factor) { problem in
            await securityPage(
                visit, person,
                Outcome("phone", problem, field: "phone", values: [Self.nameField: name, "phone": typed]))
        }
    }

    private func sendCode(
        _ visit: Visit, _ person: Person, factor: String, refused: (ConsoleAPI.Answer) async -> HTTPResponse
    ) async -> HTTPResponse {
        let answer = await challenge(visit, factor: factor)
        guard answer.isSuccess, let id = answer.body?["id"]?.stringValue else { return await refused(answer) }
        return PageResponse.redirect(
            "/settings/factors/phone?factor=\(Self.encoded(factor))&challenge=\(Self.encoded(id))")
    }

    private func phonePage(
        _ visit: Visit, _ person: Person, _ form: FormFields? = nil, _ state: Form.State = .empty,
        status: HTTPStatus = .ok
    ) -> HTTPResponse {
        let fields = form ?? visit.query
        let id = fields.first(KeyCeremony.factorField) ?? ""
        guard let factor = person.factors.first(where: { $0.id == id && $0.kind == .phone }) else {
            return PageResponse.redirect(SettingsSection.security.path)
        }
        return visit.page(.addPhone, .settings(.security), status: status) {
            Components.heading(.of(.addPhone), .of(.phoneCodeText, factor.lastDigits))
            if let problem = state.problem { Components.notice(problem, isGood: false) }
            Markup(.section, .label(.addPhone)) {
                Markup(.form, .method("post"), .action("/settings/factors/phone/verify")) {
                    Form.token(visit.formToken)
                    Form.hidden(KeyCeremony.factorField, id)
                    Form.hidden(KeyCeremony.challengeField, fields.first(KeyCeremony.challengeField) ?? "")
                    Form.field("code", .code, .code, state: state, hint: .of(.phoneCodeHint))
                    verifyOrCancel
                }
                Markup(.form, .method("post"), .action("/settings/factors/phone/send"), .class("more")) {
                    Form.token(visit.formToken)
                    Form.hidden(KeyCeremony.factorField, id)
                    Markup(.button, .type("submit"), .class("link"), text: .sendCodeAgain)
                }
            }
        }
    }

    private func sendPhoneCode(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let asking = visit
        return await sendCode(asking, person, factor: form.first(KeyCeremony.factorField) ?? "") { problem in
            phonePage(asking, person, form, Form.State(problem: problem.phrase), status: problem.pageStatus)
        }
    }

    private func verifyPhone(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let answer = await raise(
            &visit, factor: form.first(KeyCeremony.factorField) ?? "", code: form.first("code") ?? "",
            challenge: form.first(KeyCeremony.challengeField) ?? "")
        guard answer.isSuccess else {
            return phonePage(
                visit, person, form, Form.State(errors: ["code": answer.phrase]), status: answer.pageStatus)
        }
        return PageResponse.redirect(SettingsSection.security.path(done: .phoneAdded))
    }
}
