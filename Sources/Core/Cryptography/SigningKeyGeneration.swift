// SPDX-License-Identifier: Apache-2.0
import COpenSSL
package import Primitives

extension JWTKey {
    /// Makes a key for signing tokens, as a private JSON Web Key with a random `kid`.
    ///
    /// - Parameter algorithm: ES256, or RS256 with 2048 bits.
    /// - Throws: `invalidKey` for any other algorithm.
    package static func generateJWK(for algorithm: JWTAlgorithm) throws(CryptographyError) -> JSON {
        var members: JSONObject = [
            "kty": algorithm == .es256 ? "EC" : "RSA", "kid": .string(UUID.random().description),
        ]
        members["use"] = "sig"
        members["key_ops"] = ["sign", "verify"]
        members["alg"] = .string(algorithm.rawValue)
        let numbers: [(name: String, parameter: String, byteCount: Int?)]
        let key: OpaquePointer?
        switch algorithm {
        case .es256:
            members["crv"] = "P-256"
            key = copenssl_generate_p256()
            numbers = [
                ("x", OSSL_PKEY_PARAM_EC_PUB_X, 32), ("y", OSSL_PKEY_PARAM_EC_PUB_Y, 32),
                ("d", OSSL_PKEY_PARAM_PRIV_KEY, 32),
            ]
        case .rs256:
            key = copenssl_generate_rsa(2048)
            numbers = rsaNumbers
        case .hs256: throw .invalidKey
        }
        guard let key else { throw .libraryFailure(operation: "EVP_PKEY_Q_keygen") }
        defer { EVP_PKEY_free(key) }
        for (name, parameter, byteCount) in numbers {
            members[name] = .string(Base64URL.encode(try number(parameter, of: key, byteCount: byteCount)))
        }
        return .object(members)
    }

    /// Reads a private key on P-256 in PKCS #8, as Apple hands out keys for signing ES256.
    ///
    /// - Throws: `invalidKey` for anything else.
    package init(privatePEM text: String, id: String?) throws(CryptographyError) {
        defer { ERR_clear_error() }
        let bytes = Array(text.utf8)
        guard let buffer = BIO_new_mem_buf(bytes, Int32(bytes.count)) else {
            throw .libraryFailure(operation: "BIO_new_mem_buf")
        }
        defer { BIO_free(buffer) }
        guard let key = PEM_read_bio_PrivateKey(buffer, nil, nil, nil) else { throw .invalidKey }
        defer { EVP_PKEY_free(key) }
        guard EVP_PKEY_get_base_id(key) == EVP_PKEY_EC, EVP_PKEY_get_bits(key) == 256 else { throw .invalidKey }
        var members: JSONObject = ["kty": "EC", "crv": "P-256"]
        if let id { members["kid"] = .string(id) }
        for (name, parameter) in [
            ("x", OSSL_PKEY_PARAM_EC_PUB_X), ("y", OSSL_PKEY_PARAM_EC_PUB_Y), ("d", OSSL_PKEY_PARAM_PRIV_KEY),
        ] {
            members[name] = .string(Base64URL.encode(try Self.number(parameter, of: key, byteCount: 32)))
        }
        try self.init(jwk: .object(members))
    }

    private static var rsaNumbers: [(name: String, parameter: String, byteCount: Int?)] {
        let basic = [("n", OSSL_PKEY_PARAM_RSA_N), ("e", OSSL_PKEY_PARAM_RSA_E), ("d", OSSL_PKEY_PARAM_RSA_D)]
        return (basic + PublicKeyPair.rsaFactors.map { ($0.name, $0.parameter) }).map { ($0.0, $0.1, nil) }
    }

    /// A number of a key, big-endian, filled up with zeros to `byteCount` where that is given.
    private static func number(
        _ parameter: String, of key: OpaquePointer, byteCount: Int?
    ) throws(CryptographyError) -> [UInt8] {
        var value: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, parameter, &value) == 1, let value else {
            throw .libraryFailure(operation: "EVP_PKEY_get_bn_param")
        }
        defer { BN_clear_free(value) }
        var bytes = [UInt8](repeating: 0, count: byteCount ?? Int(BN_num_bits(value) + 7) / 8)
        guard BN_bn2binpad(value, &bytes, Int32(bytes.count)) == bytes.count else {
            throw .libraryFailure(operation: "BN_bn2binpad")
        }
        return bytes
    }
}
