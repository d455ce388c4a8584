// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Primitives

/// The forms an encryption key is given in.
enum EncryptionKey {
    static let byteCount = 32

    /// The 32 bytes of a key: 32 characters taken as they are, 64 hexadecimal digits, or base64 of either alphabet. nil for anything else.
    static func bytes(_ text: String) -> [UInt8]? {
        if text.utf8.count == byteCount { return Array(text.utf8) }
        let decoded =
            text.utf8.count == 2 * byteCount ? Hex.decode(text) : Base64.decode(text) ?? Base64URL.decode(text)
        return decoded?.count == byteCount ? decoded : nil
    }

    /// A name for a key that tells nothing about it, so that an envelope can say which key opens it.
    static func id(_ key: [UInt8]) -> String {
        Hex.encode(digest(Array("atoll encryption key id".utf8) + key).prefix(6))
    }
}
