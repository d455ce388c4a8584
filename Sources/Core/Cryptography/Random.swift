// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// Bytes from OpenSSL's generator, which the system seeds; fit for keys, nonces and tokens.
package func randomBytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    // Going on without randomness would make guessable keys, and there is nothing a caller could do about it.
    precondition(RAND_bytes(&bytes, Int32(count)) == 1, "the random generator failed")
    return bytes
}

/// A random text of `count` characters drawn evenly from `alphabet`.
///
/// - Parameter alphabet: ASCII, 2 to 256 characters, each once.
package func randomText(_ count: Int, from alphabet: String = "abcdefghijklmnopqrstuvwxyz0123456789") -> String {
    let characters = Array(alphabet.utf8)
    // Bytes from the incomplete last multiple are thrown away; taking them would favour the first characters.
    let limit = 256 / characters.count * characters.count
    var text: [UInt8] = []
    while text.count < count {
        for byte in randomBytes(count - text.count) where Int(byte) < limit {
            text.append(characters[Int(byte) % characters.count])
        }
    }
    return String(decoding: text, as: UTF8.self)
}
