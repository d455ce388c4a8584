// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Primitives

/// A password hash as Firebase makes it, in the one text GoTrue keeps it in:
/// `$fbscrypt$v=1,n=14,r=8,p=1,ss=<separator>,sk=<signer key>$<salt>$<hash>`. It can be verified; new hashes are bcrypt's.
///
/// Firebase derives a key from the password by scrypt (RFC 7914) and encrypts the project's signer key with it (AES-256 in counter
/// mode from zero): the result is the hash. Verifying takes time and memory on purpose, so do it off the event loop.
package struct FirebaseScryptHash: Sendable {
    /// The most memory scrypt may take, in bytes: 128 * N * r.
    private static let maxMemoryBytes = 256 << 20

    private let rounds: UInt64
    private let costLog2: UInt64
    private let parallelism: UInt64
    private let saltSeparator: [UInt8]
    private let signerKey: [UInt8]
    private let salt: [UInt8]
    private let hash: [UInt8]

    /// Nil for a text of another form, another version than 1, or costs beyond the bounds.
    package init?(_ text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "fbscrypt" else { return nil }
        var parameters: [Substring: Substring] = [:]
        for parameter in parts[2].split(separator: ",", omittingEmptySubsequences: false) {
            let pair = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, parameters.updateValue(pair[1], forKey: pair[0]) == nil else { return nil }
        }
        func number(_ name: Substring, in range: ClosedRange<UInt64>) -> UInt64? {
            guard let digits = parameters[name], digits.utf8.allSatisfy({ $0 &- 48 < 10 }) else { return nil }
            return UInt64(digits).flatMap { range.contains($0) ? $0 : nil }
        }
        guard parameters["v"] == "1", let costLog2 = number("n", in: 1...20), let rounds = number("r", in: 1...64),
            let parallelism = number("p", in: 1...16), (128 << costLog2) * rounds <= Self.maxMemoryBytes,
            let separator = Base64.decode(parameters["ss"] ?? ""), let key = Base64.decode(parameters["sk"] ?? ""),
            let salt = Base64.decode(parts[3]), let hash = Base64.decode(parts[4]), !key.isEmpty,
            key.count <= 128, hash.count == key.count, salt.count <= 128
        else { return nil }
        self.costLog2 = costLog2
        self.rounds = rounds
        self.parallelism = parallelism
        saltSeparator = separator
        signerKey = key
        self.salt = salt
        self.hash = hash
    }

    /// Whether it is the hash of `password`; also false when there is no memory for it.
    package func isHash(of password: String) -> Bool {
        guard let key = derivedKey(password), let encrypted = encryptedSignerKey(key) else { return false }
        return constantTimeEquals(encrypted, hash)
    }

    private func derivedKey(_ password: String) -> [UInt8]? {
        var key = [UInt8](repeating: 0, count: 32)
        let phrase = Array(password.utf8)
        let salt = salt + saltSeparator
        let status = phrase.withUnsafeBytes { bytes in
            // OpenSSL counts its own buffers in; the bound on what the text asks for is above.
            EVP_PBE_scrypt(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), phrase.count, salt, salt.count,
                1 << costLog2, rounds, parallelism, UInt64(2 * Self.maxMemoryBytes), &key, key.count)
        }
        ERR_clear_error()
        return status == 1 ? key : nil
    }

    private func encryptedSignerKey(_ key: [UInt8]) -> [UInt8]? {
        guard let context = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        let zeros = [UInt8](repeating: 0, count: 16)
        var output = [UInt8](repeating: 0, count: signerKey.count)
        var count: Int32 = 0
        guard EVP_EncryptInit_ex(context, EVP_aes_256_ctr(), nil, key, zeros) == 1,
            EVP_EncryptUpdate(context, &output, &count, signerKey, Int32(signerKey.count)) == 1,
            Int(count) == output.count
        else { return nil }
        return output
    }
}
