// SPDX-License-Identifier: Apache-2.0
import HTTP
import Mail
import Postgres
import Primitives

/// Something that has happened to an account, which its owner is told by mail.
struct AccountNotice: Sendable {
    let kind: AuthMailKind
    /// Further placeholders: `OldEmail`, `OldPhone`, `Provider`, `FactorType`.
    let details: JSONObject

    static let passwordChanged = AccountNotice(kind: .passwordChanged, details: [:])
    static func emailChanged(from old: String) -> AccountNotice {
        AccountNotice(kind: .emailChanged, details: ["OldEmail": .string(old)])
    }
    static func phoneChanged(from old: String) -> AccountNotice {
        AccountNotice(kind: .phoneChanged, details: ["OldPhone": .string(old)])
    }
    static func identityLinked(_ provider: String) -> AccountNotice {
        AccountNotice(kind: .identityLinked, details: ["Provider": .string(provider)])
    }
    static func identityUnlinked(_ provider: String) -> AccountNotice {
        AccountNotice(kind: .identityUnlinked, details: ["Provider": .string(provider)])
    }
    static func factorEnrolled(_ kind: MFAFactor.Kind) -> AccountNotice {
        AccountNotice(kind: .factorEnrolled, details: ["FactorType": .string(kind.rawValue)])
    }
    static func factorUnenrolled(_ kind: MFAFactor.Kind) -> AccountNotice {
        AccountNotice(kind: .factorUnenrolled, details: ["FactorType": .string(kind.rawValue)])
    }

    /// The members of `email_data` that the hook for mail knows the placeholders as.
    fileprivate var hookData: JSONObject {
        var data: JSONObject = [:]
        for (placeholder, member) in [
            ("OldEmail", "old_email"), ("OldPhone", "old_phone"), ("Provider", "provider"),
            ("FactorType", "factor_type"),
        ] {
            if let value = details[placeholder] { data[member] = value }
        }
        return data
    }
}

extension AuthService {
    /// Tells a user of something that has happened to the account, if the project asked for such notices: queued in the transaction
    /// that does it, or handed to the project's hook.
    ///
    /// A hook that fails is logged and keeps nobody from changing the account: by then it is done.
    ///
    /// - Parameters:
    ///   - recipient: nobody is told when it is empty.
    ///   - user: the account as it is now.
    func notify(
        _ notice: AccountNotice, to recipient: String, about user: AuthUser, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws {
        guard mailer.notices.contains(notice.kind), !recipient.isEmpty else { return }
        guard hooks.isEnabled(.sendEmail) else {
            var data: JSONObject = [
                "SiteURL": .string(configuration.siteURL), "Email": .string(user.email),
                "SendingTo": .string(recipient), "Phone": .string(user.phone), "Data": user.userMetadata,
            ]
            for (name, value) in notice.details { data[name] = value }
            let message = try mailer.message(notice.kind, to: recipient, .object(data))
            try await transaction.query(
                mailer.outbox.insertion(of: message, kind: notice.kind.rawValue, lifetime: nil))
            return
        }
        // A function of the database that fails would take the whole transaction with it.
        try await transaction.query("savepoint notice")
        do {
            try await callMailHook(notice.kind, user.json, notice.hookData, request, in: transaction)
            try await transaction.query("release savepoint notice")
        } catch {
            try await transaction.query("rollback to savepoint notice")
            log.error(
                "notice not sent", .field("request_id", request.id), .field("kind", notice.kind.rawValue),
                .field("cause", String(describing: error)))
        }
    }
}
