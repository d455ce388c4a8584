// SPDX-License-Identifier: Apache-2.0
package import HTTP
internal import Platform
package import Primitives

/// The web pages: rendered here, over the server's own API with the visitor's own rights. They work without scripts; the one script
/// there is makes some of them more pleasant.
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

    /// What a newcomer can choose.
    package struct Setup: Sendable {
        /// Whether tenants can have a schema of their own: the project has templates for them.
        package var offersSchemas = false
        /// Whether that is what the project wants.
        package var prefersSchemas = false

        package init() {}
    }

    let api: ConsoleAPI
    let forms: FormGuard
    let operators: OperatorGate
    let listings: [Listing]
    let minPasswordLength: Int
    let methods: AccountMethods
    let setup: Setup
    /// The API's address, without a slash at its end.
    let siteURL: String
    let languages: [Language]
    /// Nil where there are no pages for operators.
    let administration: Administration?
    let log: Log

    /// - Parameters:
    ///   - secret: of the project; the keys of forms and of operators' cookies are derived from it.
    ///   - siteURL: where browsers reach this server.
    ///   - methods: what Auth takes as a proof of who somebody is, beside addresses and passwords.
    ///   - languages: the first is the one for browsers that ask for none of them.
    ///   - administration: what operators' pages work on.
    package init(
        api: ConsoleAPI, secret: [UInt8], siteURL: String, listings: [Listing], minPasswordLength: Int,
        methods: AccountMethods = AccountMethods(), setup: Setup = Setup(), languages: [Language] = [.english],
        administration: Administration? = nil,
        log: Log = .disabled
    ) {
        self.api = api
        forms = FormGuard(secret: secret)
        operators = OperatorGate(secret: secret)
        self.siteURL = siteURL
        self.listings = listings
        self.minPasswordLength = minPasswordLength
        self.methods = methods
        self.setup = setup
        self.languages = languages
        self.administration = administration
        self.log = log.with(.field("service", "console"))
    }

    /// Adds the routes of the pages.
    package func register(on router: inout Router) {
        // The shortest prefix there is: paths that no service has for its own.
        router.group("", errors: answer) { router in
            router.on(.get, "/", open(home))
            router.on(.post, "/language", maxBodyBytes: Self.maxFormBytes, open(chooseLanguage))
            registerAccountPages(on: &router)
            registerFactorChallenge(on: &router)
            registerInvitations(on: &router)
            router.on(.get, "/dashboard", forMembers(dashboard))
            router.on(.get, "/usage", forMembers(usagePage))
            router.on(.get, "/activity", forMembers(activityPage))
            registerSetup(on: &router)
            registerSettings(on: &router)
            if let administration { AdminPages(console: self, administration: administration).register(on: &router) }
            registerAssets(on: &router)
        }
    }

    private func registerAssets(on router: inout Router) {
        for (path, asset, type) in [
            ("/assets/atoll.css", "web/atoll.css", "text/css; charset=utf-8"),
            ("/assets/atoll.js", "web/atoll.js", "text/javascript; charset=utf-8"),
            ("/assets/atoll.svg", "web/atoll.svg", "image/svg+xml"),
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

    /// The largest form.
    static let maxFormBytes = 64 << 10

    private func chooseLanguage(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        if let language = languages.first(where: { $0.code == form.first("language") }) {
            visit.cookies.append(Cookie(name: Self.languageCookie, value: language.code, maxAge: 365 * 86_400))
        }
        return PageResponse.redirect(Self.destination(form.first("next"), otherwise: "/"))
    }
}
