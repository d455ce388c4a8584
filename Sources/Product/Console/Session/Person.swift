// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Who is signed in, as far as pages show it: what Auth and Tenancy say of them.
struct Person: Sendable {
    /// A tenant they belong to.
    struct Tenant: Sendable {
        let id: String
        let name: String
        let role: String
        let isPersonal: Bool
        let status: String

        init?(_ json: JSON) {
            guard let id = (json["id"] ?? json["tenant_id"])?.stringValue else { return nil }
            self.id = id
            name = json["name"]?.stringValue ?? id
            role = json["role"]?.stringValue ?? ""
            isPersonal = (json["personal"] ?? json["is_personal"])?.boolValue ?? false
            status = json["status"]?.stringValue ?? "active"
        }
    }

    /// A second factor.
    struct Factor: Sendable {
        /// The raw value is Auth's.
        enum Kind: String, Sendable {
            case app = "totp"
            case securityKey = "webauthn"
            case phone

            var title: Message {
                switch self {
                case .app: .authenticatorApp
                case .securityKey: .securityKey
                case .phone: .phone
                }
            }
        }

        let id: String
        let kind: Kind
        private let givenName: String
        let isVerified: Bool
        let createdAt: String?
        /// The last four digits of a phone's number.
        let lastDigits: String

        init?(_ json: JSON) {
            guard let id = json["id"]?.stringValue,
                let kind = json["factor_type"]?.stringValue.flatMap({ Kind(rawValue: $0) })
            else { return nil }
            self.id = id
            self.kind = kind
            givenName = json["friendly_name"]?.stringValue ?? ""
            isVerified = json["status"]?.stringValue == "verified"
            createdAt = json["created_at"]?.stringValue
            lastDigits = String((json["phone"]?.stringValue ?? "").suffix(4))
        }

        /// What its owner calls it, or what it is.
        var name: Phrase { givenName.isEmpty ? .of(kind.title) : .words(givenName) }

        func isNamed(_ name: String) -> Bool { givenName == name }
    }

    let user: JSON
    let profile: JSON?
    let tenants: [Tenant]

    var id: String { user["id"]?.stringValue ?? "" }
    var email: String { user["email"]?.stringValue ?? "" }

    var name: String {
        for name in [profile?["full_name"]?.stringValue, user["user_metadata"]?["full_name"]?.stringValue] {
            if let name, !name.isEmpty { return name }
        }
        return email
    }

    /// The tenant of the token; it need not be open any more.
    var tenantID: String? { user["app_metadata"]?["tenant_id"]?.stringValue ?? profile?["tenant_id"]?.stringValue }
    var tenant: Tenant? { tenants.first { $0.id == tenantID } }
    var tenantName: String { tenant?.name ?? profile?["company_name"]?.stringValue ?? email }
    var isAdministratorOfTenant: Bool { ["owner", "admin"].contains(tenant?.role ?? "owner") }
    var isOwnerOfTenant: Bool { tenant?.role ?? "owner" == "owner" }
    var hasSetUp: Bool { profile?["setup_completed"]?.boolValue ?? false }
    var plan: String { profile?["subscription_tier"]?.stringValue ?? "free" }

    /// Whether they may administer the whole project: only the service role writes `app_metadata`.
    var isOperator: Bool { user["app_metadata"]?["role"]?.stringValue == "operator" }

    var factors: [Factor] { user["factors"]?.arrayValue?.compactMap { Factor($0) } ?? [] }
    var hasVerifiedFactor: Bool { factors.contains(where: \.isVerified) }

    var avatarPath: String? { Self.picture(profile?["avatar_url"]?.stringValue, of: id) }

    /// A picture's address, when it is one that was uploaded here: no page loads a picture from elsewhere.
    static func picture(_ address: String?, of user: String) -> String? {
        guard let address, !user.isEmpty, address.hasPrefix("/avatar/\(user)?v=") else { return nil }
        return address
    }
}
