// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// Signature algorithms of RFC 7518 that tokens here may use.
package enum JWTAlgorithm: String, Sendable, CaseIterable {
    case hs256 = "HS256"
    case es256 = "ES256"
    case rs256 = "RS256"
}

/// One key with the one algorithm it is for.
package struct JWTKey: Sendable {
    private enum Material: Sendable {
        case shared(SecretBytes)
        case pair(PublicKeyPair)
    }

    /// The `kid`; a token that names none is verified by keys without one only.
    package let id: String?
    package let algorithm: JWTAlgorithm
    private let material: Material

    /// A shared secret for HS256.
    package init(id: String? = nil, sharedSecret: [UInt8]) {
        self.id = id
        algorithm = .hs256
        material = .shared(SecretBytes(sharedSecret))
    }

    /// Reads a JSON Web Key (RFC 7517): `oct` for HS256, `EC` on P-256 for ES256, `RSA` of 2048 bits and more for
    /// RS256, the latter two with or without their private part.
    ///
    /// - Throws: `invalidKey` for any other kind, for missing or wrong members, and for an `alg` that does not fit.
    package init(jwk: JSON) throws(CryptographyError) {
        id = jwk["kid"]?.stringValue
        switch jwk["kty"]?.stringValue {
        case "oct":
            guard let secret = jwk["k"]?.stringValue.flatMap(Base64URL.decode), secret.count >= 32 else {
                throw .invalidKey
            }
            algorithm = .hs256
            material = .shared(SecretBytes(secret))
        case "EC":
            algorithm = .es256
            material = .pair(try PublicKeyPair(ellipticCurveJWK: jwk))
        case "RSA":
            algorithm = .rs256
            material = .pair(try PublicKeyPair(rsaJWK: jwk))
        default: throw .invalidKey
        }
        if let name = jwk["alg"], name != .string(algorithm.rawValue) { throw .invalidKey }
    }

    /// Whether the key can sign, not only verify.
    package var canSign: Bool {
        switch material {
        case .shared: true
        case .pair(let pair): pair.isPrivate
        }
    }

    /// The public half as a JSON Web Key; `nil` for a shared secret, which is never published.
    package var publicJWK: JSON? {
        guard case .pair(let pair) = material else { return nil }
        var members = pair.publicMembers
        members["alg"] = .string(algorithm.rawValue)
        members["use"] = "sig"
        members["key_ops"] = ["verify"]
        if let id { members["kid"] = .string(id) }
        return .object(members)
    }

    func sign(_ message: [UInt8]) throws(CryptographyError) -> [UInt8] {
        switch material {
        case .shared(let secret): HMAC.code(for: message, key: secret.bytes)
        case .pair(let pair): try pair.sign(message)
        }
    }

    func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        switch material {
        case .shared(let secret): HMAC.isValid(signature, for: message, key: secret.bytes)
        case .pair(let pair): pair.verifies(signature, of: message)
        }
    }
}

/// Key material that prints as a mask.
private struct SecretBytes: Sendable, CustomStringConvertible, CustomReflectable {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var description: String { "(secret)" }
    var customMirror: Mirror { Mirror(self, children: []) }
}

/// The keys tokens are verified with, one of which signs new ones.
package struct KeySet: Sendable {
    package let signingKey: JWTKey
    private let keys: [JWTKey]

    /// - Parameters:
    ///   - signingKey: signs, and verifies too.
    ///   - verificationKeys: further keys tokens may be signed with: former ones, the shared secret of a project that
    ///     moved to asymmetric keys, or a third party's.
    package init(signingKey: JWTKey, verificationKeys: [JWTKey] = []) {
        precondition(signingKey.canSign, "the signing key has no private part")
        self.signingKey = signingKey
        keys = [signingKey] + verificationKeys
    }

    /// The key a header names, only if it is for that header's algorithm. A shared secret without an id also answers
    /// for ids nobody knows, because clients of such projects put any `kid` into HS256 tokens.
    func key(id: String?, algorithm: JWTAlgorithm) -> JWTKey? {
        if let id, let named = keys.first(where: { $0.id == id }) {
            return named.algorithm == algorithm ? named : nil
        }
        guard id == nil || algorithm == .hs256 else { return nil }
        return keys.first { $0.id == nil && $0.algorithm == algorithm }
    }

    /// The JSON Web Key Set to publish: public halves only.
    package var publicJWKS: JSON {
        ["keys": .array(keys.compactMap(\.publicJWK))]
    }
}
