// SPDX-License-Identifier: Apache-2.0
import Primitives

/// What is known of an external provider without asking it: a row of the table of providers.
struct ProviderDescription: Sendable {
    /// How it tells who somebody is.
    enum Kind: Sendable {
        /// OpenID Connect: an id token, described and signed with the keys its issuer publishes.
        case openID(OpenIDShape)
        /// OAuth 2.0 alone: an interface of its own tells who holds the access token.
        case oauth2(OAuth2Shape)
        /// OAuth 1.0a, likewise.
        case oauth1(OAuth1Shape)
    }

    let kind: Kind
    /// Asked for always; those a client names are added.
    let scopes: [String]
    var scopeSeparator = " "
    /// Further parameters of the authorization request.
    var parameters: [(name: String, value: String)] = []
    /// Where it is when `url` is not configured; nil when it has no one place.
    let url: String?
}

/// How an OpenID provider differs from others.
struct OpenIDShape: Sendable {
    /// When an address counts as verified.
    enum EmailTrust: Sendable {
        /// `email_verified` says so.
        case claim
        /// The provider gives out verified addresses only and has no claim for it.
        case always
        /// Microsoft's rules: see ``OpenIDProfile``.
        case azure
    }

    var emailTrust = EmailTrust.claim
    /// The answer is posted to the callback by a form instead of being in its query.
    var isFormPost = false
    /// Added to the configured address for the issuer's.
    var issuerSuffix = ""
    /// A private key instead of a secret proves the client (Apple).
    var signsClientSecret = false
}

/// The interface of an OAuth 2.0 provider.
struct OAuth2Shape: Sendable {
    /// Where the addresses that a user can be reached at are, when the user's document does not tell all.
    enum EmailSource: Sendable {
        case user
        /// A document of their own: an array at `list`, with the members' names.
        case document(String, list: [String], address: String, isVerified: String, isPrimary: String)
    }

    /// How the client proves itself to the token endpoint (RFC 6749 section 2.3.1).
    enum ClientAuthentication: Sendable {
        case body
        case basic
    }

    /// Addresses, absolute or below the provider's own.
    let authorization: String
    let token: String
    /// Nil when the token's own document has the user under `profile`.
    let user: String?
    var emails = EmailSource.user
    var clientAuthentication = ClientAuthentication.body
    /// Whether the provider checks a challenge of ours (RFC 7636).
    var takesChallenge = false
    /// Further fields of requests for the user's document; `{client_id}` stands for the client's id.
    var userHeaders: [(name: String, value: String)] = []
    /// Whether requests prove that the token came to this client (Facebook's `appsecret_proof`).
    var sendsSecretProof = false
    let profile: ProfileMapping
}

/// The interface of an OAuth 1.0a provider (RFC 5849): addresses, absolute or below the provider's own.
struct OAuth1Shape: Sendable {
    let requestToken: String
    let authorization: String
    let accessToken: String
    /// The user's document, and the parameters it is asked for with.
    let user: String
    let userParameters: [(name: String, value: String)]
    let profile: ProfileMapping
}

/// Where in a user's document what is. Paths are members' names and indexes between dots.
struct ProfileMapping: Sendable {
    /// When the address counts as verified.
    enum EmailTrust: Sendable {
        case always
        case never
        /// All these paths hold something true, which a text that is not empty is too.
        case paths([String])
    }

    let subject: String
    /// The first that is there and not empty.
    let names: [String]
    var username: String?
    var picture: String?
    /// Makes a picture's address of an id and the name of an image: `{0}` and `{1}`.
    var pictureTemplate: (template: String, paths: [String])?
    var email: String?
    var emailTrust = EmailTrust.never
    /// Kept as custom claims: name and path.
    var further: [(name: String, path: String)] = []
}

extension JSON {
    /// The value at a path such as `data.0.id`.
    func value(at path: String) -> JSON? {
        path.split(separator: ".").reduce(Optional(self)) { value, step in
            if let index = Int(step) { return value?[index] }
            return value?[String(step)]
        }
    }

    /// A text, or a number as text: identifiers come as both.
    func text(at path: String) -> String? {
        switch value(at: path) {
        case .string(let text)?: text.isEmpty ? nil : text
        case .number(let text)?: text
        default: nil
        }
    }

    /// Whether a flag is set, however it is written.
    var isTrue: Bool {
        switch self {
        case .bool(let value): value
        case .number(let text): text != "0"
        case .string(let text): !["", "false", "0"].contains(text.lowercased())
        default: false
        }
    }
}
