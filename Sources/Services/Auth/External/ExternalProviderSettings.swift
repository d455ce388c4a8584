// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// An external provider as a project has enabled it.
package struct ExternalProviderSettings: Sendable {
    /// The application's ids at the provider; the first one signs in, id tokens may be for any.
    package var clientIDs: [String]
    /// The application's secret; with Apple also its private key as PEM.
    package var secret: SecretString
    /// Where the provider returns to; empty means Auth's `/callback`.
    package var redirectURI = ""
    /// The provider's address, for those one runs oneself; empty means the usual one.
    package var url = ""
    /// The team and the key's id at Apple, when `secret` is a private key.
    package var teamID = ""
    package var keyID = ""
    /// Whether an id token without a nonce will do.
    package var skipsNonceCheck = false
    /// Whether somebody without an e-mail address may sign in.
    package var isEmailOptional = false

    package init(clientIDs: [String], secret: SecretString) {
        self.clientIDs = clientIDs
        self.secret = secret
    }
}
