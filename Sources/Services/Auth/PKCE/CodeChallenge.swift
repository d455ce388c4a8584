// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// What a client will have to answer with its verifier when it exchanges a code for a session (RFC 7636).
package struct CodeChallenge: Sendable, Hashable {
    /// The raw value is that of the database's type.
    package enum Method: String, Sendable {
        case s256
        case plain
    }

    package let method: Method
    package let text: String

    /// The lengths of RFC 7636 section 4.
    private static let lengths = 43...128

    /// Reads `code_challenge` and `code_challenge_method` of a request; nil when it names neither.
    ///
    /// - Throws: `validationFailed` for one without the other, an unknown method, or a challenge of another form.
    package init?(challenge: String, method: String) throws(AuthError) {
        if challenge.isEmpty, method.isEmpty { return nil }
        guard !challenge.isEmpty, !method.isEmpty else {
            throw AuthError(
                .validationFailed, "PKCE flow requires code_challenge_method and code_challenge")
        }
        guard let method = Method(rawValue: method.lowercased()) else {
            throw AuthError(.validationFailed, "unsupported code_challenge method")
        }
        guard Self.lengths.contains(challenge.utf8.count) else {
            throw AuthError(
                .validationFailed,
                "code challenge has to be between \(Self.lengths.lowerBound) and \(Self.lengths.upperBound) characters")
        }
        guard Self.isUnreserved(challenge) else {
            throw AuthError(
                .validationFailed,
                "code challenge has to contain only alphanumeric characters, hyphens, periods, underscores and tildes")
        }
        self.method = method
        text = challenge
    }

    /// What a flow was stored with.
    init?(stored text: String?, method: String?) {
        guard let text, let method = method.flatMap(Method.init) else { return nil }
        self.text = text
        self.method = method
    }

    /// Whether the verifier is the one the challenge was made of.
    package func isAnswered(by verifier: String) -> Bool {
        guard Self.lengths.contains(verifier.utf8.count), Self.isUnreserved(verifier) else { return false }
        let answer =
            switch method {
            case .plain: verifier
            case .s256: Base64URL.encode(digest(verifier.utf8))
            }
        return constantTimeEquals(Array(answer.utf8), Array(text.utf8))
    }

    private static func isUnreserved(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                true
            default: false
            }
        }
    }
}

extension CodeChallenge {
    /// The pair of a request's body.
    init?(_ fields: RequestFields) throws(AuthError) {
        try self.init(
            challenge: try fields.text("code_challenge"), method: try fields.text("code_challenge_method"))
    }
}
