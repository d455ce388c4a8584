// SPDX-License-Identifier: Apache-2.0

/// Answers a request for a stored representation: conditions and ranges of RFC 9110 sections 13 and 14.
package struct FileResponse: Sendable {
    /// What is known of the representation.
    package struct Representation: Sendable {
        /// In bytes.
        package var byteCount: Int
        /// With its quotes, `W/` in front when weak; nil without one.
        package var entityTag: String?
        /// Seconds since 1970.
        package var modifiedAt: Int?
        package var contentType: String

        package init(byteCount: Int, entityTag: String?, modifiedAt: Int?, contentType: String) {
            self.byteCount = byteCount
            self.entityTag = entityTag
            self.modifiedAt = modifiedAt
            self.contentType = contentType
        }
    }

    /// What to send of it.
    package enum Decision: Sendable, Equatable {
        case whole
        case part(Range<Int>)
        case notModified
        case preconditionFailed
        case rangeNotSatisfiable

        /// The bytes of the representation that are sent, or would be to a GET.
        package func range(of representation: Representation) -> Range<Int> {
            switch self {
            case .whole: 0..<representation.byteCount
            case .part(let range): range
            case .notModified, .preconditionFailed, .rangeNotSatisfiable: 0..<0
            }
        }
    }

    /// The response to `request` for `file`: 200, 206, 304, 412 or 416.
    package static func make(
        for request: HTTPRequest, _ representation: Representation, file: OpenFile
    ) -> HTTPResponse {
        let decision = decide(request.method, request.headers, representation)
        return make(decision, representation, body: .file(FileSlice(file, decision.range(of: representation))))
    }

    /// The response that carries out a decision.
    ///
    /// - Parameter body: the bytes of ``Decision/range(of:)``; left out where the answer has none.
    package static func make(
        _ decision: Decision, _ representation: Representation, body: HTTPResponse.Body
    ) -> HTTPResponse {
        var response: HTTPResponse
        switch decision {
        case .whole:
            response = HTTPResponse(.ok, body: body)
        case .part(let range):
            response = HTTPResponse(206, body: body)
            response.headers.append(
                "Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(representation.byteCount)")
        case .notModified:
            response = HTTPResponse(.notModified)
        case .preconditionFailed:
            return HTTPResponse(.preconditionFailed)
        case .rangeNotSatisfiable:
            return HTTPResponse(
                .rangeNotSatisfiable, headers: ["Content-Range": "bytes */\(representation.byteCount)"])
        }
        response.headers.append("Content-Type", representation.contentType)
        response.headers.append("Accept-Ranges", "bytes")
        if let tag = representation.entityTag { response.headers.append("ETag", tag) }
        if let time = representation.modifiedAt { response.headers.append("Last-Modified", HTTPDate.format(time)) }
        return response
    }

    /// The order of evaluation of RFC 9110 section 13.2.2.
    package static func decide(
        _ method: HTTPMethod, _ headers: HTTPHeaders, _ representation: Representation
    ) -> Decision {
        let isRead = method == .get || method == .head
        if let condition = headers["if-match"] {
            guard matches(condition, representation.entityTag, isWeak: false) else { return .preconditionFailed }
        } else if let limit = headers["if-unmodified-since"].flatMap(HTTPDate.parse),
            let modified = representation.modifiedAt, modified > limit
        {
            return .preconditionFailed
        }
        if let condition = headers["if-none-match"] {
            if matches(condition, representation.entityTag, isWeak: true) {
                return isRead ? .notModified : .preconditionFailed
            }
        } else if isRead, let limit = headers["if-modified-since"].flatMap(HTTPDate.parse),
            let modified = representation.modifiedAt, modified <= limit
        {
            return .notModified
        }
        guard method == .get, let range = headers["range"], rangeApplies(headers["if-range"], representation) else {
            return .whole
        }
        return parseRange(range, byteCount: representation.byteCount)
    }

    private static func rangeApplies(_ condition: String?, _ representation: Representation) -> Bool {
        guard let condition else { return true }
        if condition.hasPrefix("\"") { return condition == representation.entityTag }
        if condition.hasPrefix("W/") { return false }
        guard let time = HTTPDate.parse(condition), let modified = representation.modifiedAt else { return false }
        return time == modified
    }

    /// Several ranges, other units and malformed ones are ignored, as RFC 9110 section 14.2 allows: the answer is the whole.
    private static func parseRange(_ text: String, byteCount: Int) -> Decision {
        guard text.lowercased().hasPrefix("bytes=") else { return .whole }
        let spec = text.dropFirst(6)
        guard !spec.contains(","), let dash = spec.firstIndex(of: "-") else { return .whole }
        let first = spec[..<dash]
        let last = spec[spec.index(after: dash)...]
        let digitsOnly = (first + last).utf8.allSatisfy { $0 &- 48 < 10 }
        guard digitsOnly, !(first.isEmpty && last.isEmpty) else { return .whole }
        if first.isEmpty {
            let suffix = Int(last) ?? .max
            guard suffix > 0, byteCount > 0 else { return .rangeNotSatisfiable }
            return .part(max(0, byteCount - suffix)..<byteCount)
        }
        let start = Int(first) ?? .max
        let end = last.isEmpty ? byteCount - 1 : min(Int(last) ?? .max, byteCount - 1)
        guard start < byteCount else { return .rangeNotSatisfiable }
        guard last.isEmpty || start <= (Int(last) ?? .max) else { return .whole }
        return .part(start..<end + 1)
    }

    /// Compares a list of entity tags or `*` with ours (RFC 9110 section 8.8.3.2).
    private static func matches(_ condition: String, _ tag: String?, isWeak: Bool) -> Bool {
        if condition.trimmed == "*" { return true }
        guard let tag else { return false }
        if !isWeak, tag.hasPrefix("W/") { return false }
        let opaque = tag.hasPrefix("W/") ? tag.dropFirst(2) : tag[...]
        return condition.split(separator: ",").contains { candidate in
            let candidate = String(candidate).trimmed
            if candidate.hasPrefix("W/") { return isWeak && candidate.dropFirst(2) == opaque }
            return candidate == opaque
        }
    }
}

extension String {
    /// Without spaces and tabs at both ends.
    fileprivate var trimmed: Substring {
        var part = self[...]
        while let first = part.first, first == " " || first == "\t" { part.removeFirst() }
        while let last = part.last, last == " " || last == "\t" { part.removeLast() }
        return part
    }
}
