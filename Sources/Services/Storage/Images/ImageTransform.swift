// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Images
internal import Primitives

/// What a client wants made of an image: in the query, or in the token of a signed address.
struct ImageTransform: Sendable {
    private(set) var request = ImageRequest()
    /// Whether the client left the format to the server.
    private(set) var negotiatesFormat = true

    /// - Parameter maxSide: what width and height are cut to.
    /// - Throws: ``StorageError`` with `invalidParameter`.
    init(_ value: (String) -> String?, maxSide: Int) throws(StorageError) {
        request.width = try Self.side(value("width"), "width", maxSide)
        request.height = try Self.side(value("height"), "height", maxSide)
        if let text = value("resize") {
            guard let fit = ImageRequest.Fit(rawValue: text) else { throw Self.invalid("resize") }
            request.fit = fit
        }
        if let text = value("format") {
            guard let format = ImageRequest.Format(rawValue: text), [.origin, .avif, .webp].contains(format) else {
                throw Self.invalid("format")
            }
            request.format = format
            negotiatesFormat = false
        }
        if let text = value("quality") {
            guard let quality = Int(text), (20...100).contains(quality) else { throw Self.invalid("quality") }
            request.quality = quality
        }
        try readGravity(value)
    }

    init(_ query: FormFields, maxSide: Int) throws(StorageError) {
        try self.init({ query.first($0) }, maxSide: maxSide)
    }

    init(_ members: JSON?, maxSide: Int) throws(StorageError) {
        try self.init(
            { name in
                guard let value = members?[name], !value.isNull else { return nil }
                return value.stringValue ?? value.text
            }, maxSide: maxSide)
    }

    private mutating func readGravity(_ value: (String) -> String?) throws(StorageError) {
        guard let gravity = value("gravity") else { return }
        let places: [String: (Double, Double)] = [
            "no": (0.5, 0), "so": (0.5, 1), "ea": (1, 0.5), "we": (0, 0.5), "noea": (1, 0), "nowe": (0, 0),
            "soea": (1, 1), "sowe": (0, 1), "ce": (0.5, 0.5),
        ]
        switch gravity {
        case "sm": request.focus = nil
        case "fp":
            guard let x = value("x_offset").flatMap({ Double($0) }), (0...1).contains(x),
                let y = value("y_offset").flatMap({ Double($0) }), (0...1).contains(y)
            else { throw Self.invalid("gravity") }
            request.focus = .init(x: x, y: y)
        default:
            guard let place = places[gravity] else { throw Self.invalid("gravity") }
            request.focus = .init(x: place.0, y: place.1)
        }
    }

    /// Without a format of the client's own, one that it says it takes.
    mutating func negotiate(accept: String?) {
        guard negotiatesFormat, accept?.contains("image/webp") == true else { return }
        request.format = .webp
    }

    /// The value of `X-Transformations`, which names what was done.
    var text: String {
        var parts: [String] = []
        if request.width > 0 { parts.append("width:\(request.width)") }
        if request.height > 0 { parts.append("height:\(request.height)") }
        parts.append("resize:\(request.fit.rawValue)")
        parts.append("format:\(request.format.rawValue)")
        parts.append("quality:\(request.quality)")
        if let focus = request.focus {
            parts.append("focus:\(focus.x):\(focus.y)")
        } else {
            parts.append("focus:smart")
        }
        return parts.joined(separator: ",")
    }

    private static func side(_ text: String?, _ name: String, _ most: Int) throws(StorageError) -> Int {
        guard let text else { return 0 }
        guard let number = Int(text), number >= 0 else { throw invalid(name) }
        return min(number, most)
    }

    private static func invalid(_ name: String) -> StorageError {
        StorageError(.invalidParameter, "Invalid Parameter \(name)")
    }
}
