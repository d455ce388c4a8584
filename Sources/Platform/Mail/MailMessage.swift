// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
package import Primitives

/// A mail about to be written: HTML with a plain text beside it (RFC 5322, RFC 2046 section 5.1.4).
package struct MailMessage: Sendable {
    package var sender: Mailbox
    package var recipient: Mailbox
    /// One line.
    package var subject: String
    package var html: String
    /// For readers without HTML; nil makes one from the HTML.
    package var text: String?
    /// Further headers, such as `Reply-To`.
    package var headers: [(name: String, value: String)] = []
    /// What the mail's identifier is made of: the same for every copy of one mail.
    package var id: UUID
    package var date: Timestamp

    package init(
        from sender: Mailbox, to recipient: Mailbox, subject: String, html: String, text: String? = nil,
        id: UUID = .random(), date: Timestamp = .now()
    ) {
        self.sender = sender
        self.recipient = recipient
        self.subject = subject
        self.html = html
        self.text = text
        self.id = id
        self.date = date
    }

    /// The `Message-ID` without its angle brackets.
    package var messageID: String { "\(id)@\(sender.domain)" }

    /// The whole message with CR LF line ends.
    ///
    /// - Throws: `invalidHeader` when a header would end its line: what follows could be read as headers or a body of somebody
    ///   else's making.
    package func encoded() throws(MailError) -> String {
        guard !subject.unicodeScalars.contains(where: HeaderText.isControl) else {
            throw .invalidHeader(name: "Subject")
        }
        var result = HeaderText.line("Date", date.mailDate)
        result += HeaderText.line("From", sender.headerValue)
        result += HeaderText.line("To", recipient.headerValue)
        result += HeaderText.line("Subject", HeaderText.unstructured(subject))
        result += HeaderText.line("Message-ID", "<\(messageID)>")
        for (name, value) in headers {
            guard Self.isFieldName(name), !value.unicodeScalars.contains(where: HeaderText.isControl) else {
                throw .invalidHeader(name: name)
            }
            result += HeaderText.line(name, HeaderText.unstructured(value))
        }
        // RFC 3834: nobody's holiday notice answers it.
        result += "Auto-Submitted: auto-generated\r\n"
        // Quoted-printable text never holds `=_`.
        let boundary = "=_" + Hex.encode(randomBytes(16))
        result += "MIME-Version: 1.0\r\n"
        result += "Content-Type: multipart/alternative;\r\n boundary=\"\(boundary)\"\r\n\r\n"
        result += Self.part(text ?? PlainText.make(fromHTML: html), type: "text/plain", boundary)
        result += Self.part(html, type: "text/html", boundary)
        result += "--\(boundary)--\r\n"
        return result
    }

    private static func part(_ text: String, type: String, _ boundary: String) -> String {
        "--\(boundary)\r\nContent-Type: \(type); charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            + String(decoding: QuotedPrintable.encode(text), as: UTF8.self) + "\r\n"
    }

    private static func isFieldName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: ":") }
    }
}

extension Timestamp {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// As RFC 5322 section 3.3 writes it: `Sun, 01 Mar 2026 12:00:00 +0000`.
    package var mailDate: String {
        // `2026-03-01T12:00:00.25Z`
        let text = description
        let date = text.prefix(10).split(separator: "-")
        let time = text.dropFirst(11).prefix(8)
        guard date.count == 3, let month = Int(date[1]) else { return text }
        let day = Self.days[Int(((unixSeconds / 86_400) % 7 + 7) % 7)]
        return "\(day), \(date[2]) \(Self.months[month - 1]) \(date[0]) \(time) +0000"
    }
}
