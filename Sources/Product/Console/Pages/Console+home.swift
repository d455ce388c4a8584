// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// The first page.
extension Console {
    func home(_ visit: inout Visit) async throws -> HTTPResponse {
        if let session = await ConsoleSession.current(of: visit.request, api) {
            visit.session = session
            return PageResponse.redirect("/dashboard")
        }
        visit.widget = methods.captcha
        return visit.page(.home) {
            Markup(.div, .class("hero")) {
                Markup(.div) {
                    Markup(.h1, text: .heroTitle)
                    Markup(.p, .class("lead"), text: .heroText)
                    Markup(.ul, .class("points")) {
                        for (icon, point) in [
                            (Icon.shield, Message.heroIsolation), (.key, .heroKeys), (.table, .heroServices),
                        ] {
                            Markup(.li) {
                                icon.markup
                                Markup(.span, text: point)
                            }
                        }
                    }
                }
                Markup(.div) {
                    signUpForm(visit)
                    Markup(.p, .class("hint centred")) {
                        Markup.text(.haveAccount)
                        Markup.data(" ")
                        Markup(.a, .href("/auth/signin"), text: .signIn)
                    }
                }
            }
            services
        }
    }

    /// "What runs where".
    var services: Markup {
        Components.section("services", .whatRunsWhere, .of(.whatRunsWhereText)) {
            Components.table(
                .whatRunsWhere, [.service, .address],
                rows: listings.map { [.data($0.name), Components.code($0.address)] })
            Markup(.p, .class("hint")) {
                Markup.text(.keysAreIn)
                Markup.data(" ")
                Components.code("atoll status")
            }
        }
    }
}
