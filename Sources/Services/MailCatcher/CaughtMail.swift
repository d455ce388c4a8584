// SPDX-License-Identifier: Apache-2.0
import Mail
package import Primitives

/// A mail that was caught instead of sent.
package struct CaughtMail: Sendable {
    /// Names it in the API: letters and digits.
    package let id: String
    package let receivedAt: Timestamp
    /// The envelope's sender; empty for none.
    package let sender: String
    /// The envelope's recipients.
    package let recipients: [String]
    /// The message as it came.
    package let raw: String
    package let content: MailContent
    package var isRead = false

    package init(sender: String, recipients: [String], raw: String, receivedAt: Timestamp = .now()) {
        id = UUID.random().description.filter { $0 != "-" }
        self.sender = sender
        self.recipients = recipients
        self.raw = raw
        self.receivedAt = receivedAt
        content = MailContent(raw)
    }

    /// Bytes it takes in memory, about.
    var byteCount: Int { raw.utf8.count * 2 + 512 }

    /// Whether every word of a query is in it. Understood are `to:`, `from:`, `subject:`, `message-id:`, `is:read`, `is:unread`, quotes, and `-` or `!`
    /// before a word that must not be there.
    func matches(_ query: String) -> Bool {
        Self.words(query).allSatisfy { word in
            let isInverted = word.hasPrefix("-") || word.hasPrefix("!")
            return matches(word: isInverted ? String(word.dropFirst()) : word) != isInverted
        }
    }

    private func matches(word: String) -> Bool {
        let lower = word.lowercased()
        func rest(_ prefix: String) -> String? { lower.hasPrefix(prefix) ? String(lower.dropFirst(prefix.count)) : nil }
        func contains(_ texts: [String], _ part: String) -> Bool { texts.contains { $0.lowercased().contains(part) } }
        if let part = rest("to:") { return contains(recipients + content.to.map(\.text), part) }
        if let part = rest("from:") { return contains([sender] + content.from.map(\.text), part) }
        if let part = rest("subject:") { return contains([content.subject], part) }
        if let part = rest("message-id:") { return contains([content.messageID], part) }
        if lower == "is:read" { return isRead }
        if lower == "is:unread" { return !isRead }
        return contains(
            [content.subject, content.text, content.html, sender] + recipients + content.from.map(\.text), lower)
    }

    /// Splits at spaces that stand outside of quotes, which are dropped.
    private static func words(_ query: String) -> [String] {
        var words: [String] = []
        var word = ""
        var isQuoted = false
        for character in query {
            if character == "\"" {
                isQuoted.toggle()
            } else if character.isWhitespace, !isQuoted {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(character)
            }
        }
        if !word.isEmpty { words.append(word) }
        return words
    }
}
