// SPDX-License-Identifier: Apache-2.0
package import HTTP
internal import Platform
internal import Primitives

/// The web pages: rendered here, without scripts, over the server's own API with the visitor's own rights.
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

    let api: ConsoleAPI
    let forms: FormGuard
    let listings: [Listing]
    let minPasswordLength: Int
    /// The API's address, without a slash at its end.
    let siteURL: String

    /// - Parameters:
    ///   - secret: of the project; the key of forms is derived from it.
    ///   - siteURL: where browsers reach this server.
    package init(
        api: ConsoleAPI, secret: [UInt8], siteURL: String, listings: [Listing], minPasswordLength: Int
    ) {
        self.api = api
        forms = FormGuard(secret: secret)
        self.siteURL = siteURL
        self.listings = listings
        self.minPasswordLength = minPasswordLength
    }

    /// Adds the routes of the pages.
    package func register(on router: inout Router) {
        router.on(.get, "/", open(home))
        registerAccountPages(on: &router)
        router.on(.get, "/dashboard", forMembers(dashboard))
        registerSettings(on: &router)
        for (path, asset, type) in [
            ("/assets/atoll.css", "web/atoll.css", "text/css; charset=utf-8"),
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

    // MARK: Home

    private func home(_ visit: inout Visit) async throws -> HTTPResponse {
        if let session = await ConsoleSession.current(of: visit.request, api) {
            visit.session = session
            return PageResponse.redirect("/dashboard")
        }
        let layout = Layout(title: "Home", path: "/", formToken: visit.formToken)
        return PageResponse.html(
            layout.page {
                Markup(.div, .class("grid")) {
                    Markup(.div, .class("hero")) {
                        Markup(.h1) { "An isolated home for everyone who signs up" }
                        Markup(.p) {
                            "Account, profile, tenant, encrypted keys, tables under row level security: made in the same transaction as the sign-up."
                        }
                        Markup(.p) {
                            Markup(.a, .class("button quiet"), .href("/auth/signin")) { "I have an account" }
                        }
                    }
                    signUpForm(visit)
                }
                services
            })
    }

    /// "What runs where".
    var services: Markup {
        Layout.section("services", "What runs where") {
            Markup(.table) {
                Markup(.thead) {
                    Markup(.tr) {
                        Markup(.th, .scope("col")) { "Service" }
                        Markup(.th, .scope("col")) { "Address" }
                    }
                }
                Markup(.tbody) {
                    for listing in listings {
                        Markup(.tr) {
                            Markup(.td) { listing.name }
                            Markup(.td) { Markup(.code) { listing.address } }
                        }
                    }
                }
            }
            Markup(.p, .class("hint")) {
                "The keys for clients are printed by "
                Markup(.code) { "atoll status" }
                "."
            }
        }
    }
}
