// SPDX-License-Identifier: Apache-2.0
import Platform
import Primitives

/// What an administrator writes of a user. A member that is left out stays as it is.
struct AdminUserForm: Sendable {
    /// How a ban changes.
    enum Ban: Sendable, Hashable {
        case lifted
        case until(Duration)
    }

    var id: UUID?
    var audience: String?
    var role: String?
    var email: EmailAddress?
    /// Digits without `+`.
    var phone: String?
    var password: String?
    /// A hash made elsewhere.
    var passwordHash: String?
    var confirmsEmail: Bool
    var confirmsPhone: Bool
    var userMetadata: JSONObject
    var appMetadata: JSONObject
    var ban: Ban?

    /// - Throws: `validationFailed`, or `badJSON` for a member of another type.
    init(_ fields: RequestFields) throws(AuthError) {
        func text(_ name: String) throws(AuthError) -> String? {
            let value = try fields.text(name)
            return value.isEmpty ? nil : value
        }
        if let text = try text("id") {
            guard let id = UUID(text) else {
                throw AuthError(.validationFailed, "ID must conform to the uuid v4 format")
            }
            self.id = id
        }
        audience = try text("aud")
        role = try text("role")
        if let text = try text("email") {
            guard let email = EmailAddress(text) else {
                throw AuthError(.validationFailed, "Unable to validate email address: invalid format")
            }
            self.email = email
        }
        if let text = try text("phone") {
            let digits = text.first == "+" ? String(text.dropFirst()) : text
            guard (8...15).contains(digits.utf8.count), digits.utf8.allSatisfy({ $0 &- 48 < 10 }), digits.first != "0"
            else { throw AuthError(.validationFailed, "Invalid phone number format (E.164 required)") }
            phone = digits
        }
        password = try text("password")
        passwordHash = try text("password_hash")
        guard password == nil || passwordHash == nil else {
            throw AuthError(.validationFailed, "Only a password or a password hash should be provided")
        }
        if let passwordHash, StoredPassword(passwordHash) == nil {
            throw AuthError(
                .validationFailed, "password_hash must be a hash by bcrypt, argon2i, argon2id or Firebase's scrypt")
        }
        confirmsEmail = try fields.flag("email_confirm")
        confirmsPhone = try fields.flag("phone_confirm")
        userMetadata = try fields.object("user_metadata")
        appMetadata = try fields.object("app_metadata")
        if let text = try text("ban_duration") {
            if text == "none" {
                ban = .lifted
            } else {
                guard let duration = parseDuration(text) else {
                    throw AuthError(.validationFailed, "invalid format for ban duration: \"\(text.prefix(32))\"")
                }
                ban = .until(duration)
            }
        }
    }
}
