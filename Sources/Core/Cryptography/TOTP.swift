// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// Codes of an authenticator app: time-based one-time passwords (RFC 6238).
package struct TOTP: Sendable {
    package let secret: [UInt8]
    package let digits: Int
    /// How long a code is shown.
    package let periodSeconds: Int64
    package let algorithm: DigestAlgorithm

    /// Bytes of a secret, as RFC 4226 section 4 recommends for SHA-1.
    package static let secretByteCount = 20

    /// - Parameters:
    ///   - digits: 6 to 9.
    ///   - periodSeconds: at least 1.
    package init(secret: [UInt8], digits: Int = 6, periodSeconds: Int64 = 30, algorithm: DigestAlgorithm = .sha1) {
        precondition((6...9).contains(digits) && periodSeconds > 0, "no such kind of code")
        self.secret = secret
        self.digits = digits
        self.periodSeconds = periodSeconds
        self.algorithm = algorithm
    }

    /// The number of the period a moment lies in.
    package func step(at moment: Timestamp) -> Int64 {
        let seconds = moment.unixSeconds
        return seconds >= 0 ? seconds / periodSeconds : (seconds - periodSeconds + 1) / periodSeconds
    }

    /// The code of a period: HOTP (RFC 4226) with the period as the counter.
    package func code(ofStep step: Int64) -> String {
        let counter = (0..<8).map { UInt8(truncatingIfNeeded: step >> (56 - 8 * $0)) }
        let hash = HMAC.code(for: counter, key: secret, using: algorithm)
        let offset = Int(hash[hash.count - 1] & 0x0f)
        let number = hash[offset..<(offset + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
        let modulus = (0..<digits).reduce(UInt32(1)) { value, _ in value * 10 }
        let text = String(number % modulus)
        return String(repeating: "0", count: digits - text.count) + text
    }

    /// The period a code belongs to, if it is right now or was or will be within `skew` periods; nil when it is wrong.
    ///
    /// All periods are compared in constant time. A caller must refuse a period it has accepted before (RFC 6238 section 5.2).
    package func step(of code: String, at moment: Timestamp, skew: Int64 = 1) -> Int64? {
        let now = step(at: moment)
        var found: Int64?
        for candidate in (now - skew)...(now + skew)
        where constantTimeEquals(Array(self.code(ofStep: candidate).utf8), Array(code.utf8)) {
            found = candidate
        }
        return found
    }
}
