// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// Authenticated encryption by AES-256 in Galois/Counter Mode (NIST SP 800-38D) with 96-bit nonces and 128-bit tags.
package enum AES256GCM {
    package static let keyByteCount = 32
    package static let nonceByteCount = 12
    package static let tagByteCount = 16

    /// Encrypts under a nonce that must never be used twice with one key.
    ///
    /// - Returns: the ciphertext followed by the tag.
    package static func seal(
        _ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], associatedData: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        let context = try CipherContext(encrypting: true, key: key, nonce: nonce)
        try context.authenticate(associatedData)
        var output = try context.update(plaintext)
        try context.finish()
        output += try context.tag()
        return output
    }

    /// Decrypts what ``seal(_:key:nonce:associatedData:)`` made; nothing is returned unless the tag fits.
    package static func open(
        _ sealed: [UInt8], key: [UInt8], nonce: [UInt8], associatedData: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        guard sealed.count >= tagByteCount else { throw .authenticationFailed }
        let context = try CipherContext(encrypting: false, key: key, nonce: nonce)
        try context.authenticate(associatedData)
        let plaintext = try context.update(Array(sealed.dropLast(tagByteCount)))
        try context.expect(tag: Array(sealed.suffix(tagByteCount)))
        guard (try? context.finish()) != nil else { throw .authenticationFailed }
        return plaintext
    }
}

/// Owns one `EVP_CIPHER_CTX` of AES-256-GCM.
private struct CipherContext: ~Copyable {
    private let handle: OpaquePointer

    init(encrypting: Bool, key: [UInt8], nonce: [UInt8]) throws(CryptographyError) {
        guard key.count == AES256GCM.keyByteCount, nonce.count == AES256GCM.nonceByteCount else { throw .invalidKey }
        let mode: Int32 = encrypting ? 1 : 0
        guard let handle = EVP_CIPHER_CTX_new() else { throw .libraryFailure(operation: "EVP_CIPHER_CTX_new") }
        guard EVP_CipherInit_ex(handle, EVP_aes_256_gcm(), nil, key, nonce, mode) == 1 else {
            EVP_CIPHER_CTX_free(handle)
            throw .libraryFailure(operation: "EVP_CipherInit_ex")
        }
        self.handle = handle
    }

    deinit {
        EVP_CIPHER_CTX_free(handle)
    }

    func authenticate(_ data: [UInt8]) throws(CryptographyError) {
        guard !data.isEmpty else { return }
        var count: Int32 = 0
        try Self.check(EVP_CipherUpdate(handle, nil, &count, data, try Self.length(data)), "associated data")
    }

    func update(_ input: [UInt8]) throws(CryptographyError) -> [UInt8] {
        guard !input.isEmpty else { return [] }
        var output = [UInt8](repeating: 0, count: input.count)
        var count: Int32 = 0
        try Self.check(EVP_CipherUpdate(handle, &output, &count, input, try Self.length(input)), "update")
        return output
    }

    func finish() throws(CryptographyError) {
        // GCM is a stream mode: nothing is left to write, but the call wants an address.
        var rest = [UInt8](repeating: 0, count: 16)
        var count: Int32 = 0
        try Self.check(EVP_CipherFinal_ex(handle, &rest, &count), "final")
    }

    func tag() throws(CryptographyError) -> [UInt8] {
        var tag = [UInt8](repeating: 0, count: AES256GCM.tagByteCount)
        try Self.check(EVP_CIPHER_CTX_ctrl(handle, EVP_CTRL_AEAD_GET_TAG, Int32(tag.count), &tag), "get tag")
        return tag
    }

    func expect(tag: [UInt8]) throws(CryptographyError) {
        var tag = tag
        try Self.check(EVP_CIPHER_CTX_ctrl(handle, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag), "set tag")
    }

    private static func length(_ bytes: [UInt8]) throws(CryptographyError) -> Int32 {
        guard let count = Int32(exactly: bytes.count) else { throw .libraryFailure(operation: "length") }
        return count
    }

    private static func check(_ status: Int32, _ operation: String) throws(CryptographyError) {
        guard status == 1 else { throw .libraryFailure(operation: "AES-256-GCM \(operation)") }
    }
}
