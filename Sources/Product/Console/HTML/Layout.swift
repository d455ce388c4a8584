// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// What all pages share: head, skip link, navigation, the frame around their content.
struct Layout: Sendable {
    /// What stands around a page's content.
    enum Frame: Sendable {
        /// One narrow column, for pages that are one form.
        case narrow
        /// As narrow, without the ways in and around: for a page that does not know who asks.
        case bare
        case wide
        case settings(SettingsSection)
        case admin(AdminSection)
    }

    var title: Phrase
    var frame = Frame.wide
    /// Nil where nobody is signed in.
    var person: Person?
    /// The path of the page, which the navigation marks.
    var path = ""
    /// The same with its query, where it can be loaded again.
    var address = ""
    /// For the forms of the navigation.
    var formToken = ""
    /// Whether the page shows progress and is loaded again where scripts do not run.
    var isRefreshed = false
    /// The provider's widget that stands in the page.
    var widget: CaptchaWidget?
    var language = Language.english
    /// What there is to choose from.
    var languages: [Language] = []

    func page(_ body: Markup) -> String {
        let markup = Markup(.html, .lang(language.code), .direction(isRightToLeft: language.isRightToLeft)) {
            Markup(.head) {
                Markup(.meta, .charset("utf-8"))
                Markup(.meta, .name("viewport"), .content("width=device-width, initial-scale=1"))
                Markup(.meta, .name("color-scheme"), .content("light dark"))
                Markup(.title) {
                    Markup.text(title)
                    Markup.data(" · Atoll")
                }
                Markup(.link, .rel("stylesheet"), .href("/assets/atoll.css"))
                Markup(.link, .rel("icon"), .type("image/svg+xml"), .href("/assets/atoll.svg"))
                Markup(.script, .src("/assets/atoll.js"), .defer())
                if let widget { Markup(.script, .src(of: widget, in: language), .defer()) }
                if isRefreshed {
                    Markup(.noscript) { Markup(.meta, .httpEquiv("refresh"), .content("2")) }
                }
            }
            Markup(.body) {
                Markup(.a, .class("skip"), .href("#content"), text: .skipToContent)
                top
                framed(body)
                Markup(.footer, .class("foot")) {
                    Markup(.p, text: .footer)
                    if languages.count > 1 { languageChoice }
                }
            }
        }
        return "<!doctype html>" + markup.html(in: language)
    }

    /// Why nothing is there, where the tenant is closed.
    @MarkupBuilder private var closure: Markup {
        switch person?.tenant?.status {
        case "suspended": Components.notice(.of(.tenantClosedSuspended), isGood: false)
        case "deleted": Components.notice(.of(.teamIsDeleted), isGood: false)
        default: Markup.nothing
        }
    }

    @MarkupBuilder private func framed(_ content: Markup) -> Markup {
        let body = Markup.group([closure, content])
        switch frame {
        case .narrow, .bare: Markup(.main, .id("content"), .class("narrow"), .tabindex(-1)) { body }
        case .wide: Markup(.main, .id("content"), .class("wide"), .tabindex(-1)) { body }
        case .settings(let current):
            Markup(.div, .class("beside")) {
                sideNavigation(
                    .settingsNavigation,
                    SettingsSection.allCases.map { ($0.path, $0.title, $0.icon, $0 == current) })
                Markup(.main, .id("content"), .tabindex(-1)) { body }
            }
        case .admin(let current):
            Markup(.div, .class("beside wider")) {
                sideNavigation(
                    .adminNavigation, AdminSection.allCases.map { ($0.path, $0.title, $0.icon, $0 == current) })
                Markup(.main, .id("content"), .tabindex(-1)) { body }
            }
        }
    }

    private func sideNavigation(
        _ name: Message, _ links: [(path: String, title: Message, icon: Icon, isCurrent: Bool)]
    ) -> Markup {
        Markup(.nav, .class("side"), .label(name)) {
            Markup(.ul) {
                for link in links {
                    Markup(.li) {
                        Markup.element(
                            .a, [.href(link.path)] + (link.isCurrent ? [.aria("current", "page")] : []),
                            [link.icon.markup, Markup(.span, text: link.title)])
                    }
                }
            }
        }
    }

    // MARK: The top of the page

    private var top: Markup {
        Markup(.header, .class(isWider ? "top wider" : "top")) {
            Markup(.a, .class("brand"), .href(home)) {
                Markup(.img, .src("/assets/atoll.svg"), .noAlt(), .svg("width", "26"), .svg("height", "26"))
                Markup.data("Atoll")
            }
            switch (frame, person) {
            case (.admin, _): operatorMenu
            case (.bare, _): Markup.nothing
            case (_, let person?):
                if !person.tenants.isEmpty { tenantMenu(person) }
                Markup(.nav, .class("main"), .label(.mainNavigation)) {
                    Markup(.ul) {
                        link("/dashboard", .dashboard)
                        link("/usage", .usage)
                        link("/settings", .settings)
                        if person.isOperator { link("/admin", .administration) }
                    }
                }
                accountMenu(person)
            case (_, nil):
                Markup(.nav, .class("main end"), .label(.mainNavigation)) {
                    Markup(.ul) {
                        link("/auth/signin", .signIn)
                        link("/auth/signup", .signUp)
                    }
                }
            }
        }
    }

    private var isWider: Bool { if case .admin = frame { true } else { false } }

    private var home: String {
        if case .admin = frame { return "/admin" }
        return person == nil ? "/" : "/dashboard"
    }

    private func link(_ target: String, _ name: Message) -> Markup {
        let isCurrent = path == target || path.hasPrefix(target + "/")
        return Markup(.li) {
            Markup.element(
                .a, [.href(target)] + (isCurrent ? [.aria("current", "page")] : []), [.text(.message(name, []))])
        }
    }

    /// The tenants one can work in, each a button of one form: it works without scripts.
    private func tenantMenu(_ person: Person) -> Markup {
        Markup(.details, .class("menu"), .hook("menu")) {
            Markup(.summary, .label(.switchTenant, person.tenantName)) {
                Markup(.span, .class("clip"), data: person.tenantName)
                Icon.chevron.markup
            }
            Markup(.form, .class("panel"), .method("post"), .action("/tenant/switch")) {
                Form.token(formToken)
                Markup(.p, .class("panel-title"), text: .yourTenants)
                for tenant in person.tenants {
                    Markup(.button, .type("submit"), .name("tenant_id"), .value(tenant.id), .class("row")) {
                        Markup(.span, .class("clip"), data: tenant.name)
                        if tenant.id == person.tenantID {
                            Markup(.span, .class("badge good"), text: .current)
                        } else {
                            Markup(.span, .class("badge")) { Markup.text(Console.roleName(tenant.role)) }
                        }
                    }
                }
                Markup(.a, .class("row"), .href("/settings/team#new-team"), text: .newTeam)
            }
        }
    }

    private func accountMenu(_ person: Person) -> Markup {
        Markup(.details, .class("menu end"), .hook("menu")) {
            Markup(.summary, .label(.accountMenu, person.name)) {
                Components.avatar(person.avatarPath, person.name)
                Icon.chevron.markup
            }
            Markup(.div, .class("panel right")) {
                Markup(.p, .class("panel-title")) {
                    Markup(.strong, data: person.name)
                    Markup(.span, data: person.email)
                }
                Markup(.a, .class("row"), .href("/settings"), text: .settings)
                Markup(.a, .class("row"), .href("/settings/security"), text: .security)
                Markup(.form, .method("post"), .action("/auth/signout")) {
                    Form.token(formToken)
                    Markup(.button, .type("submit"), .class("row"), text: .signOut)
                }
            }
        }
    }

    @MarkupBuilder private var operatorMenu: Markup {
        Markup(.span, .class("badge warn"), text: .operatorBadge)
        Markup(.form, .class("end"), .method("post"), .action("/admin/signout")) {
            Form.token(formToken)
            Markup(.button, .type("submit"), .class("quiet"), text: .leaveAdministration)
        }
    }

    private var languageChoice: Markup {
        Markup(.form, .method("post"), .action("/language"), .class("inline")) {
            Form.token(formToken)
            Markup(.input, .type("hidden"), .name("next"), .value(address))
            for choice in languages {
                Markup(
                    .button, .type("submit"), .name("language"), .value(choice.code), .lang(choice.code),
                    .class("link"), data: choice.name)
            }
        }
    }
}
