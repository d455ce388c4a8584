// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// A public key as authenticators give it (RFC 9052 section 7) that verifies their signatures: ES256, EdDSA with Ed25519, RS256.
package struct COSEKey: Sendable {
    /// The algorithms, by their numbers in the registry of COSE, the best first.
    package static let algorithms: [Int64] = [-7, -8, -257]

    private let key: PublicKey
    /// Nil where the key says itself how it digests.
    private let digest: DigestAlgorithm?

    /// - Throws: `invalidKey` for a key of another kind, or one that is not whole.
    package init(_ value: CBOR) throws(CryptographyError) {
        func bytes(_ label: Int64) throws(CryptographyError) -> [UInt8] {
            guard let bytes = value[label]?.bytesValue else { throw .invalidKey }
            return bytes
        }
        // The labels: 1 key type, 3 algorithm, -1 to -3 what the type has (RFC 9053 section 7, RFC 8230 section 4).
        switch (value[1]?.integerValue, value[3]?.integerValue, value[-1]) {
        case (2, -7, .integer(1)):
            key = try PublicKey(.p256, x: try bytes(-2), y: try bytes(-3))
            digest = .sha256
        case (1, -8, .integer(6)):
            key = try PublicKey(edwardsCurve: "Ed25519", bytes: try bytes(-2))
            digest = nil
        case (3, -257, .bytes(let modulus)):
            key = try PublicKey(rsaModulus: modulus, exponent: try bytes(-2))
            digest = .sha256
        default: throw .invalidKey
        }
    }

    /// - Parameter signature: ECDSA's in DER, as authenticators write it.
    package func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        key.verifies(signature, of: message, digest)
    }
}
