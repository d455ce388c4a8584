// SPDX-License-Identifier: Apache-2.0
package import Mail
import Primitives

/// The mails Auth sends; the raw value is the name of its `[auth.email.template.<name>]` or `[auth.email.notification.<name>]`.
package enum AuthMailKind: String, Sendable, CaseIterable {
    case invite
    case confirmation
    case recovery
    case magicLink = "magic_link"
    case emailChange = "email_change"
    case reauthentication
    case passwordChanged = "password_changed"
    case emailChanged = "email_changed"
    case phoneChanged = "phone_changed"
    case identityLinked = "identity_linked"
    case identityUnlinked = "identity_unlinked"
    case factorEnrolled = "mfa_factor_enrolled"
    case factorUnenrolled = "mfa_factor_unenrolled"

    /// Whether it tells of something that has happened, instead of asking for something.
    package var isNotice: Bool {
        switch self {
        case .invite, .confirmation, .recovery, .magicLink, .emailChange, .reauthentication: false
        case .passwordChanged, .emailChanged, .phoneChanged, .identityLinked, .identityUnlinked, .factorEnrolled,
            .factorUnenrolled:
            true
        }
    }

    /// `email_action_type` of the hook that sends mail.
    var actionType: String {
        switch self {
        case .confirmation: "signup"
        case .magicLink: "magiclink"
        case .passwordChanged, .emailChanged, .phoneChanged, .identityLinked, .identityUnlinked, .factorEnrolled,
            .factorUnenrolled:
            rawValue + "_notification"
        case .invite, .recovery, .emailChange, .reauthentication: rawValue
        }
    }
}

/// Subject and text of a mail.
package struct AuthMailTemplate: Sendable {
    package let subject: MailTemplate
    package let html: MailTemplate

    /// - Throws: `MailError` naming line and mistake.
    package init(subject: String, html: String) throws(MailError) {
        self.subject = try MailTemplate(subject)
        self.html = try MailTemplate(html)
    }
}

/// What Auth needs to send mail: who it is from, what it says, and the queue it goes into.
package struct AuthMailer: Sendable {
    package let outbox: MailOutbox
    package var sender: Mailbox
    /// Templates by kind; those not listed have the built-in text.
    package var templates: [AuthMailKind: AuthMailTemplate]
    /// Notices that are sent.
    package var notices: Set<AuthMailKind> = []
    /// Whether the number of mails an hour is limited: it is where they reach people.
    package var isLimited = false

    /// - Throws: `MailError` for a template that cannot be read.
    package init(
        outbox: MailOutbox, sender: Mailbox, templates: [AuthMailKind: AuthMailTemplate] = [:]
    ) throws(MailError) {
        self.outbox = outbox
        self.sender = sender
        self.templates = [:]
        for kind in AuthMailKind.allCases {
            if let template = templates[kind] {
                self.templates[kind] = template
            } else {
                let text = kind.builtIn
                self.templates[kind] = try AuthMailTemplate(subject: text.subject, html: text.html)
            }
        }
    }

    /// Fills a template in.
    func message(_ kind: AuthMailKind, to recipient: String, _ data: JSON) throws -> MailMessage {
        guard let template = templates[kind] else { preconditionFailure("every kind has a template") }
        return MailMessage(
            from: sender, to: try Mailbox(recipient), subject: try template.subject.renderLine(data),
            html: try template.html.render(data, escaping: .html))
    }
}
