// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// Finding accounts by what a request names them by.
extension AuthService {
    /// An account's address: `email` or `phone` of a request, checked.
    enum AccountAddress: Sendable, Hashable {
        case email(EmailAddress)
        case phone(PhoneNumber)

        var text: String {
            switch self {
            case .email(let email): email.text
            case .phone(let phone): phone.digits
            }
        }

        var isPhone: Bool {
            if case .phone = self { true } else { false }
        }

        /// A condition on `auth.users` as `u`. Accounts of single sign-on sign in there alone.
        var condition: PostgresQuery {
            switch self {
            case .email(let email): "u.email = \(email.text) and not u.is_sso_user and u.deleted_at is null"
            case .phone(let phone): "u.phone = \(phone.digits) and not u.is_sso_user and u.deleted_at is null"
            }
        }
    }

    /// Reads `email` or `phone`, of which a request names one.
    ///
    /// - Throws: `validationFailed` for both, none, or one that is malformed.
    func address(_ fields: RequestFields) throws(AuthError) -> AccountAddress {
        let email = try fields.text("email")
        let phone = try fields.text("phone")
        guard email.isEmpty != phone.isEmpty else {
            throw AuthError(.validationFailed, "Only an email address or phone number should be provided")
        }
        return email.isEmpty ? .phone(try PhoneNumber(checking: phone)) : .email(try emailAddress(email))
    }

    func emailAddress(_ text: String) throws(AuthError) -> EmailAddress {
        guard let email = EmailAddress(text) else {
            throw AuthError(.validationFailed, "Unable to validate email address: invalid format")
        }
        return email
    }

    /// - Throws: `emailProviderDisabled` or `phoneProviderDisabled`.
    func requireProvider(of address: AccountAddress) throws(AuthError) {
        switch address {
        case .email:
            guard configuration.isEmailEnabled else {
                throw AuthError(.emailProviderDisabled, "Email logins are disabled", status: 422)
            }
        case .phone:
            guard configuration.flows.isPhoneEnabled else {
                throw AuthError(.phoneProviderDisabled, "Phone logins are disabled", status: 422)
            }
        }
    }

    func user(at address: AccountAddress) async throws -> AuthUser? {
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout,
            queries: [AuthUser.selection + "where " + address.condition])
        return try await database.run(unit).first?.onlyRow.flatMap { AuthUser(row: $0) }
    }

    /// Reads a user and keeps others from changing it until the transaction ends.
    func lockedUser(_ condition: PostgresQuery, in transaction: PostgresTransaction) async throws -> AuthUser? {
        let result = try await transaction.query(AuthUser.selection + "where " + condition + " for update of u")
        return result.onlyRow.flatMap { AuthUser(row: $0) }
    }
}

/// A phone number in the one form it is stored and looked up in: the digits of the international number (E.164).
struct PhoneNumber: Sendable, Hashable {
    /// Without `+`.
    let digits: String

    /// Nil for what is none: 7 to 15 digits, the first not 0, behind an optional `+`; spaces are dropped.
    init?(_ text: String) {
        let compact = text.filter { $0 != " " }
        let digits = compact.hasPrefix("+") ? compact.dropFirst() : compact[...]
        guard (7...15).contains(digits.utf8.count), digits.utf8.allSatisfy({ $0 &- 48 < 10 }), digits.first != "0"
        else { return nil }
        self.digits = String(digits)
    }

    init(checking text: String) throws(AuthError) {
        guard let number = PhoneNumber(text) else {
            throw AuthError(.validationFailed, "Invalid phone number format (E.164 required)")
        }
        self = number
    }
}
