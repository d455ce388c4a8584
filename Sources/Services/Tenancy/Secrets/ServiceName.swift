// SPDX-License-Identifier: Apache-2.0

/// The name under which a tenant keeps the key of a third-party service: `openai`, `twitter_bearer`.
struct ServiceName: Sendable, Hashable {
    static let maxLength = 64

    let text: String

    /// - Throws: ``TenancyError`` with `invalidRequest` unless it is lower-case letters, digits, `_`, `.` and `-`, at most
    ///   ``maxLength``, beginning with a letter or digit; the database checks the same.
    init(_ text: String) throws(TenancyError) {
        let bytes = Array(text.utf8)
        guard (1...Self.maxLength).contains(bytes.count), let first = bytes.first, Self.isLetterOrDigit(first),
            bytes.allSatisfy({ Self.isLetterOrDigit($0) || "_.-".utf8.contains($0) })
        else {
            throw TenancyError(
                .invalidRequest,
                "service_name must be 1 to \(Self.maxLength) lower-case letters, digits, '_', '.' or '-'")
        }
        self.text = text
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
