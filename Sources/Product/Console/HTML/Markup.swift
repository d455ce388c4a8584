// SPDX-License-Identifier: Apache-2.0

/// A piece of an HTML page. Texts come from the catalogue of messages; whatever else is shown is data and is marked as such.
/// Both are escaped when they become markup, whatever they hold: there is no way to put a string into a page as it is.
indirect enum Markup: Sendable {
    case text(Phrase)
    case element(Tag, [Attribute], [Markup])
    case group([Markup])

    static let nothing = Markup.group([])

    var isEmpty: Bool {
        if case .group(let parts) = self { parts.allSatisfy(\.isEmpty) } else { false }
    }

    /// What is no text of ours: a name, a number, a row's cell.
    static func data(_ text: String) -> Markup { .text(.words(text)) }
    static func text(_ message: Message, _ arguments: String...) -> Markup { .text(.message(message, arguments)) }

    /// An element; its children are built as in ``MarkupBuilder``.
    init(_ tag: Tag, _ attributes: Attribute..., @MarkupBuilder content: () -> Markup = { .nothing }) {
        self = .element(tag, attributes, [content()])
    }

    /// An element with a text of the catalogue.
    init(_ tag: Tag, _ attributes: Attribute..., text: Message, _ arguments: String...) {
        self = .element(tag, attributes, [.text(.message(text, arguments))])
    }

    /// An element with data.
    init(_ tag: Tag, _ attributes: Attribute..., data: String) {
        self = .element(tag, attributes, [.data(data)])
    }

    /// The bytes of a page in a language.
    func html(in language: Language) -> String {
        var html = ""
        write(to: &html, language)
        return html
    }

    func write(to html: inout String, _ language: Language) {
        switch self {
        case .text(let phrase): Self.escape(phrase.text(in: language), to: &html)
        case .group(let parts): for part in parts { part.write(to: &html, language) }
        case .element(let tag, let attributes, let children):
            html += "<\(tag.rawValue)"
            for attribute in attributes { attribute.write(to: &html, language) }
            html += ">"
            guard !tag.isVoid else { return }
            if tag != .script { for child in children { child.write(to: &html, language) } }
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

/// The elements that pages are made of. Those whose content is not text of HTML, such as styles, are missing on purpose: escaping
/// would be wrong in them. A script names a file and is written without content.
enum Tag: String, Sendable {
    case a, abbr, article, aside, body, button, circle, code, dd, details, div, dl, dt, em, fieldset, figcaption, figure
    case footer, form, g, h1, h2, h3, head, header, html, img, input, label, legend, li, line, link, main, meta, nav
    case noscript, ol, optgroup, option, output, p, path, polyline, pre, progress, rect, script, section, select, small
    case span, strong, summary, svg
    case caption, table, tbody, td, text, textarea, th, thead, time, title, tr, ul

    var isVoid: Bool {
        switch self {
        case .img, .input, .link, .meta: true
        default: false
        }
    }
}

/// One attribute of an element.
struct Attribute: Sendable {
    private enum Value: Sendable {
        /// Stands alone, such as `required`.
        case none
        case literal(String)
        case phrase(Phrase)
    }
    private let name: String
    private let value: Value
    private let isShown: Bool

    private init(_ name: String, _ value: String) {
        self.name = name
        self.value = .literal(value)
        isShown = true
    }

    private init(_ name: String, isShown: Bool) {
        self.name = name
        value = .none
        self.isShown = isShown
    }

    private init(_ name: String, _ phrase: Phrase) {
        self.name = name
        value = .phrase(phrase)
        isShown = true
    }

    func write(to html: inout String, _ language: Language) {
        guard isShown else { return }
        html += " \(name)"
        let text: String
        switch value {
        case .none: return
        case .literal(let literal): text = literal
        case .phrase(let phrase): text = phrase.text(in: language)
        }
        html += "=\""
        Markup.escape(text, to: &html)
        html += "\""
    }

    /// An address: a path on this server, or one of http, https and mailto. Anything else, such as `javascript:`, becomes `#`.
    static func href(_ address: String) -> Attribute { Attribute("href", checked(address)) }
    static func action(_ path: String) -> Attribute { Attribute("action", checked(path)) }
    /// A picture or a script of this server.
    static func src(_ path: String) -> Attribute {
        Attribute("src", path.hasPrefix("/") && !path.hasPrefix("//") ? checked(path) : "#")
    }
    /// The script of a provider whom the configuration names.
    static func src(of widget: CaptchaWidget, in language: Language) -> Attribute {
        Attribute("src", checked(widget.script(in: language)))
    }
    /// A picture that stands in the page itself.
    static func picture(type: String, base64: String) -> Attribute {
        Attribute("src", "data:\(type);base64,\(base64)")
    }

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
    static func form(_ value: String) -> Attribute { Attribute("form", value) }
    static func method(_ value: String) -> Attribute { Attribute("method", value) }
    static func enctype(_ value: String) -> Attribute { Attribute("enctype", value) }
    static func accept(_ value: String) -> Attribute { Attribute("accept", value) }
    static func role(_ value: String) -> Attribute { Attribute("role", value) }
    static func lang(_ value: String) -> Attribute { Attribute("lang", value) }
    static func direction(isRightToLeft: Bool) -> Attribute { Attribute("dir", isRightToLeft ? "rtl" : "ltr") }
    /// Lines run as the text in the field does, whatever the page's language.
    static func directionOfText() -> Attribute { Attribute("dir", "auto") }
    static func scope(_ value: String) -> Attribute { Attribute("scope", value) }
    /// A link or a form whose answer is shown beside the page, in a tab of its own, which cannot reach back.
    static func opensTab() -> Attribute { Attribute("target", "_blank") }
    static func rel(_ value: String) -> Attribute { Attribute("rel", value) }
    static func content(_ value: String) -> Attribute { Attribute("content", value) }
    static func httpEquiv(_ value: String) -> Attribute { Attribute("http-equiv", value) }
    static func charset(_ value: String) -> Attribute { Attribute("charset", value) }
    static func datetime(_ value: String) -> Attribute { Attribute("datetime", value) }
    static func autocomplete(_ value: String) -> Attribute { Attribute("autocomplete", value) }
    static func inputmode(_ value: String) -> Attribute { Attribute("inputmode", value) }
    static func pattern(_ value: String) -> Attribute { Attribute("pattern", value) }
    static func minlength(_ count: Int) -> Attribute { Attribute("minlength", String(count)) }
    static func maxlength(_ count: Int) -> Attribute { Attribute("maxlength", String(count)) }
    static func rows(_ count: Int) -> Attribute { Attribute("rows", String(count)) }
    static func tabindex(_ index: Int) -> Attribute { Attribute("tabindex", String(index)) }
    static func spellcheck(_ isOn: Bool) -> Attribute { Attribute("spellcheck", isOn ? "true" : "false") }
    static func aria(_ name: String, _ value: String) -> Attribute { Attribute("aria-\(name)", value) }
    /// What `atoll.js` looks for.
    static func hook(_ name: String, _ value: String = "") -> Attribute { Attribute("data-\(name)", value) }
    /// What `atoll.js` shows to people.
    static func hook(_ name: String, _ phrase: Phrase) -> Attribute { Attribute("data-\(name)", phrase) }
    /// A number of SVG, such as `width` or `x1`.
    static func svg(_ name: String, _ value: String) -> Attribute { Attribute(name, value) }
    static func required(_ isOn: Bool = true) -> Attribute { Attribute("required", isShown: isOn) }
    static func autofocus(_ isOn: Bool = true) -> Attribute { Attribute("autofocus", isShown: isOn) }
    static func checked(_ isOn: Bool) -> Attribute { Attribute("checked", isShown: isOn) }
    static func selected(_ isOn: Bool) -> Attribute { Attribute("selected", isShown: isOn) }
    static func disabled(_ isOn: Bool) -> Attribute { Attribute("disabled", isShown: isOn) }
    static func open(_ isOn: Bool) -> Attribute { Attribute("open", isShown: isOn) }
    static func hidden(_ isOn: Bool = true) -> Attribute { Attribute("hidden", isShown: isOn) }
    static func readonly(_ isOn: Bool = true) -> Attribute { Attribute("readonly", isShown: isOn) }
    static func `defer`() -> Attribute { Attribute("defer", isShown: true) }

    // MARK: Attributes that people read

    /// The name that a screen reader gives the element.
    static func label(_ message: Message, _ arguments: String...) -> Attribute {
        Attribute("aria-label", .message(message, arguments))
    }
    static func alt(_ message: Message, _ arguments: String...) -> Attribute {
        Attribute("alt", .message(message, arguments))
    }
    /// A picture that says nothing a text beside it does not say.
    static func noAlt() -> Attribute { Attribute("alt", "") }
    static func title(_ phrase: Phrase) -> Attribute { Attribute("title", phrase) }
    static func placeholder(_ phrase: Phrase) -> Attribute { Attribute("placeholder", phrase) }
}

/// Builds markup from elements, conditions and loops. Strings are no markup: a text is a ``Message``, the rest is ``Markup/data(_:)``.
@resultBuilder
enum MarkupBuilder {
    static func buildExpression(_ markup: Markup) -> Markup { markup }
    static func buildExpression(_ parts: [Markup]) -> Markup { .group(parts) }
    static func buildBlock(_ parts: Markup...) -> Markup { .group(parts) }
    static func buildOptional(_ part: Markup?) -> Markup { part ?? .nothing }
    static func buildEither(first part: Markup) -> Markup { part }
    static func buildEither(second part: Markup) -> Markup { part }
    static func buildArray(_ parts: [Markup]) -> Markup { .group(parts) }
}
