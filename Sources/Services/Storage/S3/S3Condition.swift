// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What a call of the S3 protocol asks of the object it is about to replace, delete or copy.
struct S3Condition: Sendable {
    /// False with `If-None-Match: *`: the object must not be there.
    private(set) var mayReplace = true
    /// The entity tag of `If-Match` without quotes, or `*`; nil asks for nothing.
    private(set) var expectedTag: String?

    /// - Throws: ``StorageError`` with `notImplemented` for a form that no call has, such as a tag in `If-None-Match`.
    init(_ headers: HTTPHeaders) throws(StorageError) {
        if let field = headers["if-none-match"] {
            guard field.trimmed == "*" else { throw Self.notServed }
            mayReplace = false
        }
        guard let field = headers["if-match"] else { return }
        let tag = field.trimmed.filter { $0 != "\"" }
        guard mayReplace, !tag.isEmpty, !tag.contains(",") else { throw Self.notServed }
        expectedTag = tag
    }

    var isNone: Bool { mayReplace && expectedTag == nil }

    /// - Parameter tag: of the object that is there, with or without quotes; nil when none is.
    /// - Throws: ``StorageError`` with `noSuchKey` or `preconditionFailed`.
    func check(_ tag: String??) throws(StorageError) {
        if !mayReplace {
            guard case .none = tag else { throw Self.failed }
        }
        guard let expectedTag else { return }
        guard case .some(let present) = tag else { throw .noSuchKey }
        guard expectedTag == "*" || expectedTag == present?.filter({ $0 != "\"" }) else { throw Self.failed }
    }

    static var failed: StorageError {
        StorageError(.preconditionFailed, "At least one of the pre-conditions you specified did not hold")
    }

    private static var notServed: StorageError {
        StorageError(.notImplemented, "A condition of this form is not served")
    }

    // MARK: Sources of copies

    private static let sourceConditions = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"]

    /// Checks the fields `x-amz-copy-source-if-...` against the object that is copied, by the rules of downloads.
    ///
    /// - Throws: ``StorageError`` with `preconditionFailed`.
    static func checkSource(_ headers: HTTPHeaders, _ source: FileResponse.Representation) throws(StorageError) {
        var conditions = HTTPHeaders()
        for name in sourceConditions {
            if let value = headers["x-amz-copy-source-\(name)"] { conditions.append(name, quoted(value)) }
        }
        guard FileResponse.decide(.get, conditions, source) == .whole else { throw failed }
    }

    static func hasSourceCondition(_ headers: HTTPHeaders) -> Bool {
        sourceConditions.contains { headers.contains("x-amz-copy-source-\($0)") }
    }

    /// S3 clients may leave the quotes of an entity tag out.
    static func quoted(_ tag: String) -> String {
        tag.utf8.allSatisfy { $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x66 || (0x2D...0x39).contains($0) } && !tag.isEmpty
            ? "\"\(tag)\"" : tag
    }

    /// The header fields of a request whose conditions have their quotes.
    static func normalised(_ headers: HTTPHeaders) -> HTTPHeaders {
        var headers = headers
        for name in ["if-match", "if-none-match"] {
            if let value = headers[name] { headers.set(name, quoted(value)) }
        }
        return headers
    }
}
