// SPDX-License-Identifier: Apache-2.0
import Primitives

/// Who somebody is at an external provider.
struct ExternalProfile: Sendable {
    /// An address the provider knows of its user.
    struct Email: Sendable, Hashable {
        var address: EmailAddress
        /// Whether the provider has proof that it is the user's.
        var isVerified: Bool
        var isPrimary: Bool
    }

    /// The user's id at the provider, which never changes.
    let subject: String
    /// The primary one first.
    let emails: [Email]
    /// What `identity_data` of the identity holds.
    let identityData: JSONObject
    let tokens: ProviderTokens

    /// The longest subject, in bytes; OpenID Connect allows 255 characters.
    private static let maxSubjectBytes = 1024

    /// - Parameters:
    ///   - claims: in the names of OpenID Connect; members without a value are left out.
    ///   - further: kept under `custom_claims`.
    /// - Returns: nil without a subject.
    init?(
        issuer: String, subject: String?, emails: [Email], claims: [(name: String, value: JSON?)],
        further: JSONObject = [:], tokens: ProviderTokens
    ) {
        guard let subject, !subject.isEmpty, subject.utf8.count <= Self.maxSubjectBytes else { return nil }
        self.subject = subject
        self.emails = emails.filter(\.isPrimary) + emails.filter { !$0.isPrimary }
        self.tokens = tokens
        var members: JSONObject = ["iss": .string(issuer), "sub": .string(subject), "provider_id": .string(subject)]
        for (name, value) in claims {
            if let value, !value.isNull, value != "" { members[name] = value }
        }
        // Names that clients and triggers of existing projects read.
        for (alias, name) in [("full_name", "name"), ("avatar_url", "picture"), ("user_name", "preferred_username")] {
            if let value = members[name] { members[alias] = value }
        }
        if let email = self.emails.first {
            members["email"] = .string(email.address.text)
            members["email_verified"] = .bool(email.isVerified)
        } else {
            members["email"] = nil
            members["email_verified"] = nil
        }
        members["phone_verified"] = false
        if !further.isEmpty { members["custom_claims"] = .object(further) }
        identityData = members
    }

    /// The address the account is made with: the primary one, unless another is verified and that is not.
    var candidate: Email? {
        emails.first { $0.isVerified && $0.isPrimary } ?? emails.first(where: \.isVerified) ?? emails.first
    }

    /// Addresses that are proof of owning an account.
    var verifiedAddresses: [String] { emails.filter(\.isVerified).map(\.address.text) }
}

extension ExternalProfile {
    /// The profile in a user's document of an OAuth 2.0 provider.
    ///
    /// - Parameter emails: the addresses of a document of their own; nil when the user's has the one there is.
    init?(_ user: JSON, _ mapping: ProfileMapping, issuer: String, emails: [Email]?, tokens: ProviderTokens) {
        var picture = mapping.picture.flatMap { user.text(at: $0) }
        if let (template, paths) = mapping.pictureTemplate {
            let values = paths.compactMap { user.text(at: $0) }
            if values.count == paths.count {
                picture = values.enumerated().reduce(template) { $0.replacing("{\($1.offset)}", with: $1.element) }
            }
        }
        var further = JSONObject()
        for (name, path) in mapping.further {
            if let value = user.value(at: path), !value.isNull { further[name] = value }
        }
        self.init(
            issuer: issuer, subject: user.text(at: mapping.subject), emails: emails ?? Self.emails(in: user, mapping),
            claims: [
                ("name", mapping.names.lazy.compactMap { user.text(at: $0) }.first.map(JSON.string)),
                ("preferred_username", mapping.username.flatMap { user.text(at: $0) }.map(JSON.string)),
                ("picture", picture.map(JSON.string)),
            ], further: further, tokens: tokens)
    }

    private static func emails(in user: JSON, _ mapping: ProfileMapping) -> [Email] {
        guard let address = mapping.email.flatMap({ user.text(at: $0) }).flatMap(EmailAddress.init) else { return [] }
        let isVerified =
            switch mapping.emailTrust {
            case .always: true
            case .never: false
            case .paths(let paths): paths.allSatisfy { user.value(at: $0)?.isTrue ?? false }
            }
        return [Email(address: address, isVerified: isVerified, isPrimary: true)]
    }

    /// The addresses of a document that lists them.
    static func emails(in document: JSON, _ source: OAuth2Shape.EmailSource) -> [Email] {
        guard case .document(_, let list, let address, let isVerified, let isPrimary) = source else { return [] }
        let entries = list.reduce(Optional(document)) { $0?[$1] }?.arrayValue ?? []
        return entries.prefix(100).compactMap { entry in
            guard let address = entry.text(at: address).flatMap(EmailAddress.init) else { return nil }
            return Email(
                address: address, isVerified: entry[isVerified] == true, isPrimary: entry[isPrimary] == true)
        }
    }
}

extension ExternalProfile {
    private static let standardClaims = [
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
        "website", "gender", "birthdate", "zoneinfo", "locale",
    ]

    /// The profile in the verified claims of an id token.
    ///
    /// - Parameter isSingleTenant: with Azure, whether the provider is configured for one directory, whose administrator the
    ///   project trusts with the addresses in it.
    init?(_ claims: JSONObject, _ trust: OpenIDShape.EmailTrust, isSingleTenant: Bool, tokens: ProviderTokens) {
        var emails: [Email] = []
        if let address = claims["email"]?.stringValue.flatMap(EmailAddress.init) {
            let isVerified =
                switch trust {
                case .always: true
                case .claim: claims["email_verified"] == true || claims["email_verified"] == "true"
                case .azure: Self.isVerifiedByAzure(claims, isSingleTenant: isSingleTenant)
                }
            emails = [Email(address: address, isVerified: isVerified, isPrimary: true)]
        }
        var further = JSONObject()
        for name in ["hd", "is_private_email", "tid", "oid"] {
            if let value = claims[name] { further[name] = value }
        }
        self.init(
            issuer: claims["iss"]?.stringValue ?? "", subject: claims["sub"]?.stringValue, emails: emails,
            claims: Self.standardClaims.map { ($0, claims[$0]?.stringValue.map { .string($0) }) }, further: further,
            tokens: tokens)
    }

    /// Directory administrators can write any address into `email`, so that it proves nothing by itself. `xms_edov` says whether
    /// the directory owns the address's domain; without that claim only personal accounts, which Microsoft verifies, and the one
    /// directory a project is configured for are believed.
    private static func isVerifiedByAzure(_ claims: JSONObject, isSingleTenant: Bool) -> Bool {
        if let isOwner = claims["xms_edov"] { return isOwner.isTrue }
        let personalAccounts: JSON = "9188040d-6c67-4c5b-b112-36a304b66dad"
        return isSingleTenant || claims["tid"] == personalAccounts
    }
}
