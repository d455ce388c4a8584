// SPDX-License-Identifier: Apache-2.0

/// A media type that requests offer or answers have.
enum MediaType: Sendable, Hashable {
    case any
    case json
    /// `application/vnd.pgrst.object+json`
    case object(stripsNulls: Bool)
    /// `application/vnd.pgrst.array+json`; without stripping it is plain JSON.
    case strippedArray
    case csv
    case geoJSON
    /// `application/vnd.pgrst.plan`: the execution plan of what would be answered in the inner type.
    indirect case plan(MediaType, asText: Bool, options: [PlanOption])
    case openAPI
    case form
    case plainText
    case xml
    case octets
    case other(String)

    /// Options of EXPLAIN, in the order in which they are shown.
    enum PlanOption: String, Sendable, Hashable, CaseIterable {
        case analyze, verbose, settings, buffers, wal
    }

    /// Reads one type with its parameters.
    init(_ text: String) {
        let parts = text.split(separator: ";").map { Self.trimmed($0).lowercased() }
        let stripsNulls = parts.dropFirst().contains("nulls=stripped")
        switch parts.first ?? "" {
        case "", "*/*", "application/*": self = .any
        case "application/json": self = .json
        case "application/vnd.pgrst.object+json", "application/vnd.pgrst.object":
            self = .object(stripsNulls: stripsNulls)
        case "application/vnd.pgrst.array+json", "application/vnd.pgrst.array":
            self = stripsNulls ? .strippedArray : .json
        case "text/csv": self = .csv
        case "application/geo+json": self = .geoJSON
        case "application/vnd.pgrst.plan", "application/vnd.pgrst.plan+text":
            self = Self.plan(parts.dropFirst(), asText: true)
        case "application/vnd.pgrst.plan+json": self = Self.plan(parts.dropFirst(), asText: false)
        case "application/openapi+json": self = .openAPI
        case "application/x-www-form-urlencoded": self = .form
        case "text/plain": self = .plainText
        case "text/xml": self = .xml
        case "application/octet-stream": self = .octets
        case let name: self = .other(name)
        }
    }

    private static func plan(_ parameters: ArraySlice<String>, asText: Bool) -> MediaType {
        var inner = MediaType.json
        var options: [PlanOption] = []
        for parameter in parameters {
            if parameter.hasPrefix("for=") {
                inner = MediaType(parameter.dropFirst(4).filter { $0 != "\"" })
            } else if parameter.hasPrefix("options=") {
                let names = parameter.dropFirst(8).split(separator: "|").map(String.init)
                options = PlanOption.allCases.filter { names.contains($0.rawValue) }
            }
        }
        // A plan of a plan is none.
        if case .plan = inner { inner = .json }
        return .plan(inner == .any ? .json : inner, asText: asText, options: options)
    }

    /// The type whose plan is asked for; the type itself where none is.
    var explained: MediaType {
        if case .plan(let inner, _, _) = self { inner } else { self }
    }

    /// The value of `Content-Type`.
    var contentType: String {
        switch self {
        case .any, .json: "application/json; charset=utf-8"
        case .object(let stripsNulls):
            "application/vnd.pgrst.object+json\(stripsNulls ? ";nulls=stripped" : ""); charset=utf-8"
        case .strippedArray: "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"
        case .csv: "text/csv; charset=utf-8"
        case .geoJSON: "application/geo+json; charset=utf-8"
        case .plan(let inner, let asText, let options):
            "application/vnd.pgrst.plan+\(asText ? "text" : "json"); for=\"\(inner.name)\""
                + (options.isEmpty ? "" : "; options=\(options.map(\.rawValue).joined(separator: "|"))")
                + "; charset=utf-8"
        case .openAPI: "application/openapi+json; charset=utf-8"
        case .form: "application/x-www-form-urlencoded"
        case .plainText: "text/plain; charset=utf-8"
        case .xml: "text/xml; charset=utf-8"
        case .octets: "application/octet-stream"
        case .other(let name): name
        }
    }

    /// The type's name without character set, as messages show it.
    var name: String {
        if self == .any { return MediaHandler.anyType }
        return contentType.hasSuffix("; charset=utf-8")
            ? String(contentType.dropLast("; charset=utf-8".count)) : contentType
    }

    /// The types of an `Accept` header, best first (RFC 9110 section 12.5.1); any type where it is absent or empty.
    static func accepted(_ header: String?) -> [MediaType] {
        guard let header, !header.isEmpty else { return [.any] }
        if header == "*/*" { return [.any] }
        if header == "application/json" { return [.json] }
        let weighed = header.split(separator: ",").enumerated().map { index, item in
            (type: MediaType(String(item)), weight: weight(item), index: index)
        }
        let sorted = weighed.filter { $0.weight > 0 }.sorted { ($1.weight, $0.index) < ($0.weight, $1.index) }
        return sorted.isEmpty ? [.any] : sorted.map(\.type)
    }

    private static func weight(_ item: Substring) -> Double {
        for parameter in item.split(separator: ";").dropFirst() {
            let text = trimmed(parameter)
            if text.hasPrefix("q="), let weight = Double(text.dropFirst(2)) { return weight }
        }
        return 1
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop(while: { $0 == " " }).reversed().drop(while: { $0 == " " }).reversed())
    }
}
