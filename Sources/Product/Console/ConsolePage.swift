// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// One visit of one page: the request, who came, and what goes back beside the page.
struct Visit: Sendable {
    let request: HTTPRequest
    let api: ConsoleAPI
    let formToken: String
    /// Nil on pages for everybody, where nobody is signed in.
    var session: ConsoleSession?
    /// Set with the response.
    var cookies: [Cookie] = []

    /// Asks the API as the visitor.
    func call(_ method: HTTPMethod, _ target: String, _ body: JSON? = nil) async -> ConsoleAPI.Answer {
        await api.call(method, target, token: session?.accessToken, body: body, for: request)
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

    /// A page for everybody.
    func open(_ handler: @escaping PageHandler) -> HTTPHandler {
        { request in
            var visit = begin(request)
            let response = try await handler(&visit)
            return visit.finish(response)
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
            let response = try await handler(&visit)
            return visit.finish(response)
        }
    }

    /// A page for people who are signed in: the others sign in first and come back.
    func forMembers(_ handler: @escaping PageHandler) -> HTTPHandler {
        { request in
            var visit = begin(request)
            guard let session = await ConsoleSession.current(of: request, api) else {
                visit.cookies += ConsoleSession.cleared
                let target = request.method == .get ? Self.encoded(request.path) : "/dashboard"
                return visit.finish(PageResponse.redirect("/auth/signin?next=\(target)"))
            }
            visit.session = session
            let response = try await handler(&visit)
            return visit.finish(response)
        }
    }

    private func begin(_ request: HTTPRequest) -> Visit {
        let seed = forms.seed(of: request)
        var visit = Visit(request: request, api: api, formToken: forms.token(for: seed.value))
        if seed.isNew { visit.cookies.append(Cookie(name: FormGuard.cookieName, value: seed.value)) }
        return visit
    }

    /// A path of this server that a form or link named as where to go next; anything else is the dashboard.
    static func destination(_ named: String?) -> String {
        guard let named, named.hasPrefix("/"), !named.hasPrefix("//"), !named.hasPrefix("/\\"), named.utf8.count <= 512,
            named.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F && $0 != "\\" })
        else { return "/dashboard" }
        return named
    }

    private static func encoded(_ path: String) -> String {
        path.utf8.reduce(into: "") { encoded, byte in
            let character = Character(Unicode.Scalar(byte))
            if character.isASCII, character.isLetter || character.isNumber || "-._~/".contains(character) {
                encoded.append(character)
            } else {
                encoded += "%" + String(byte, radix: 16, uppercase: true)
            }
        }
    }
}
