// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// Derives keys from passwords by repetition (RFC 8018, section 5.2).
package enum PBKDF2 {
    /// - Parameters:
    ///   - password: its UTF-8 bytes.
    ///   - iterations: at least 1; the work grows with it.
    ///   - count: bytes wanted.
    package static func derive(
        from password: [UInt8], salt: [UInt8], iterations: Int, count: Int, using algorithm: DigestAlgorithm = .sha256
    ) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: count)
        let result = password.withUnsafeBytes { bytes in
            PKCS5_PBKDF2_HMAC(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(password.count), salt,
                Int32(salt.count), Int32(iterations), algorithm.function, Int32(count), &output)
        }
        precondition(result == 1, "OpenSSL has no PBKDF2 with \(algorithm)")
        return output
    }
}
