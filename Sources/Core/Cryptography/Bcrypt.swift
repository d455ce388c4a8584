// SPDX-License-Identifier: Apache-2.0
import CCrypt
import Glibc
import Primitives

/// Password hashes by bcrypt through libcrypt: made as `$2b$`, read as `$2a$`, `$2b$` and `$2y$`.
///
/// A hash of cost 10 takes some 60 ms of processor time on purpose, so call these off the event loop.
package enum Bcrypt {
    /// The most bytes of a password that bcrypt looks at.
    package static let maxPasswordBytes = 72
    /// Costs this module makes or verifies. Each step doubles the work; the upper bound keeps an imported hash from
    /// occupying a worker for minutes.
    package static let costs = 4...16

    /// Hashes a password with a fresh salt.
    ///
    /// - Throws: `passwordNotHashable` above 72 bytes, where bcrypt would silently ignore the rest, and for NUL bytes,
    ///   where C would.
    package static func hash(_ password: String, cost: Int = 10) throws(CryptographyError) -> String {
        guard password.utf8.count <= maxPasswordBytes, !password.utf8.contains(0) else { throw .passwordNotHashable }
        guard let hash = crypt(Array(password.utf8), setting: setting(cost: cost)) else {
            throw .libraryFailure(operation: "crypt_r")
        }
        return hash
    }

    /// Whether `password` is the one `hash` was made of; `false` for a hash of any other form.
    ///
    /// Like every bcrypt it reads the first 72 bytes only, so that hashes made elsewhere of longer passwords still
    /// verify.
    package static func verify(_ password: String, against hash: String) -> Bool {
        guard cost(of: hash) != nil, !password.utf8.contains(0) else { return false }
        let significant = Array(password.utf8.prefix(maxPasswordBytes))
        guard let computed = crypt(significant, setting: hash) else { return false }
        return constantTimeEquals(Array(computed.utf8), Array(hash.utf8))
    }

    /// The cost a hash was made with, or `nil` when it is no bcrypt hash this module verifies.
    package static func cost(of hash: String) -> Int? {
        let bytes = Array(hash.utf8)
        guard bytes.count == 60, ["$2a$", "$2b$", "$2y$"].contains(String(hash.prefix(4))),
            bytes[6] == UInt8(ascii: "$"),
            let cost = Int(String(decoding: bytes[4..<6], as: UTF8.self)), costs.contains(cost)
        else { return nil }
        return cost
    }

    /// What looks like a hash of the given cost and is that of no known password; verifying against it takes the time of
    /// a real one.
    package static func unguessableHash(cost: Int = 10) -> String {
        setting(cost: cost) + randomText(31, from: String(decoding: alphabet, as: UTF8.self))
    }

    /// The version, the cost and a fresh salt, which is all that bcrypt takes besides the password.
    private static func setting(cost: Int) -> String {
        precondition(costs.contains(cost), "bcrypt cost outside \(costs)")
        return "$2b$" + (cost < 10 ? "0\(cost)" : "\(cost)") + "$" + encodeSalt(randomBytes(16))
    }

    private static func crypt(_ password: [UInt8], setting: String) -> String? {
        // 32 KiB of working memory: on the heap, for worker threads may have small stacks.
        let data = UnsafeMutablePointer<crypt_data>.allocate(capacity: 1)
        data.initialize(to: crypt_data())
        defer {
            // The area holds what the password expanded to.
            explicit_bzero(data, MemoryLayout<crypt_data>.size)
            data.deallocate()
        }
        let result = (password + [0]).withUnsafeBytes { phrase in
            crypt_rn(
                phrase.baseAddress?.assumingMemoryBound(to: CChar.self), setting, data,
                Int32(MemoryLayout<crypt_data>.size))
        }
        return result.map { String(cString: $0) }
    }

    /// bcrypt's own base 64.
    private static let alphabet = Array("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)

    /// Sixteen bytes become 22 characters.
    private static func encodeSalt(_ salt: [UInt8]) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount: UInt32 = 0
        for byte in salt {
            bits = bits << 8 | UInt32(byte)
            bitCount += 8
            while bitCount >= 6 {
                bitCount -= 6
                text.append(alphabet[Int(bits >> bitCount & 0x3f)])
            }
            bits &= (1 << bitCount) - 1
        }
        text.append(alphabet[Int(bits << (6 - bitCount))])
        return String(decoding: text, as: UTF8.self)
    }
}
