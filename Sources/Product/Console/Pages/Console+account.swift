// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Primitives

/// Sign up, sign in, sign out, and a forgotten password.
extension Console {
    func registerAccountPages(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/auth/signin", forVisitors { visit in signInPage(visit) })
        router.on(.post, "/auth/signin", maxBodyBytes: bytes, open(signIn))
        router.on(.get, "/auth/signup", forVisitors { visit in signUpPage(visit) })
        router.on(.post, "/auth/signup", maxBodyBytes: bytes, open(signUp))
        router.on(.post, "/auth/signout", maxBodyBytes: bytes, open(signOut))
        router.on(.get, "/auth/forgot", forVisitors { visit in forgotPage(visit) })
        router.on(.post, "/auth/forgot", maxBodyBytes: bytes, open(forgot))
        router.on(.get, "/auth/callback", open(callback))
        router.on(.get, "/auth/reset", forMembers { visit in resetPage(visit) })
        router.on(.post, "/auth/reset", maxBodyBytes: bytes, forMembers(reset))
    }

    private func layout(_ title: String, _ visit: Visit, _ path: String) -> Layout {
        Layout(title: title, path: path, formToken: visit.formToken, isNarrow: true)
    }

    private var passwordHint: String { "At least \(minPasswordLength) characters." }

    // MARK: Sign in

    private func signInPage(
        _ visit: Visit, _ state: Form.State = .empty, next: String? = nil, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        let next = next ?? FormFields(query: visit.request.query ?? "").first("next")
        let page = layout("Sign in", visit, "/auth/signin").page {
            Markup(.h1) { "Sign in" }
            if let notice = state.notice { Layout.notice(notice, isGood: false) }
            Markup(.form, .method("post"), .action("/auth/signin"), .class("card")) {
                Form.token(visit.formToken)
                Markup(.input, .type("hidden"), .name("next"), .value(Self.destination(next)))
                Form.field("email", "E-mail", type: "email", state: state, autocomplete: "username", takesFocus: true)
                Form.field(
                    "password", "Password", type: "password", state: state, autocomplete: "current-password",
                    maxLength: 72)
                Form.button("Sign in")
            }
            Markup(.p, .class("hint")) {
                Markup(.a, .href("/auth/forgot")) { "Forgot your password?" }
                " · "
                Markup(.a, .href("/auth/signup")) { "Make an account" }
            }
        }
        return PageResponse.html(page, status: status)
    }

    private func signIn(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let email = form.first("email") ?? ""
        let answer = await visit.call(
            .post, "/auth/v1/token?grant_type=password",
            ["email": .string(email), "password": .string(form.first("password") ?? "")])
        guard answer.isSuccess, let session = ConsoleSession(answer.body) else {
            let state = Form.State(values: ["email": email], notice: answer.message)
            return signInPage(visit, state, next: form.first("next"), status: HTTPStatus(code: answer.status))
        }
        visit.session = session
        return PageResponse.redirect(Self.destination(form.first("next")))
    }

    private func signOut(_ visit: inout Visit) async throws -> HTTPResponse {
        _ = try await forms.form(of: visit.request)
        visit.session = await ConsoleSession.current(of: visit.request, api)
        if visit.session != nil { _ = await visit.call(.post, "/auth/v1/logout?scope=local") }
        visit.session = nil
        visit.cookies += ConsoleSession.cleared
        return PageResponse.redirect("/")
    }

    // MARK: Sign up

    private func signUpPage(_ visit: Visit, _ state: Form.State = .empty, status: HTTPStatus = .ok) -> HTTPResponse {
        let page = layout("Sign up", visit, "/auth/signup").page {
            Markup(.h1) { "Sign up" }
            if let notice = state.notice { Layout.notice(notice, isGood: false) }
            signUpForm(visit, state, takesFocus: true)
            Markup(.p, .class("hint")) { Markup(.a, .href("/auth/signin")) { "I have an account" } }
        }
        return PageResponse.html(page, status: status)
    }

    func signUpForm(_ visit: Visit, _ state: Form.State = .empty, takesFocus: Bool = false) -> Markup {
        Markup(.form, .method("post"), .action("/auth/signup"), .class("card")) {
            Form.token(visit.formToken)
            Form.field(
                "full_name", "Name", state: state, autocomplete: "name", isRequired: false, maxLength: 200,
                takesFocus: takesFocus)
            Form.field("email", "E-mail", type: "email", state: state, autocomplete: "username")
            Form.field(
                "password", "Password", type: "password", state: state, hint: passwordHint,
                autocomplete: "new-password", minLength: minPasswordLength, maxLength: 72)
            Form.button("Sign up")
        }
    }

    private func signUp(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let email = form.first("email") ?? ""
        let name = form.first("full_name") ?? ""
        var body: JSONObject = ["email": .string(email), "password": .string(form.first("password") ?? "")]
        if !name.isEmpty { body["data"] = ["full_name": .string(name)] }
        let answer = await visit.call(.post, "/auth/v1/signup", .object(body))
        guard answer.isSuccess else {
            var state = Form.State(values: ["email": email, "full_name": name])
            switch answer.body?["error_code"]?.stringValue {
            case "weak_password": state.errors["password"] = answer.message
            case "user_already_exists", "email_exists", "email_address_invalid": state.errors["email"] = answer.message
            default: state.notice = answer.message
            }
            return signUpPage(visit, state, status: HTTPStatus(code: answer.status))
        }
        if let session = ConsoleSession(answer.body) {
            visit.session = session
            return PageResponse.redirect("/dashboard")
        }
        return PageResponse.html(
            layout("Confirm your address", visit, "/auth/signup").page {
                Markup(.h1) { "Confirm your address" }
                Layout.notice("We have sent a mail to \(email). Follow its link, then sign in.", isGood: true)
            })
    }

    // MARK: A forgotten password

    private static let verifierCookie = "atoll-verifier"

    private func forgotPage(_ visit: Visit, _ state: Form.State = .empty, isSent: Bool = false) -> HTTPResponse {
        PageResponse.html(
            layout("Forgot your password", visit, "/auth/forgot").page {
                Markup(.h1) { "Forgot your password" }
                if let notice = state.notice { Layout.notice(notice, isGood: false) }
                if isSent {
                    Layout.notice(
                        "If there is an account with this address, a mail with a link is on its way. Open the link in this browser.",
                        isGood: true)
                } else {
                    Markup(.form, .method("post"), .action("/auth/forgot"), .class("card")) {
                        Form.token(visit.formToken)
                        Form.field(
                            "email", "E-mail", type: "email", state: state, autocomplete: "username", takesFocus: true)
                        Form.button("Send a link")
                    }
                }
            })
    }

    /// The link comes back with a code, which only the browser that asked can exchange: the verifier is in a cookie (RFC 7636).
    private func forgot(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let email = form.first("email") ?? ""
        let verifier = Base64URL.encode(randomBytes(32))
        let challenge = Base64URL.encode(digest(Array(verifier.utf8)))
        let answer = await visit.call(
            .post, "/auth/v1/recover?redirect_to=\(siteURL)/auth/callback",
            [
                "email": .string(email), "code_challenge": .string(challenge), "code_challenge_method": "s256",
            ])
        guard answer.isSuccess else {
            return forgotPage(visit, Form.State(values: ["email": email], notice: answer.message))
        }
        visit.cookies.append(Cookie(name: Self.verifierCookie, value: verifier, maxAge: 3600))
        return forgotPage(visit, isSent: true)
    }

    /// Where links in mails lead back to.
    private func callback(_ visit: inout Visit) async throws -> HTTPResponse {
        let fields = FormFields(query: visit.request.query ?? "")
        visit.cookies.append(Cookie(name: Self.verifierCookie, value: "", maxAge: 0))
        guard let code = fields.first("code"), let verifier = Cookie.all(of: visit.request)[Self.verifierCookie] else {
            let text = fields.first("error_description") ?? "The link was opened in another browser, or has ended."
            return signInPage(visit, Form.State(notice: text), status: .badRequest)
        }
        let answer = await visit.call(
            .post, "/auth/v1/token?grant_type=pkce", ["auth_code": .string(code), "code_verifier": .string(verifier)])
        guard answer.isSuccess, let session = ConsoleSession(answer.body) else {
            return signInPage(visit, Form.State(notice: answer.message), status: .badRequest)
        }
        visit.session = session
        return PageResponse.redirect("/auth/reset")
    }

    private func resetPage(_ visit: Visit, _ state: Form.State = .empty) -> HTTPResponse {
        PageResponse.html(
            layout("Choose a password", visit, "/auth/reset").page {
                Markup(.h1) { "Choose a new password" }
                if let notice = state.notice { Layout.notice(notice, isGood: false) }
                Markup(.form, .method("post"), .action("/auth/reset"), .class("card")) {
                    Form.token(visit.formToken)
                    Form.field(
                        "password", "New password", type: "password", state: state, hint: passwordHint,
                        autocomplete: "new-password", minLength: minPasswordLength, maxLength: 72, takesFocus: true)
                    Form.button("Save")
                }
            }, status: state.errors.isEmpty && state.notice == nil ? .ok : 422)
    }

    private func reset(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let answer = await visit.call(.put, "/auth/v1/user", ["password": .string(form.first("password") ?? "")])
        guard answer.isSuccess else {
            return resetPage(visit, Form.State(errors: ["password": answer.message]))
        }
        return PageResponse.redirect("/dashboard")
    }
}
