// SPDX-License-Identifier: Apache-2.0
import Cryptography
package import Primitives

/// A point at which the project has a say. The raw value is the name of its `[auth.hook.<name>]`.
package enum AuthHook: String, Sendable, CaseIterable {
    case beforeUserCreated = "before_user_created"
    case afterUserCreated = "after_user_created"
    case customAccessToken = "custom_access_token"
    case sendSMS = "send_sms"
    case sendEmail = "send_email"
    case factorVerificationAttempt = "mfa_verification_attempt"
    case passwordVerificationAttempt = "password_verification_attempt"

    /// What is called.
    package enum Target: Sendable {
        /// A function of the project's database that takes and returns `jsonb`.
        case function(schema: String, name: String)
        /// An address that is posted to, signed with each of the secrets (Standard Webhooks).
        case endpoint(url: String, secrets: [SecretString])
    }
}

extension AuthHook.Target {
    /// Why a hook's address or secrets cannot be used; fit for whoever writes the configuration.
    package struct Problem: Error, Sendable, CustomStringConvertible {
        package let message: String

        package init(message: String) {
            self.message = message
        }

        package var description: String { message }
    }

    /// Reads `uri` and `secrets` of `[auth.hook.<name>]`.
    ///
    /// - Parameters:
    ///   - uri: `pg-functions://<database>/<schema>/<function>`, `https://...`, or `http://...`.
    ///   - secrets: `v1,whsec_<base64>`, several between `|`; nil for functions.
    /// - Throws: ``Problem``, which tells no secret.
    package init(uri: String, secrets: SecretString?) throws(Problem) {
        if let path = uri.dropping(prefix: "pg-functions://") {
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 3, parts.allSatisfy(Self.isName) else {
                throw Problem(message: "uri must be pg-functions://<database>/<schema>/<function>")
            }
            self = .function(schema: String(parts[1]), name: String(parts[2]))
        } else if uri.hasPrefix("https://") || uri.hasPrefix("http://") {
            let list = (secrets?.reveal() ?? "").split(separator: "|").map { SecretString(String($0)) }
            guard !list.isEmpty, list.allSatisfy({ WebhookSignature.key(of: $0) != nil }) else {
                throw Problem(message: "secrets must be v1,whsec_<base64>, several between |")
            }
            self = .endpoint(url: uri, secrets: list)
        } else {
            throw Problem(message: "uri must begin with pg-functions://, https:// or http://")
        }
    }

    /// An unquoted name of PostgreSQL's, which is what the address form can say.
    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 63 else { return false }
        func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 97 < 26 || byte == UInt8(ascii: "_") }
        return isLetter(first)
            && text.utf8.allSatisfy {
                isLetter($0) || $0 &- 48 < 10 || $0 == UInt8(ascii: "$") || $0 == UInt8(ascii: "-")
            }
    }
}

extension String {
    fileprivate func dropping(prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}

/// The bounds of a call of a hook.
package struct HookLimits: Sendable {
    /// The longest a function of the database may run.
    package var functionTimeout: Duration = .seconds(2)
    /// The longest one try of an address may take.
    package var endpointTimeout: Duration = .seconds(5)
    /// How often an address that cannot be reached is tried.
    package var tries = 3
    /// The pause before the second try; it doubles each time.
    package var pause: Duration = .milliseconds(100)
    package var maxAnswerBytes = 200 << 10

    package init() {}
}
