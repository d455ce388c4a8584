// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Primitives

/// Keyed-hash message authentication (RFC 2104).
package enum HMAC {
    /// The code of `message`; compare it with ``isValid(_:for:key:using:)`` only.
    package static func code(
        for message: some Collection<UInt8>, key: [UInt8], using algorithm: DigestAlgorithm = .sha256
    ) -> [UInt8] {
        let message = Array(message)
        var output = [UInt8](repeating: 0, count: algorithm.byteCount)
        // An empty key is valid, and an empty Swift array may lend no address, which OpenSSL takes for "no key".
        let keyBytes = key.isEmpty ? [0] : key
        var count: UInt32 = 0
        let result = COpenSSL.HMAC(
            algorithm.function, keyBytes, Int32(key.count), message, message.count, &output, &count)
        precondition(result != nil && Int(count) == output.count, "OpenSSL has no HMAC with \(algorithm)")
        return output
    }

    /// Whether `code` is the code of `message`, compared in constant time.
    package static func isValid(
        _ code: [UInt8], for message: some Collection<UInt8>, key: [UInt8], using algorithm: DigestAlgorithm = .sha256
    ) -> Bool {
        constantTimeEquals(self.code(for: message, key: key, using: algorithm), code)
    }
}

/// Derives keys from a key (RFC 5869).
package enum HKDF {
    /// - Parameters:
    ///   - secret: the input keying material.
    ///   - salt: empty means a salt of zeros, as the RFC says.
    ///   - info: what the derived key is for; different texts give independent keys.
    ///   - count: bytes wanted, at most 255 digests.
    package static func derive(
        from secret: [UInt8], salt: [UInt8] = [], info: [UInt8], count: Int, using algorithm: DigestAlgorithm = .sha256
    ) -> [UInt8] {
        precondition(count <= 255 * algorithm.byteCount, "HKDF cannot derive that many bytes")
        let salt = salt.isEmpty ? [UInt8](repeating: 0, count: algorithm.byteCount) : salt
        let key = HMAC.code(for: secret, key: salt, using: algorithm)
        var output: [UInt8] = []
        var block: [UInt8] = []
        var counter: UInt8 = 1
        while output.count < count {
            block = HMAC.code(for: block + info + [counter], key: key, using: algorithm)
            output += block
            counter &+= 1
        }
        return Array(output.prefix(count))
    }
}
