// SPDX-License-Identifier: Apache-2.0
import CArgon2
import Primitives

/// A password hash by Argon2i or Argon2id (RFC 9106) that was made elsewhere, in the PHC string form
/// `$argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>`. It can be verified; new hashes are bcrypt's.
///
/// Verifying takes time and memory on purpose, so do it off the event loop.
package struct Argon2Hash: Sendable {
    /// What this module verifies. The bounds keep one sign-in with an imported hash from taking the machine's memory or a thread
    /// for minutes.
    private enum Bounds {
        static let memoryKiB: ClosedRange<UInt32> = 8...(256 << 10)
        static let passes: ClosedRange<UInt32> = 1...64
        static let lanes: ClosedRange<UInt32> = 1...64
        static let salt = 8...64
        static let hash = 16...64
    }

    private let type: Argon2_type
    private let memoryKiB: UInt32
    private let passes: UInt32
    private let lanes: UInt32
    private let salt: [UInt8]
    private let hash: [UInt8]

    /// Nil for a text of another form, another version than 1.3, or costs beyond the bounds.
    package init?(_ text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].isEmpty, parts[2] == "v=19" else { return nil }
        switch parts[1] {
        case "argon2i": type = Argon2_i
        case "argon2id": type = Argon2_id
        default: return nil
        }
        let costs = parts[3].split(separator: ",", omittingEmptySubsequences: false)
        guard costs.count == 3, let memoryKiB = Self.cost("m", costs[0]), let passes = Self.cost("t", costs[1]),
            let lanes = Self.cost("p", costs[2]), Bounds.memoryKiB.contains(memoryKiB),
            Bounds.passes.contains(passes), Bounds.lanes.contains(lanes), memoryKiB >= 8 * lanes,
            let salt = Self.decode(parts[4]), let hash = Self.decode(parts[5]), Bounds.salt.contains(salt.count),
            Bounds.hash.contains(hash.count)
        else { return nil }
        self.memoryKiB = memoryKiB
        self.passes = passes
        self.lanes = lanes
        self.salt = salt
        self.hash = hash
    }

    private static func cost(_ name: String, _ text: Substring) -> UInt32? {
        guard text.hasPrefix(name + "=") else { return nil }
        let digits = text.dropFirst(name.count + 1)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 &- 48 < 10 }) else { return nil }
        return UInt32(digits)
    }

    /// The PHC form leaves padding out.
    private static func decode(_ text: Substring) -> [UInt8]? {
        Base64.decode(text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4))
    }

    /// Whether it is the hash of `password`; also false when there is no memory for it.
    package func isHash(of password: String) -> Bool {
        var output = [UInt8](repeating: 0, count: hash.count)
        var phrase = Array(password.utf8)
        var salt = salt
        let status = output.withUnsafeMutableBufferPointer { output in
            phrase.withUnsafeMutableBufferPointer { phrase in
                salt.withUnsafeMutableBufferPointer { salt in
                    var context = argon2_context()
                    context.out = output.baseAddress
                    context.outlen = UInt32(output.count)
                    context.pwd = phrase.baseAddress
                    context.pwdlen = UInt32(phrase.count)
                    context.salt = salt.baseAddress
                    context.saltlen = UInt32(salt.count)
                    context.t_cost = passes
                    context.m_cost = memoryKiB
                    context.lanes = lanes
                    // One after the other: the pool this runs on has the threads it should have.
                    context.threads = 1
                    context.version = ARGON2_VERSION_13.rawValue
                    context.flags = 0
                    return argon2_ctx(&context, type)
                }
            }
        }
        return status == ARGON2_OK.rawValue && constantTimeEquals(output, hash)
    }
}
