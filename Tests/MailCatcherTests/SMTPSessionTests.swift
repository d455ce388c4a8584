// SPDX-License-Identifier: Apache-2.0
import MailCatcher
import Testing

@Suite("SMTP session of the catcher")
struct SMTPSessionTests {
    private static func replies(_ actions: [SMTPSession.Action]) -> [String] {
        actions.compactMap { action in
            if case .reply(let text) = action { String(text.prefix(3)) } else { nil }
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var lines: [String]
        var replies: [String]
    }

    static let refusals = [
        Case(testDescription: "a recipient first", lines: ["RCPT TO:<a@b>"], replies: ["503"]),
        Case(testDescription: "data first", lines: ["MAIL FROM:<a@b>", "DATA"], replies: ["250", "503"]),
        Case(testDescription: "no address", lines: ["MAIL FROM:a@b"], replies: ["501"]),
        Case(testDescription: "no recipient", lines: ["MAIL FROM:<>", "RCPT TO:<>"], replies: ["250", "501"]),
        Case(testDescription: "an unknown word", lines: ["STARTTLS", "HELP"], replies: ["502", "502"]),
        Case(
            testDescription: "forgetting", lines: ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RSET", "DATA"],
            replies: ["250", "250", "250", "503"]),
    ]

    @Test(arguments: refusals)
    func refuses(_ each: Case) {
        var session = SMTPSession(maxMessageBytes: 1000)
        let actions = session.receive(each.lines.map { $0 + "\r\n" }.joined().utf8)
        #expect(Self.replies(actions) == each.replies)
    }

    @Test func refusesALineWithoutEnd() {
        var session = SMTPSession(maxMessageBytes: 1000)
        #expect(session.receive(String(repeating: "x", count: 10_000).utf8).last == .close)
    }

    @Test func refusesAMessageTooLargeAndGoesOn() {
        var session = SMTPSession(maxMessageBytes: 100)
        _ = session.receive("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n".utf8)
        var actions: [SMTPSession.Action] = []
        for _ in 0..<50 { actions += session.receive("0123456789\r\n".utf8) }
        actions += session.receive(".\r\nNOOP\r\n".utf8)
        #expect(Self.replies(actions) == ["552", "250"])
    }

    @Test func takesAMailInWhateverPieces() {
        let input =
            "EHLO x\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b> SIZE=10\r\nRCPT TO:<c@d>\r\nrcpt to: <e@f>\r\nDATA\r\n"
            + "Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
        for size in [1, 3, 1000] {
            var session = SMTPSession(maxMessageBytes: 1000)
            var actions: [SMTPSession.Action] = []
            let bytes = Array(input.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                actions += session.receive(bytes[start..<min(start + size, bytes.count)])
            }
            #expect(
                actions.contains(
                    .take(sender: "a@b", recipients: ["c@d", "e@f"], message: "Subject: x\r\n\r\n.dot\r\n")))
            #expect(actions.last == .close)
        }
    }
}
