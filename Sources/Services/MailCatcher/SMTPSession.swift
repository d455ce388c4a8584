// SPDX-License-Identifier: Apache-2.0
import Primitives

/// The server's side of one SMTP connection (RFC 5321), without I/O: bytes in, replies and mails out.
package struct SMTPSession: Sendable {
    /// What is to be done, in order.
    package enum Action: Sendable, Equatable {
        case reply(String)
        case take(sender: String, recipients: [String], message: String)
        case close
    }

    private enum Phase: Equatable {
        case commands
        case data
        /// Waiting for the rest of an `AUTH` exchange, which takes any answer.
        case login(left: Int)
    }

    private var phase = Phase.commands
    private var buffer: [UInt8] = []
    private var message: [UInt8] = []
    private var isTooLarge = false
    private var sender: String?
    private var recipients: [String] = []
    private let maxMessageBytes: Int

    private static let maxLineBytes = 4096
    private static let maxRecipients = 100

    package init(maxMessageBytes: Int) { self.maxMessageBytes = maxMessageBytes }

    /// Said first.
    package static let greeting = "220 atoll mail catcher\r\n"

    package mutating func receive(_ bytes: some Sequence<UInt8>) -> [Action] {
        buffer.append(contentsOf: bytes)
        var actions: [Action] = []
        var start = 0
        while let end = buffer[start...].firstIndex(of: 0x0a) {
            var line = buffer[start..<end]
            start = end + 1
            if line.last == 0x0d { line.removeLast() }
            actions += phase == .data ? receive(dataLine: line) : receive(command: line)
            if actions.last == .close { return actions }
        }
        buffer.removeFirst(start)
        if buffer.count > (phase == .data ? maxMessageBytes : Self.maxLineBytes) {
            return actions + [.reply("500 line too long\r\n"), .close]
        }
        return actions
    }

    private mutating func receive(dataLine line: ArraySlice<UInt8>) -> [Action] {
        if line.elementsEqual([UInt8(ascii: ".")]) {
            phase = .commands
            defer { reset() }
            if isTooLarge { return [.reply("552 message too large\r\n")] }
            let text = String(decoding: message, as: UTF8.self)
            return [
                .take(sender: sender ?? "", recipients: recipients, message: text), .reply("250 caught\r\n"),
            ]
        }
        let content = line.first == UInt8(ascii: ".") ? line.dropFirst() : line
        if message.count + content.count + 2 > maxMessageBytes {
            isTooLarge = true
        } else {
            message += content
            message += [0x0d, 0x0a]
        }
        return []
    }

    private mutating func reset() {
        sender = nil
        recipients = []
        message = []
        isTooLarge = false
    }

    private mutating func receive(command line: ArraySlice<UInt8>) -> [Action] {
        let text = String(decoding: line, as: UTF8.self)
        if case .login(let left) = phase {
            phase = left > 1 ? .login(left: left - 1) : .commands
            return [.reply(left > 1 ? "334 UGFzc3dvcmQ6\r\n" : "235 welcome\r\n")]
        }
        let word = text.prefix { $0 != " " && $0 != ":" }.uppercased()
        switch word {
        case "EHLO":
            reset()
            return [
                .reply(
                    "250-atoll\r\n250-SIZE \(maxMessageBytes)\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN\r\n"
                )
            ]
        case "HELO":
            reset()
            return [.reply("250 atoll\r\n")]
        case "AUTH": return [.reply(logIn(text))]
        case "MAIL":
            guard let path = Self.path(text, after: "FROM:") else { return [.reply("501 MAIL FROM:<address>\r\n")] }
            reset()
            sender = path
            return [.reply("250 OK\r\n")]
        case "RCPT":
            guard sender != nil else { return [.reply("503 MAIL first\r\n")] }
            guard let path = Self.path(text, after: "TO:"), !path.isEmpty else {
                return [.reply("501 RCPT TO:<address>\r\n")]
            }
            guard recipients.count < Self.maxRecipients else { return [.reply("452 too many recipients\r\n")] }
            recipients.append(path)
            return [.reply("250 OK\r\n")]
        case "DATA":
            guard !recipients.isEmpty else { return [.reply("503 RCPT first\r\n")] }
            phase = .data
            return [.reply("354 end with a line of one dot\r\n")]
        case "RSET":
            reset()
            return [.reply("250 OK\r\n")]
        case "NOOP": return [.reply("250 OK\r\n")]
        case "VRFY": return [.reply("252 perhaps\r\n")]
        case "QUIT": return [.reply("221 bye\r\n"), .close]
        default: return [.reply("502 not known here\r\n")]
        }
    }

    /// Anybody may log in: there is nothing to protect, and programs are tested with their logins on.
    private mutating func logIn(_ text: String) -> String {
        let words = text.split(separator: " ")
        switch words.dropFirst().first?.uppercased() {
        case "PLAIN" where words.count > 2: return "235 welcome\r\n"
        case "PLAIN":
            phase = .login(left: 1)
            return "334 \r\n"
        case "LOGIN":
            phase = .login(left: words.count > 2 ? 1 : 2)
            return words.count > 2 ? "334 UGFzc3dvcmQ6\r\n" : "334 VXNlcm5hbWU6\r\n"
        default: return "504 not known here\r\n"
        }
    }

    private static func path(_ text: String, after word: String) -> String? {
        guard let range = text.uppercased().firstRange(of: word), text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
        else {
            return nil
        }
        let offset = text.uppercased().distance(from: text.startIndex, to: range.upperBound)
        let rest = text.dropFirst(offset).drop { $0 == " " }
        guard rest.first == "<", let close = rest.firstIndex(of: ">") else { return nil }
        return String(rest[rest.index(after: rest.startIndex)..<close])
    }
}
