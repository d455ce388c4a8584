// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// Whose security keys are taken: the domain they belong to, and the pages that may use them.
package struct RelyingParty: Sendable {
    /// The domain; a key made for it is of no use elsewhere.
    package var id: String
    /// What a user sees.
    package var name: String
    /// `https://host[:port]` of the pages.
    package var origins: [String]

    package init(id: String, name: String, origins: [String]) {
        self.id = id
        self.name = name
        self.origins = origins
    }

    /// The party that a site is.
    package init(siteURL: String) {
        let site = WebAddress(siteURL)
        self.init(id: site?.host ?? "localhost", name: site?.host ?? "localhost", origins: [site?.origin ?? siteURL])
    }

    /// A new challenge: 256 random bits.
    static func challenge() -> String { Base64URL.encode(randomBytes(32)) }

    /// Whether a key is asked to look who its user is, and to remember the user.
    private enum Use {
        /// After a password.
        case secondFactor
        /// Instead of one.
        case passkey

        var selection: JSON {
            switch self {
            // Whether the key asks for a finger or a PIN besides is its own affair.
            case .secondFactor:
                ["residentKey": "discouraged", "requireResidentKey": false, "userVerification": "preferred"]
            case .passkey: ["residentKey": "required", "requireResidentKey": true, "userVerification": "required"]
            }
        }
    }

    /// What a page hands to `navigator.credentials.create()` (Web Authentication Level 3, section 5.4).
    ///
    /// - Parameters:
    ///   - excluded: keys the user has already: one is not to be added twice.
    ///   - timeout: as long as the challenge can be answered.
    func creationOptions(
        _ challenge: String, for user: AuthUser, excluding excluded: [WebAuthnCredential], timeout: Duration
    ) -> JSON {
        ["publicKey": creationOptions(challenge, for: user, .secondFactor, excluded, timeout)]
    }

    /// As ``creationOptions(_:for:excluding:timeout:)``, for a key that signs in by itself.
    func passkeyCreationOptions(
        _ challenge: String, for user: AuthUser, excluding excluded: [WebAuthnCredential], timeout: Duration
    ) -> JSON {
        creationOptions(challenge, for: user, .passkey, excluded, timeout)
    }

    private func creationOptions(
        _ challenge: String, for user: AuthUser, _ use: Use, _ excluded: [WebAuthnCredential], _ timeout: Duration
    ) -> JSON {
        let account = user.email.isEmpty ? user.phone : user.email
        return [
            "rp": ["id": .string(id), "name": .string(name)],
            "user": [
                "id": .string(Base64URL.encode(Self.handle(of: user.id))), "name": .string(account),
                "displayName": .string(account),
            ],
            "challenge": .string(challenge),
            "pubKeyCredParams": .array(COSEKey.algorithms.map { ["type": "public-key", "alg": JSON($0)] }),
            "timeout": JSON(timeout.wholeMilliseconds),
            "excludeCredentials": .array(excluded.map(\.descriptor)),
            "authenticatorSelection": use.selection, "attestation": "none",
        ]
    }

    /// What a page hands to `navigator.credentials.get()` (section 5.5).
    func requestOptions(_ challenge: String, _ credential: WebAuthnCredential, timeout: Duration) -> JSON {
        [
            "publicKey": [
                "challenge": .string(challenge), "rpId": .string(id), "timeout": JSON(timeout.wholeMilliseconds),
                "allowCredentials": [credential.descriptor], "userVerification": "preferred",
            ]
        ]
    }

    /// For a key that tells itself whose it is: none is named.
    func passkeyRequestOptions(_ challenge: String, timeout: Duration) -> JSON {
        [
            "challenge": .string(challenge), "rpId": .string(id), "timeout": JSON(timeout.wholeMilliseconds),
            "userVerification": "required",
        ]
    }

    /// How an authenticator knows the user: nothing that tells who it is.
    static func handle(of user: UUID) -> [UInt8] { Array(user.description.utf8) }
}
