// SPDX-License-Identifier: Apache-2.0
import COpenSSL
package import Primitives

/// The keys with which tokens that others signed are verified: a secret, a JSON Web Key or a set of them (RFC 7517), in every
/// algorithm of RFC 7518 section 3.1 and in EdDSA (RFC 8037).
///
/// Unlike a ``KeySet`` it signs nothing. A key that names no algorithm serves all that fit its kind; one that names some serves
/// that alone, and one for encryption serves none.
package struct VerificationKeys: Sendable {
    private let keys: [VerificationKey]

    /// One shared secret, for HS256 alone.
    package init(sharedSecret: [UInt8]) {
        keys = [
            VerificationKey(id: nil, algorithm: SignatureAlgorithm(name: "HS256"), material: .secret(sharedSecret))
        ]
    }

    /// Reads one JSON Web Key, or a set: an object whose `keys` lists them. Keys of kinds that are not known are passed over
    /// (RFC 7517 section 5).
    ///
    /// - Throws: `invalidKey` for a key of a known kind that is not whole, and where no key is left.
    package init(jwk: JSON) throws(CryptographyError) {
        var found: [VerificationKey] = []
        for entry in jwk["keys"]?.arrayValue ?? [jwk] {
            if let key = try VerificationKey(jwk: entry) { found.append(key) }
        }
        guard !found.isEmpty else { throw .invalidKey }
        keys = found
    }

    /// The claims of a token in compact form whose signature one of the keys made. Times and parties are not looked at.
    ///
    /// - Throws: ``JWTError``: `tooLarge`, `malformed`, `unsupportedAlgorithm` (for `none`), `unknownKey` when no key fits the
    ///   header, and `badSignature`.
    package func claims(ofSigned token: String, maxBytes: Int = 16 << 10) throws(JWTError) -> JSONObject {
        guard token.utf8.count <= maxBytes else { throw .tooLarge }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let signature = Base64URL.decode(parts[2]),
            let name = header["alg"]?.stringValue, header["crit"] == nil
        else { throw .malformed }
        // An unsecured token is no token here (RFC 8725 section 3.2).
        if name == "none" { throw .unsupportedAlgorithm }
        guard let algorithm = SignatureAlgorithm(name: name) else { throw .malformed }
        let id = header["kid"]?.stringValue
        let candidates = keys.filter { $0.serves(algorithm, id: id) }
        guard !candidates.isEmpty else { throw .unknownKey }
        let signed = Array(token.utf8.dropLast(parts[2].utf8.count + 1))
        guard candidates.contains(where: { $0.verifies(signature, of: signed, by: algorithm) }) else {
            throw .badSignature
        }
        guard let claims = Self.object(parts[1]) else { throw .malformed }
        return claims
    }

    private static func object(_ part: Substring) -> JSONObject? {
        guard let bytes = Base64URL.decode(part) else { return nil }
        return (try? JSON(parsing: bytes, maxDepth: 32))?.objectValue
    }
}

/// A signature algorithm as `alg` names it.
struct SignatureAlgorithm: Sendable, Hashable {
    enum Kind: Sendable { case hmac, rsa, rsaPSS, ecdsa, edwards }

    let kind: Kind
    /// Nil for EdDSA, whose key says how it digests.
    let digest: DigestAlgorithm?

    init?(name: String) {
        if name == "EdDSA" {
            (kind, digest) = (.edwards, nil)
            return
        }
        switch name.prefix(2) {
        case "HS": kind = .hmac
        case "RS": kind = .rsa
        case "PS": kind = .rsaPSS
        case "ES": kind = .ecdsa
        default: return nil
        }
        switch name.dropFirst(2) {
        case "256": digest = .sha256
        case "384": digest = .sha384
        case "512": digest = .sha512
        default: return nil
        }
    }
}

/// One key, and what it may be used for.
private struct VerificationKey: Sendable {
    enum Material: Sendable {
        case secret([UInt8])
        case rsa(PublicKey)
        /// The digest that goes with the curve, and the bytes of each half of a signature.
        case ellipticCurve(PublicKey, DigestAlgorithm, halfByteCount: Int)
        case edwards(PublicKey)
    }

    let id: String?
    /// The only algorithm it serves; nil for all of its kind.
    let algorithm: SignatureAlgorithm?
    let material: Material

    init(id: String?, algorithm: SignatureAlgorithm?, material: Material) {
        self.id = id
        self.algorithm = algorithm
        self.material = material
    }

    /// Nil for a key that is of no use here: another kind, curve or algorithm, or one for encryption.
    init?(jwk: JSON) throws(CryptographyError) {
        if let use = jwk["use"], use != "sig" { return nil }
        id = jwk["kid"]?.stringValue
        if let name = jwk["alg"]?.stringValue {
            guard let named = SignatureAlgorithm(name: name) else { return nil }
            algorithm = named
        } else {
            algorithm = nil
        }
        func bytes(_ name: String) throws(CryptographyError) -> [UInt8] {
            guard let bytes = jwk[name]?.stringValue.flatMap(Base64URL.decode), !bytes.isEmpty else {
                throw .invalidKey
            }
            return bytes
        }
        switch jwk["kty"]?.stringValue {
        case "oct": material = .secret(try bytes("k"))
        case "RSA": material = .rsa(try PublicKey(rsaModulus: try bytes("n"), exponent: try bytes("e")))
        case "EC":
            guard let curve = EllipticCurve(rawValue: jwk["crv"]?.stringValue ?? "") else { return nil }
            let key = try PublicKey(curve, x: try bytes("x"), y: try bytes("y"))
            material = .ellipticCurve(key, curve.digest, halfByteCount: curve.byteCount)
        case "OKP":
            guard let curve = jwk["crv"]?.stringValue, ["Ed25519", "Ed448"].contains(curve) else { return nil }
            material = .edwards(try PublicKey(edwardsCurve: curve, bytes: try bytes("x")))
        case nil: throw .invalidKey
        default: return nil
        }
    }

    /// A header that names a key means that one; one that names none may mean any.
    func serves(_ wanted: SignatureAlgorithm, id wantedID: String?) -> Bool {
        if let wantedID, wantedID != id { return false }
        if let algorithm, algorithm != wanted { return false }
        return switch (material, wanted.kind) {
        case (.secret, .hmac), (.rsa, .rsa), (.rsa, .rsaPSS), (.edwards, .edwards): true
        case (.ellipticCurve(_, let digest, _), .ecdsa): digest == wanted.digest
        default: false
        }
    }

    func verifies(_ signature: [UInt8], of message: [UInt8], by algorithm: SignatureAlgorithm) -> Bool {
        switch material {
        case .secret(let secret):
            guard let digest = algorithm.digest else { return false }
            return HMAC.isValid(signature, for: message, key: secret, using: digest)
        case .rsa(let key):
            return key.verifies(signature, of: message, algorithm.digest, isPSS: algorithm.kind == .rsaPSS)
        case .ellipticCurve(let key, let digest, let halfByteCount):
            guard let der = PublicKeyPair.der(ofHalves: signature, byteCount: halfByteCount) else { return false }
            return key.verifies(der, of: message, digest)
        case .edwards(let key): return key.verifies(signature, of: message, nil)
        }
    }
}

/// The curves of RFC 7518 section 6.2.1.1.
enum EllipticCurve: String {
    case p256 = "P-256"
    case p384 = "P-384"
    case p521 = "P-521"

    var byteCount: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }

    var digest: DigestAlgorithm {
        switch self {
        case .p256: .sha256
        case .p384: .sha384
        case .p521: .sha512
        }
    }
}

/// Owns one public key of OpenSSL's.
///
/// `@unchecked Sendable`: the `EVP_PKEY` is never changed after init, and OpenSSL's keys may be read from any thread.
final class PublicKey: @unchecked Sendable {
    private let key: OpaquePointer

    init(rsaModulus modulus: [UInt8], exponent: [UInt8]) throws(CryptographyError) {
        guard (256...1024).contains(modulus.count), (1...8).contains(exponent.count) else { throw .invalidKey }
        var parameters = try KeyParameters()
        try parameters.add(OSSL_PKEY_PARAM_RSA_N, number: modulus)
        try parameters.add(OSSL_PKEY_PARAM_RSA_E, number: exponent)
        key = try parameters.makeKey(algorithm: "RSA", isPrivate: false)
    }

    init(_ curve: EllipticCurve, x: [UInt8], y: [UInt8]) throws(CryptographyError) {
        guard x.count == curve.byteCount, y.count == curve.byteCount else { throw .invalidKey }
        var parameters = try KeyParameters()
        try parameters.add(OSSL_PKEY_PARAM_GROUP_NAME, text: curve.rawValue)
        try parameters.add(OSSL_PKEY_PARAM_PUB_KEY, bytes: [4] + x + y)
        key = try parameters.makeKey(algorithm: "EC", isPrivate: false)
    }

    init(edwardsCurve: String, bytes: [UInt8]) throws(CryptographyError) {
        guard let key = EVP_PKEY_new_raw_public_key_ex(nil, edwardsCurve, nil, bytes, bytes.count) else {
            ERR_clear_error()
            throw .invalidKey
        }
        self.key = key
    }

    deinit {
        EVP_PKEY_free(key)
    }

    /// - Parameter digest: nil where the key itself says how it digests.
    func verifies(
        _ signature: [UInt8], of message: [UInt8], _ digest: DigestAlgorithm?, isPSS: Bool = false
    ) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            // A refused signature leaves its reason in the thread's queue, where it would mislead the next caller.
            ERR_clear_error()
        }
        var keyContext: OpaquePointer?
        guard EVP_DigestVerifyInit(context, &keyContext, digest?.function, nil, key) == 1 else { return false }
        if isPSS {
            // The salt is as long as the digest (RFC 7518 section 3.5).
            guard EVP_PKEY_CTX_set_rsa_padding(keyContext, RSA_PKCS1_PSS_PADDING) > 0,
                EVP_PKEY_CTX_set_rsa_pss_saltlen(keyContext, RSA_PSS_SALTLEN_DIGEST) > 0
            else { return false }
        }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
