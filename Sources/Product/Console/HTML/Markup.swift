// SPDX-License-Identifier: Apache-2.0

/// A piece of an HTML page. Text is escaped when it becomes markup, whatever it holds: there is no way to put a string into
/// a page as it is.
indirect enum Markup: Sendable, ExpressibleByStringInterpolation {
    case text(String)
    case element(Tag, [Attribute], [Markup])
    case group([Markup])

    static let nothing = Markup.group([])

    init(stringLiteral value: String) { self = .text(value) }

    /// An element; its children are built as in ``MarkupBuilder``.
    init(_ tag: Tag, _ attributes: Attribute..., @MarkupBuilder content: () -> Markup = { .nothing }) {
        self = .element(tag, attributes, [content()])
    }

    /// The bytes of a page.
    var html: String {
        var html = ""
        write(to: &html)
        return html
    }

    func write(to html: inout String) {
        switch self {
        case .text(let text): Self.escape(text, to: &html)
        case .group(let parts): for part in parts { part.write(to: &html) }
        case .element(let tag, let attributes, let children):
            html += "<\(tag.rawValue)"
            for attribute in attributes { attribute.write(to: &html) }
            html += ">"
            guard !tag.isVoid else { return }
            for child in children { child.write(to: &html) }
            html += "</\(tag.rawValue)>"
        }
    }

    static func escape(_ text: String, to html: inout String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": html += "&amp;"
            case "<": html += "&lt;"
            case ">": html += "&gt;"
            case "\"": html += "&quot;"
            case "'": html += "&#39;"
            default: html.unicodeScalars.append(scalar)
            }
        }
    }
}

/// The elements that pages are made of. Elements whose content is not text of HTML, such as scripts and styles, are missing on
/// purpose: escaping would be wrong in them.
enum Tag: String, Sendable {
    case a, abbr, article, aside, body, button, circle, code, dd, details, div, dl, dt, em, fieldset, figcaption, figure
    case footer, form, g, h1, h2, h3, head, header, html, img, input, label, legend, li, line, link, main, meta, nav, ol
    case optgroup, option, output, p, path, polyline, pre, progress, rect, section, select, small, span, strong,
        summary, svg
    case table, tbody, td, textarea, th, thead, time, title, tr, ul

    var isVoid: Bool {
        switch self {
        case .img, .input, .link, .meta: true
        default: false
        }
    }
}

/// One attribute of an element.
struct Attribute: Sendable {
    private let name: String
    /// Nil for one that stands alone, such as `required`.
    private let value: String?
    private let isShown: Bool

    private init(_ name: String, _ value: String?, isShown: Bool = true) {
        self.name = name
        self.value = value
        self.isShown = isShown
    }

    func write(to html: inout String) {
        guard isShown else { return }
        html += " \(name)"
        guard let value else { return }
        html += "=\""
        Markup.escape(value, to: &html)
        html += "\""
    }

    /// An address: a path on this server, or one of http, https and mailto. Anything else, such as `javascript:`, becomes `#`.
    static func href(_ address: String) -> Attribute { Attribute("href", checked(address)) }
    static func action(_ path: String) -> Attribute { Attribute("action", checked(path)) }

    private static func checked(_ address: String) -> String {
        let allowed = ["/", "#", "?", "http://", "https://", "mailto:"]
        // A browser drops tabs and line breaks before it looks at the scheme.
        guard address.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F }),
            allowed.contains(where: address.lowercased().hasPrefix)
        else { return "#" }
        return address
    }

    static func id(_ value: String) -> Attribute { Attribute("id", value) }
    static func `class`(_ value: String) -> Attribute { Attribute("class", value) }
    static func name(_ value: String) -> Attribute { Attribute("name", value) }
    static func type(_ value: String) -> Attribute { Attribute("type", value) }
    static func value(_ value: String) -> Attribute { Attribute("value", value) }
    static func `for`(_ value: String) -> Attribute { Attribute("for", value) }
    static func method(_ value: String) -> Attribute { Attribute("method", value) }
    static func role(_ value: String) -> Attribute { Attribute("role", value) }
    static func lang(_ value: String) -> Attribute { Attribute("lang", value) }
    static func scope(_ value: String) -> Attribute { Attribute("scope", value) }
    static func rel(_ value: String) -> Attribute { Attribute("rel", value) }
    static func title(_ value: String) -> Attribute { Attribute("title", value) }
    static func content(_ value: String) -> Attribute { Attribute("content", value) }
    static func charset(_ value: String) -> Attribute { Attribute("charset", value) }
    static func datetime(_ value: String) -> Attribute { Attribute("datetime", value) }
    static func autocomplete(_ value: String) -> Attribute { Attribute("autocomplete", value) }
    static func minlength(_ count: Int) -> Attribute { Attribute("minlength", String(count)) }
    static func maxlength(_ count: Int) -> Attribute { Attribute("maxlength", String(count)) }
    static func aria(_ name: String, _ value: String) -> Attribute { Attribute("aria-\(name)", value) }
    /// A number of SVG, such as `width` or `x1`.
    static func svg(_ name: String, _ value: String) -> Attribute { Attribute(name, value) }
    static func required(_ isOn: Bool = true) -> Attribute { Attribute("required", nil, isShown: isOn) }
    static func autofocus(_ isOn: Bool = true) -> Attribute { Attribute("autofocus", nil, isShown: isOn) }
    static func checked(_ isOn: Bool) -> Attribute { Attribute("checked", nil, isShown: isOn) }
    static func selected(_ isOn: Bool) -> Attribute { Attribute("selected", nil, isShown: isOn) }
}

/// Builds markup from elements, texts, conditions and loops.
@resultBuilder
enum MarkupBuilder {
    static func buildExpression(_ markup: Markup) -> Markup { markup }
    static func buildExpression(_ text: String) -> Markup { .text(text) }
    static func buildExpression(_ parts: [Markup]) -> Markup { .group(parts) }
    static func buildBlock(_ parts: Markup...) -> Markup { .group(parts) }
    static func buildOptional(_ part: Markup?) -> Markup { part ?? .nothing }
    static func buildEither(first part: Markup) -> Markup { part }
    static func buildEither(second part: Markup) -> Markup { part }
    static func buildArray(_ parts: [Markup]) -> Markup { .group(parts) }
}
