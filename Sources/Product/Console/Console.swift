// SPDX-License-Identifier: Apache-2.0
package import HTTP
internal import Platform
internal import Primitives

/// The web pages: now a welcome page that says what runs where and signs people up, without any script.
package struct Console: Sendable {
    /// One line of "what runs where".
    package struct Listing: Sendable {
        /// A service's name.
        package var name: String
        /// Its address.
        package var address: String

        package init(name: String, address: String) {
            self.name = name
            self.address = address
        }
    }

    /// Asks Auth to sign somebody up on behalf of the page's visitor; answers as `POST /auth/v1/signup` does.
    package typealias SignUp = @Sendable (_ email: String, _ password: String, HTTPRequest) async -> HTTPResponse

    private let page: Page
    private let listings: [Listing]
    private let minPasswordLength: Int
    private let signUp: SignUp

    /// - Parameter signUp: given by whoever composes the server, as services do not know each other.
    package init(listings: [Listing], minPasswordLength: Int, signUp: @escaping SignUp) {
        page = Page(template: Assets["web/welcome.html"]?.text ?? "")
        self.listings = listings
        self.minPasswordLength = minPasswordLength
        self.signUp = signUp
    }

    /// Adds the routes of the pages.
    package func register(on router: inout Router) {
        router.on(.get, "/") { _ in Page.response(render()) }
        router.on(.post, "/auth/signup", maxBodyBytes: 16 << 10, takeForm)
        for (path, asset, type) in [
            ("/assets/atoll.css", "web/atoll.css", "text/css; charset=utf-8"),
            ("/robots.txt", "web/robots.txt", "text/plain; charset=utf-8"),
        ] {
            guard let asset = Assets[asset] else { continue }
            router.on(.get, path) { _ in
                HTTPResponse(
                    .ok,
                    headers: [
                        "Content-Type": type, "Cache-Control": "public, max-age=300",
                        "X-Content-Type-Options": "nosniff",
                    ], body: .lent(asset))
            }
        }
    }

    private func takeForm(_ request: HTTPRequest) async throws -> HTTPResponse {
        guard Self.isSameOrigin(request) else {
            throw HTTPError(.forbidden, "the form was sent from another site")
        }
        guard request.headers["content-type"]?.lowercased().hasPrefix("application/x-www-form-urlencoded") == true
        else {
            throw HTTPError(415, "the form is sent as application/x-www-form-urlencoded")
        }
        guard let text = String(validating: try await request.body.collect(), as: UTF8.self) else {
            throw HTTPError(.badRequest, "the form is not UTF-8")
        }
        let fields = FormFields(query: text)
        let email = fields.first("email") ?? ""
        let answer = await signUp(email, fields.first("password") ?? "", request)
        let body = Self.object(answer)
        guard answer.status.code == 200 else {
            let reason = body?["msg"]?.stringValue ?? body?["message"]?.stringValue ?? "Signing up failed."
            return Page.response(
                render(
                    notice: "<div class=\"notice bad\" role=\"alert\"><strong>Not signed up.</strong> \(reason)</div>",
                    email: email),
                status: answer.status)
        }
        return Page.response(render(notice: Self.welcome(body)))
    }

    /// Says what was made: a session means that the account is usable, a user alone that it awaits confirmation.
    private static func welcome(_ body: JSON?) -> Page.Markup {
        let user = body?["user"] ?? body
        let tenant = user?["app_metadata"]?["tenant_id"]?.stringValue ?? "made when the address is confirmed"
        let state: Page.Markup =
            body?["access_token"] == nil
            ? "Confirm your address by the mail that was sent to it." : "You can sign in with every Supabase client."
        return """
            <div class="notice good" role="status"><strong>Signed up.</strong> \(state)
            <dl><dt>Account</dt><dd>\(user?["email"]?.stringValue ?? "")</dd>
            <dt>User</dt><dd><code>\(user?["id"]?.stringValue ?? "")</code></dd>
            <dt>Tenant</dt><dd><code>\(tenant)</code></dd></dl></div>
            """
    }

    private static func object(_ response: HTTPResponse) -> JSON? {
        switch response.body {
        case .bytes(let bytes): try? JSON(parsing: bytes)
        case .lent(let owner): owner.withBytes { try? JSON(parsing: Array($0)) }
        case .empty, .file, .stream: nil
        }
    }

    /// Whether the form was sent by a page of this very server. Browsers say so in `Origin`; what sends none is no browser
    /// that another site could have steered.
    private static func isSameOrigin(_ request: HTTPRequest) -> Bool {
        if let site = request.headers["sec-fetch-site"] { return site == "same-origin" || site == "none" }
        guard let origin = request.headers["origin"] else { return true }
        guard let host = request.headers["host"] else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    private func render(notice: Page.Markup = "", email: String = "") -> String {
        let rows = listings.map { listing in
            "<tr><td>\(listing.name)</td><td><code>\(listing.address)</code></td></tr>" as Page.Markup
        }
        return page.render([
            "notice": notice, "email": "\(email)", "minPasswordLength": "\(minPasswordLength)",
            "services": Page.Markup(joining: rows),
        ])
    }
}
