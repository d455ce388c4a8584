// SPDX-License-Identifier: Apache-2.0
package import Mail
internal import Primitives

/// The mails that invite people into a team.
package struct InvitationMailer: Sendable {
    /// The queue `invitations`; the mails in it belong to the role `atoll_tenancy`.
    package let outbox: MailOutbox
    private let text: MailText

    /// - Parameters:
    ///   - subject: nil for the built-in one; the placeholders are those of ``builtIn``.
    /// - Throws: `MailError` naming line and mistake of a template.
    package init(outbox: MailOutbox, sender: Mailbox, subject: String?, html: String?) throws(MailError) {
        self.outbox = outbox
        text = try MailText(sender: sender, subject: subject ?? Self.builtIn.subject, html: html ?? Self.builtIn.html)
    }

    /// What is said where the project has no template.
    private static let builtIn = (
        subject: "{{ .InviterName }} invites you to {{ .TenantName }}",
        html: """
        <h2>You have been invited to {{ .TenantName }}</h2>

        <p>{{ .InviterName }}{{ if .InviterEmail }} ({{ .InviterEmail }}){{ end }} invites {{ .Email }} to join {{ .TenantName }} as {{ .Role }}. Follow this link to accept:</p>
        <p><a href="{{ .ConfirmationURL }}">Accept the invitation</a></p>
        <p>Without an account, sign up with this address first. The invitation ends at {{ .ExpiresAt }}.</p>
        <p>If you do not know what this is about, ignore this mail.</p>

        """
    )

    /// A mail as the database's queue takes it.
    func mail(to recipient: String, _ data: JSONObject) throws -> MailOutbox.Sealed {
        try outbox.seal(try text.message(to: recipient, data), kind: "tenant_invitation")
    }
}

/// What a mail says, but for whom.
struct MailText: Sendable {
    private let sender: Mailbox
    private let subject: MailTemplate
    private let html: MailTemplate

    /// - Throws: `MailError` naming line and mistake of a template.
    init(sender: Mailbox, subject: String, html: String) throws(MailError) {
        self.sender = sender
        self.subject = try MailTemplate(subject)
        self.html = try MailTemplate(html)
    }

    /// - Throws: `MailError` for what must not be sent.
    func message(to recipient: String, _ data: JSONObject) throws -> MailMessage {
        let data = JSON.object(data)
        return MailMessage(
            from: sender, to: try Mailbox(recipient), subject: try subject.renderLine(data),
            html: try html.render(data, escaping: .html))
    }
}
