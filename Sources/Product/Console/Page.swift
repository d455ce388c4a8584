// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform

/// A web page made of an embedded template, in which `{{name}}` stands for a value.
struct Page {
    /// Text that is safe within HTML: made by escaping, or by the program itself.
    struct Markup: ExpressibleByStringInterpolation {
        let html: String

        init(stringLiteral value: String) { html = value }
        init(stringInterpolation: StringInterpolation) { html = stringInterpolation.html }
        init(joining parts: [Markup]) { html = parts.map(\.html).joined(separator: "\n") }

        /// Interpolated text is escaped; interpolated markup is not.
        struct StringInterpolation: StringInterpolationProtocol {
            var html = ""
            init(literalCapacity: Int, interpolationCount: Int) { html.reserveCapacity(literalCapacity) }
            mutating func appendLiteral(_ literal: String) { html += literal }
            mutating func appendInterpolation(_ text: String) { html += Markup.escape(text) }
            mutating func appendInterpolation(_ number: Int) { html += String(number) }
            mutating func appendInterpolation(_ markup: Markup) { html += markup.html }
        }

        static func escape(_ text: String) -> String {
            var escaped = ""
            for character in text {
                switch character {
                case "&": escaped += "&amp;"
                case "<": escaped += "&lt;"
                case ">": escaped += "&gt;"
                case "\"": escaped += "&quot;"
                case "'": escaped += "&#39;"
                default: escaped.append(character)
                }
            }
            return escaped
        }
    }

    private let parts: [Part]

    private enum Part {
        case text(String)
        case value(String)
    }

    /// - Parameter template: text in which every `{{` is followed by a name and `}}`.
    init(template: String) {
        var parts: [Part] = []
        var rest = template[...]
        while let open = rest.firstRange(of: "{{"), let close = rest[open.upperBound...].firstRange(of: "}}") {
            parts.append(.text(String(rest[..<open.lowerBound])))
            parts.append(.value(String(rest[open.upperBound..<close.lowerBound])))
            rest = rest[close.upperBound...]
        }
        parts.append(.text(String(rest)))
        self.parts = parts
    }

    /// The names that have to be given a value.
    var names: Set<String> {
        Set(parts.compactMap { if case .value(let name) = $0 { name } else { nil } })
    }

    func render(_ values: [String: Markup]) -> String {
        parts.reduce(into: "") { page, part in
            switch part {
            case .text(let text): page += text
            case .value(let name): page += values[name]?.html ?? ""
            }
        }
    }

    /// The response for a page: no scripts, nothing from elsewhere, in no frame, not kept.
    static func response(_ html: String, status: HTTPStatus = .ok) -> HTTPResponse {
        var response = HTTPResponse.html(html, status: status)
        response.headers.append(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        response.headers.append("X-Content-Type-Options", "nosniff")
        response.headers.append("Referrer-Policy", "no-referrer")
        response.headers.append("Cache-Control", "no-store")
        return response
    }
}
