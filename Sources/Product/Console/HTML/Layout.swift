// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// What all pages share: head, skip link, navigation, notices.
struct Layout: Sendable {
    /// Who is signed in, as the navigation names them.
    struct Visitor: Sendable {
        var email: String
        /// The name of the tenant they work in.
        var tenant: String?
    }

    var title: String
    var visitor: Visitor?
    /// The path of the page, which the navigation marks.
    var path = ""
    /// For the sign-out form.
    var formToken = ""
    /// A narrow column, for pages that are one form.
    var isNarrow = false

    func page(@MarkupBuilder content: () -> Markup) -> String {
        let body = content()
        let markup = Markup(.html, .lang("en")) {
            Markup(.head) {
                Markup(.meta, .charset("utf-8"))
                Markup(.meta, .name("viewport"), .content("width=device-width, initial-scale=1"))
                Markup(.title) { "\(title) · Atoll" }
                Markup(.link, .rel("stylesheet"), .href("/assets/atoll.css"))
                Markup(.link, .rel("icon"), .href("/assets/atoll.svg"))
            }
            Markup(.body) {
                Markup(.a, .class("skip"), .href("#content")) { "Skip to the content" }
                navigation
                Markup(.main, .id("content"), .class(isNarrow ? "narrow" : "wide")) { body }
                Markup(.footer) { Markup(.p) { "Atoll · every row, file and key is its tenant's alone" } }
            }
        }
        return "<!doctype html>" + markup.html
    }

    private var navigation: Markup {
        Markup(.header, .class("top")) {
            Markup(.a, .class("brand"), .href(visitor == nil ? "/" : "/dashboard")) { "Atoll" }
            if let visitor {
                Markup(.nav, .aria("label", "Main")) {
                    Markup(.ul) {
                        link("/dashboard", "Dashboard")
                        link("/settings", "Settings")
                    }
                }
                Markup(.div, .class("who")) {
                    Markup(.span, .class("tenant")) { visitor.tenant ?? visitor.email }
                    Markup(.form, .method("post"), .action("/auth/signout")) {
                        Form.token(formToken)
                        Markup(.button, .type("submit"), .class("quiet")) { "Sign out" }
                    }
                }
            } else {
                Markup(.nav, .aria("label", "Main")) {
                    Markup(.ul) {
                        link("/auth/signin", "Sign in")
                        link("/auth/signup", "Sign up")
                    }
                }
            }
        }
    }

    private func link(_ target: String, _ name: String) -> Markup {
        Markup(.li) {
            if target == path {
                Markup(.a, .href(target), .aria("current", "page")) { name }
            } else {
                Markup(.a, .href(target)) { name }
            }
        }
    }

    /// A sentence on how something went, which screen readers read out.
    static func notice(_ text: String, isGood: Bool) -> Markup {
        Markup(.div, .class(isGood ? "notice good" : "notice bad"), .role(isGood ? "status" : "alert")) { text }
    }

    /// A part of a page with a heading of its own.
    static func section(_ id: String, _ title: String, @MarkupBuilder content: () -> Markup) -> Markup {
        let body = content()
        return Markup(.section, .aria("labelledby", id)) {
            Markup(.h2, .id(id)) { title }
            body
        }
    }
}

/// The parts of forms.
enum Form {
    /// What a field holds, and what is wrong with it.
    struct State: Sendable {
        var values: [String: String] = [:]
        var errors: [String: String] = [:]
        /// What concerns the whole form.
        var notice: String?

        static let empty = State()
    }

    static func token(_ token: String) -> Markup {
        Markup(.input, .type("hidden"), .name(FormGuard.fieldName), .value(token))
    }

    /// A labelled input with its hint, and the error beside it.
    static func field(
        _ name: String, _ label: String, type: String = "text", state: State = .empty, hint: String? = nil,
        autocomplete: String = "off", isRequired: Bool = true, minLength: Int? = nil, maxLength: Int = 254,
        takesFocus: Bool = false
    ) -> Markup {
        let error = state.errors[name]
        let described = [hint == nil ? nil : "\(name)-hint", error == nil ? nil : "\(name)-error"].compactMap { $0 }
        var attributes: [Attribute] = [
            .id(name), .name(name), .type(type), .autocomplete(autocomplete), .required(isRequired),
            .maxlength(maxLength), .autofocus(takesFocus),
        ]
        // A password is never sent back.
        if type != "password" { attributes.append(.value(state.values[name] ?? "")) }
        if let minLength { attributes.append(.minlength(minLength)) }
        if !described.isEmpty { attributes.append(.aria("describedby", described.joined(separator: " "))) }
        if error != nil { attributes.append(.aria("invalid", "true")) }
        return Markup(.div, .class("field")) {
            Markup(.label, .for(name)) { label }
            Markup.element(.input, attributes, [])
            if let hint { Markup(.p, .id("\(name)-hint"), .class("hint")) { hint } }
            if let error { Markup(.p, .id("\(name)-error"), .class("error")) { error } }
        }
    }

    static func select(
        _ name: String, _ label: String, options: [(value: String, label: String)], state: State = .empty
    ) -> Markup {
        Markup(.div, .class("field")) {
            Markup(.label, .for(name)) { label }
            Markup(.select, .id(name), .name(name)) {
                for option in options {
                    Markup(.option, .value(option.value), .selected(state.values[name] == option.value)) {
                        option.label
                    }
                }
            }
        }
    }

    static func button(_ label: String, _ kind: String = "primary") -> Markup {
        Markup(.button, .type("submit"), .class(kind)) { label }
    }
}

/// Responses that carry pages.
enum PageResponse {
    /// No scripts, nothing from elsewhere, in no frame, not kept.
    static func html(_ page: String, status: HTTPStatus = .ok) -> HTTPResponse {
        var response = HTTPResponse.html(page, status: status)
        response.headers.append(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        response.headers.append("X-Content-Type-Options", "nosniff")
        response.headers.append("Referrer-Policy", "same-origin")
        response.headers.append("Cache-Control", "no-store")
        return response
    }

    /// See another page, by GET.
    static func redirect(_ path: String) -> HTTPResponse {
        HTTPResponse(303, headers: ["Location": path, "Cache-Control": "no-store"])
    }
}
