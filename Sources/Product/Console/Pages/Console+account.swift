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
        registerPasskeySignIn(on: &router)
        router.on(.get, "/auth/reset", forMembers { visit, _ in resetPage(visit) })
        router.on(.post, "/auth/reset", maxBodyBytes: bytes, forMembers(reset))
    }

    var passwordHint: Phrase { .of(.passwordHint, "\(minPasswordLength)") }

    private func form(_ path: String, _ visit: Visit, @MarkupBuilder content: () -> Markup) -> Markup {
        let content = content()
        return Markup(.form, .method("post"), .action(path), .class("card")) {
            Form.token(visit.formToken)
            content
        }
    }

    // MARK: Sign in

    func signInPage(
        _ visit: Visit, _ state: Form.State = .empty, next: String? = nil, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        let next = Self.destination(next ?? visit.query.first("next"))
        var visit = visit
        visit.widget = methods.captcha
        return visit.page(.signIn, .narrow, status: status) {
            Components.heading(.of(.signIn), next == "/dashboard" ? nil : .of(.signInToGoOn))
            visit.notice
            if let problem = state.problem { Components.notice(problem, isGood: false) }
            form("/auth/signin", visit) {
                Form.hidden("next", next)
                Form.field("email", .email, .email.focused(), state: state)
                Form.field("password", .password, .currentPassword, state: state)
                captchaField(visit)
                Form.button(.signIn)
                Markup(.p, .class("hint")) { Markup(.a, .href("/auth/forgot"), text: .forgotPassword) }
            }
            passkeyChoice(visit, next: next)
            Markup(.p, .class("hint centred")) {
                Markup.text(.noAccount)
                Markup.data(" ")
                Markup(.a, .href("/auth/signup?next=\(Self.encoded(next))"), text: .signUp)
            }
        }
    }

    private func signIn(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let email = form.first("email") ?? ""
        let answer = await visit.call(
            .post, "/auth/v1/token?grant_type=password",
            proven(["email": .string(email), "password": .string(form.first("password") ?? "")], by: form))
        if let response = signedIn(&visit, answer, next: form.first("next")) { return response }
        let state = Form.State(values: ["email": email], problem: answer.phrase)
        return signInPage(visit, state, next: form.first("next"), status: answer.pageStatus)
    }

    /// Goes on as whoever Auth's answer is a session of, to the second factor where there is one; nil when it is a refusal.
    func signedIn(_ visit: inout Visit, _ answer: ConsoleAPI.Answer, next: String?) -> HTTPResponse? {
        guard answer.isSuccess, let session = ConsoleSession(answer.body) else { return nil }
        visit.session = session
        let next = Self.destination(next)
        let factors = answer.body?["user"]?["factors"]?.arrayValue?.compactMap { Person.Factor($0) } ?? []
        guard factors.contains(where: \.isVerified) else { return PageResponse.redirect(next) }
        return PageResponse.redirect("/auth/mfa?next=\(Self.encoded(next))")
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

    private func signUpPage(
        _ visit: Visit, _ state: Form.State = .empty, next: String? = nil, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        let next = next ?? visit.query.first("next")
        var visit = visit
        visit.widget = methods.captcha
        return visit.page(.signUp, .narrow, status: status) {
            Components.heading(.of(.signUp), .of(.signUpText))
            if let problem = state.problem { Components.notice(problem, isGood: false) }
            signUpForm(visit, state, next: next, takesFocus: true)
            Markup(.p, .class("hint centred")) {
                Markup.text(.haveAccount)
                Markup.data(" ")
                Markup(.a, .href("/auth/signin?next=\(Self.encoded(Self.destination(next)))"), text: .signIn)
            }
        }
    }

    /// - Parameter next: where to go then; the set-up when nil.
    func signUpForm(
        _ visit: Visit, _ state: Form.State = .empty, next: String? = nil, takesFocus: Bool = false
    ) -> Markup {
        form("/auth/signup", visit) {
            if let next { Form.hidden("next", Self.destination(next, otherwise: "/setup")) }
            Form.field(
                "full_name", .name, .optional(200, autocomplete: "name").focused(takesFocus), state: state,
                hint: .of(.optional))
            Form.field("email", .email, .email, state: state)
            Form.field(
                "password", .password, .newPassword(minPasswordLength), state: state, hint: passwordHint)
            captchaField(visit)
            Form.button(.signUp)
        }
    }

    private func signUp(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let email = form.first("email") ?? ""
        let name = form.first("full_name") ?? ""
        var body: JSONObject = ["email": .string(email), "password": .string(form.first("password") ?? "")]
        if !name.isEmpty { body["data"] = ["full_name": .string(name)] }
        let next = Self.destination(form.first("next"), otherwise: "/setup")
        let link = MailedLink(to: next)
        for (field, value) in link.fields { body[field] = value }
        let answer = await visit.call(
            .post, "/auth/v1/signup?redirect_to=\(link.address(on: siteURL))", proven(body, by: form))
        guard answer.isSuccess else {
            var state = Form.State(values: ["email": email, "full_name": name])
            switch answer.code {
            case "weak_password": state.errors["password"] = answer.phrase
            case "user_already_exists", "email_exists", "email_address_invalid": state.errors["email"] = answer.phrase
            default: state.problem = answer.phrase
            }
            return signUpPage(visit, state, next: form.first("next"), status: answer.pageStatus)
        }
        if let session = ConsoleSession(answer.body) {
            visit.session = session
            return PageResponse.redirect(next)
        }
        visit.cookies.append(link.cookie)
        return visit.page(.confirmAddress, .narrow) {
            Components.heading(.of(.confirmAddress))
            Components.notice(.of(.confirmationSent, email), isGood: true)
            Markup(.p) { Markup(.a, .class("button"), .href("/auth/signin"), text: .signIn) }
        }
    }

    // MARK: A forgotten password

    /// A link in a mail that comes back with a code, which only the browser that asked can exchange: the verifier is in a cookie
    /// (RFC 7636).
    private struct MailedLink {
        static let cookieName = "atoll-verifier"
        private static let cookieSeconds = 86_400

        private let verifier = Base64URL.encode(randomBytes(32))
        /// Where it leads in the end.
        let path: String

        init(to path: String) { self.path = path }

        /// For the body of what has the mail sent.
        var fields: [(String, JSON)] {
            [
                ("code_challenge", .string(Base64URL.encode(digest(Array(verifier.utf8))))),
                ("code_challenge_method", "s256"),
            ]
        }

        var cookie: Cookie { Cookie(name: Self.cookieName, value: verifier, maxAge: Self.cookieSeconds) }

        /// As a value of a query.
        func address(on site: String) -> String {
            Console.encoded("\(site)/auth/callback?next=\(Console.encoded(path))")
        }
    }

    private func forgotPage(
        _ visit: Visit, _ state: Form.State = .empty, isSent: Bool = false, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        var visit = visit
        visit.widget = isSent ? nil : methods.captcha
        return visit.page(.forgotPassword, .narrow, status: status) {
            Components.heading(.of(.forgotPassword), isSent ? nil : .of(.forgotText))
            if let problem = state.problem { Components.notice(problem, isGood: false) }
            if isSent {
                Components.notice(.of(.recoverySent), isGood: true)
            } else {
                form("/auth/forgot", visit) {
                    Form.field("email", .email, .email.focused(), state: state)
                    captchaField(visit)
                    Form.button(.sendLink)
                }
            }
            Markup(.p, .class("hint centred")) { Markup(.a, .href("/auth/signin"), text: .backToSignIn) }
        }
    }

    private func forgot(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let email = form.first("email") ?? ""
        let link = MailedLink(to: "/auth/reset")
        var body: JSONObject = ["email": .string(email)]
        for (field, value) in link.fields { body[field] = value }
        let answer = await visit.call(
            .post, "/auth/v1/recover?redirect_to=\(link.address(on: siteURL))", proven(body, by: form))
        guard answer.isSuccess else {
            return forgotPage(
                visit, Form.State(values: ["email": email], problem: answer.phrase), status: answer.pageStatus)
        }
        visit.cookies.append(link.cookie)
        return forgotPage(visit, isSent: true)
    }

    /// Where links in mails lead back to.
    private func callback(_ visit: inout Visit) async throws -> HTTPResponse {
        let fields = visit.query
        let verifier = Cookie.all(of: visit.request)[MailedLink.cookieName]
        visit.cookies.append(Cookie(name: MailedLink.cookieName, value: "", maxAge: 0))
        guard let code = fields.first("code"), let verifier else {
            let problem = fields.first("error_description").map { Phrase.words($0) } ?? .of(.linkOfOtherBrowser)
            return signInPage(visit, Form.State(problem: problem), status: .badRequest)
        }
        let answer = await visit.call(
            .post, "/auth/v1/token?grant_type=pkce", ["auth_code": .string(code), "code_verifier": .string(verifier)])
        return signedIn(&visit, answer, next: fields.first("next"))
            ?? signInPage(visit, Form.State(problem: answer.phrase), status: .badRequest)
    }

    private func resetPage(_ visit: Visit, _ state: Form.State = .empty, status: HTTPStatus = .ok) -> HTTPResponse {
        visit.page(.chooseNewPassword, .narrow, status: status) {
            Components.heading(.of(.chooseNewPassword))
            form("/auth/reset", visit) {
                Form.field(
                    "password", .newPassword, .newPassword(minPasswordLength).focused(), state: state,
                    hint: passwordHint)
                Form.button(.save)
            }
        }
    }

    private func reset(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let answer = await visit.call(.put, "/auth/v1/user", ["password": .string(form.first("password") ?? "")])
        guard answer.isSuccess else {
            return resetPage(visit, Form.State(errors: ["password": answer.phrase]), status: answer.pageStatus)
        }
        return PageResponse.redirect("/dashboard?done=passwordChanged")
    }
}
