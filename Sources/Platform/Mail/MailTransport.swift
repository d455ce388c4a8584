// SPDX-License-Identifier: Apache-2.0
package import HTTPClient

/// Where mail goes: a mail server, or whoever catches it while none is configured.
package enum MailTransport: Sendable {
    case smtp(HTTPClient, SMTPServer)
    /// Takes the envelope's sender and recipient and the message.
    case catcher(@Sendable (_ sender: String, _ recipient: String, _ message: String) async -> Void)

    /// Hands one mail over.
    ///
    /// - Returns: nil once somebody else has taken responsibility for it.
    func deliver(_ mail: QueuedMail) async -> HTTPClientError? {
        switch self {
        case .catcher(let take):
            await take(mail.sender, mail.recipient, mail.message)
            return nil
        case .smtp(let client, let server):
            do {
                try await client.send(
                    mail: Array(mail.message.utf8), from: mail.sender, to: [mail.recipient], through: server)
                return nil
            } catch {
                return error
            }
        }
    }
}

extension HTTPClientError {
    /// Whether sending the same mail again cannot work.
    var isFinal: Bool {
        switch code {
        case .mailRefused, .invalidRequest, .invalidURL: true
        // A login or a certificate may be mended while the mail waits.
        case .unknownHost, .connectionFailed, .connectionLost, .tlsFailed, .addressRefused, .timeout, .bodyTooLarge,
            .redirectRefused, .overloaded, .mailDeferred, .loginRefused, .cancelled, .misuse:
            false
        }
    }
}
