// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// One visit of one page: the request, who came, and what goes back beside the page.
struct Visit: Sendable {
    let request: HTTPRequest
    let api: ConsoleAPI
    let forms: FormGuard
    /// Of the browser; see ``formToken``.
    let browserToken: String
    let language: Language
    let languages: [Language]
    /// Nil on pages for everybody, where nobody is signed in.
    var session: ConsoleSession?
    /// Set on pages for people who are signed in.
    var signedIn: Person?
    /// Set by forms that a human has to be behind.
    var widget: CaptchaWidget?
    /// Set with the response.
    var cookies: [Cookie] = []

    /// For forms of this page.
    var formToken: String { signedIn.map { "\(browserToken).\(FormOwner($0).text)" } ?? browserToken }

    /// Asks the API as the visitor.
    func call(_ method: HTTPMethod, _ target: String, _ body: JSON? = nil) async -> ConsoleAPI.Answer {
        await api.call(method, target, token: session?.accessToken, body: body, for: request)
    }

    /// The fields of the address.
    var query: FormFields { FormFields(query: request.query ?? "") }

    /// The page of a list that the address names, from 1.
    var pageNumber: Int { min(100_000, max(1, query.first("page").flatMap { Int($0) } ?? 1)) }

    /// What was done before the visitor was sent here: a notice of the catalogue, named by its key.
    var notice: Markup {
        guard let done = query.first("done"), let message = Message.notice(named: done) else { return .nothing }
        return Components.notice(.of(message), isGood: true)
    }

    func page(
        _ title: Message, _ frame: Layout.Frame = .wide, status: HTTPStatus = .ok, isRefreshed: Bool = false,
        @MarkupBuilder content: () -> Markup
    ) -> HTTPResponse {
        page(.of(title), frame, status: status, isRefreshed: isRefreshed, content: content)
    }

    /// A page in the visitor's language and frame.
    func page(
        _ title: Phrase, _ frame: Layout.Frame = .wide, status: HTTPStatus = .ok, isRefreshed: Bool = false,
        @MarkupBuilder content: () -> Markup
    ) -> HTTPResponse {
        let layout = Layout(
            title: title, frame: frame, person: signedIn, path: request.path,
            address: request.query.map { "\(request.path)?\($0)" } ?? request.path, formToken: formToken,
            isRefreshed: isRefreshed, widget: widget, language: language, languages: languages)
        return PageResponse.html(layout.page(content()), status: status, widget: widget)
    }

    /// The response with this visit's cookies.
    func finish(_ response: HTTPResponse) -> HTTPResponse {
        var response = response
        var cookies = cookies
        if let session, session.isFresh { cookies += session.cookies }
        for cookie in cookies { response.headers.append("Set-Cookie", cookie.field(isSecure: request.isSecure)) }
        return response
    }
}

extension Console {
    /// A page's way to answer a visit.
    typealias PageHandler = @Sendable (inout Visit) async throws -> HTTPResponse
    /// As ``PageHandler``, of somebody who is signed in.
    typealias PersonHandler = @Sendable (inout Visit, Person) async throws -> HTTPResponse

    /// A page for everybody.
    func open(_ handler: @escaping PageHandler) -> HTTPHandler {
        { request in
            var visit = begin(request)
            return await finishing(&visit, handler)
        }
    }

    /// A page for people who are not signed in: the others are sent to the dashboard.
    func forVisitors(_ handler: @escaping PageHandler) -> HTTPHandler {
        { request in
            var visit = begin(request)
            if let session = await ConsoleSession.current(of: request, api) {
                visit.session = session
                return visit.finish(PageResponse.redirect("/dashboard"))
            }
            return await finishing(&visit, handler)
        }
    }

    /// A page for people who are signed in, with both factors where they have two: the others sign in first and come back.
    func forMembers(_ handler: @escaping PersonHandler) -> HTTPHandler {
        { request in
            var visit = begin(request)
            return await finishing(&visit) { visit in
                guard let person = try await person(&visit) else {
                    visit.cookies += ConsoleSession.cleared
                    return await visit.signInFirst(at: "/auth/signin")
                }
                if person.hasVerifiedFactor, visit.session?.isSecondLevel == false {
                    return await visit.signInFirst(at: "/auth/mfa")
                }
                return try await handler(&visit, person)
            }
        }
    }

    /// Answers, and turns a refusal of the page itself into a page.
    func finishing(_ visit: inout Visit, _ handler: PageHandler) async -> HTTPResponse {
        do {
            // Two steps: the cookies are those the visit has once it was handled.
            let response = try await handler(&visit)
            return visit.finish(response)
        } catch {
            if let kept = error as? KeptForm { return visit.finish(visit.page(of: kept)) }
            return visit.finish(visit.page(of: refusal(of: error, visit.request)))
        }
    }

    /// Who is signed in, from three calls that go together; nil for nobody, or when Auth does not know the session any more.
    ///
    /// - Throws: ``PageRefusal`` when Auth cannot answer: somebody who may well be signed in is not signed out for that.
    func person(_ visit: inout Visit) async throws(PageRefusal) -> Person? {
        guard let session = await ConsoleSession.current(of: visit.request, api) else { return nil }
        visit.session = session
        let asking = visit
        async let user = asking.call(.get, "/auth/v1/user")
        async let profile = asking.call(.get, "/api/user/profile")
        async let tenants = asking.call(.get, "/api/tenants")
        let answers = await (user, profile, tenants)
        guard answers.0.isSuccess, let user = answers.0.body else {
            guard [401, 403, 404].contains(answers.0.status) else {
                throw PageRefusal(.serviceUnavailable, .serverCannotAnswer)
            }
            visit.session = nil
            return nil
        }
        let list = answers.2.body?["tenants"]?.arrayValue ?? answers.2.body?.arrayValue ?? []
        let person = Person(
            user: user, profile: answers.1.body?["profile"], tenants: list.compactMap { Person.Tenant($0) })
        visit.signedIn = person
        return person
    }

    func begin(_ request: HTTPRequest) -> Visit {
        let seed = forms.seed(of: request)
        let chosen = Cookie.all(of: request)[Self.languageCookie]
        let language =
            languages.first { $0.code == chosen }
            ?? Language.preferred(request.headers["accept-language"], of: languages)
        var visit = Visit(
            request: request, api: api, forms: forms, browserToken: forms.token(for: seed.value),
            language: language, languages: languages)
        if seed.isNew { visit.cookies.append(Cookie(name: FormGuard.cookieName, value: seed.value)) }
        return visit
    }

    static let languageCookie = "atoll-language"

    /// A path of this server that a form or link named as where to go next; anything else is the dashboard.
    static func destination(_ named: String?, otherwise: String = "/dashboard") -> String {
        guard let named, named.hasPrefix("/"), !named.hasPrefix("//"), !named.hasPrefix("/\\"), named.utf8.count <= 512,
            named.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F && $0 != "\\" })
        else { return otherwise }
        return named
    }

    /// A text as one segment of a path.
    static func segment(_ text: String) -> String {
        encoded(text).split(separator: "/", omittingEmptySubsequences: false).joined(separator: "%2F")
    }

    /// A text as a part of an address; slashes stay.
    static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { encoded, byte in
            let character = Character(Unicode.Scalar(byte))
            if character.isASCII, character.isLetter || character.isNumber || "-._~/".contains(character) {
                encoded.append(character)
            } else {
                encoded += percentEncode(byte)
            }
        }
    }
}
