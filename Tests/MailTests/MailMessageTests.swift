// SPDX-License-Identifier: Apache-2.0
import Mail
import Primitives
import Testing

@Suite("Mail messages")
struct MailMessageTests {
    private static func message(subject: String = "Hello", html: String = "<p>Hi</p>") throws -> MailMessage {
        MailMessage(
            from: try Mailbox("admin@example.com", name: "Admin"), to: try Mailbox("b@example.org"), subject: subject,
            html: html, id: UUID("00000000-0000-4000-8000-000000000001") ?? .zero,
            date: Timestamp(unixSeconds: 1_772_366_400))
    }

    // MARK: Refusals

    @Test(arguments: ["a\r\nBcc: c@example.com", "a\nb", "a\u{0}b", "a\u{85}b", "a\u{2028}b"])
    func refusesASubjectThatWouldEndItsLine(_ subject: String) throws {
        let message = try Self.message(subject: subject)
        #expect(throws: MailError.invalidHeader(name: "Subject")) { try message.encoded() }
    }

    @Test(arguments: [
        "a@b@c", "a", "@b", "a@", "a b@c", "a@b\r\nRCPT TO:<c@d>", "<a@b>", "a@b,c@d", "\"a\"@b", "\u{e4}@b.c", "a@b\0",
    ])
    func refusesAnAddress(_ address: String) {
        #expect(throws: MailError.invalidAddress) { try Mailbox(address) }
    }

    @Test func refusesANameOrHeaderThatWouldEndItsLine() throws {
        #expect(throws: MailError.self) { try Mailbox("a@b.c", name: "x\r\nBcc: y") }
        var message = try Self.message()
        message.headers = [("Reply-To", "a@b.c\r\nBcc: d@e.f")]
        #expect(throws: MailError.invalidHeader(name: "Reply-To")) { try message.encoded() }
        message.headers = [("Reply To", "a@b.c")]
        #expect(throws: MailError.self) { try message.encoded() }
    }

    // MARK: What is written

    @Test func hasHeadersAndBothParts() throws {
        let text = try Self.message().encoded()
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(lines.contains("Date: Sun, 01 Mar 2026 12:00:00 +0000"))
        #expect(lines.contains("From: Admin <admin@example.com>"))
        #expect(lines.contains("To: b@example.org"))
        #expect(lines.contains("Subject: Hello"))
        #expect(lines.contains("Message-ID: <00000000-0000-4000-8000-000000000001@example.com>"))
        #expect(lines.contains("MIME-Version: 1.0"))
        let plain = try #require(text.firstRange(of: "text/plain; charset=utf-8"))
        let html = try #require(text.firstRange(of: "text/html; charset=utf-8"))
        #expect(plain.lowerBound < html.lowerBound)
        #expect(text.contains("\r\n\r\n<p>Hi</p>\r\n--"))
        #expect(!text.split(separator: "\r\n").contains { $0.contains("\n") || $0.contains("\r") })
    }

    @Test func keepsEveryLineShort() throws {
        let long = String(repeating: "Ein langer Betreff mit Umlauten \u{e4}\u{f6}\u{fc} \u{1f600} ", count: 10)
        let text = try Self.message(subject: long, html: String(repeating: "x=\u{e4} ", count: 2000)).encoded()
        for line in text.split(separator: "\r\n") { #expect(line.utf8.count <= 78, "\(line)") }
        #expect(text.utf8.allSatisfy { $0 < 0x80 })
        #expect(text.contains("Subject: =?utf-8?B?"))
    }

    struct Plain: Sendable, CustomTestStringConvertible {
        var html: String
        var text: String
        var testDescription: String { html }
    }

    static let plains = [
        Plain(html: "<h2>Title</h2><p>One &amp; two</p>", text: "Title\n\nOne & two\n"),
        Plain(
            html: "<p>Follow <a href=\"https://a.b/?x=1&amp;y=2\">this link</a>.</p>",
            text: "Follow this link (https://a.b/?x=1&y=2).\n"),
        Plain(html: "<a href='https://a.b'>https://a.b</a>", text: "https://a.b\n"),
        Plain(html: "a<br>b<br/>c", text: "a\nb\nc\n"),
        Plain(html: "<style>p { color: red }</style><script>x()</script><title>no</title>yes", text: "yes\n"),
        Plain(html: "<ul><li>one</li><li>two</li></ul>", text: "- one\n- two\n"),
        Plain(html: "<!-- no -->a\n   b &lt;c&gt; &#169; &#x41; &unknown;", text: "a b <c> \u{a9} A &unknown;\n"),
        Plain(html: "1 < 2", text: "1 < 2\n"),
        Plain(html: "<p title=\"a > b\">c", text: "c\n"),
    ]

    @Test(arguments: plains)
    func makesPlainText(_ each: Plain) throws {
        let encoded = try Self.message(html: each.html).encoded()
        let part = try #require(encoded.split(separator: "text/plain; charset=utf-8").last)
        let body = part.split(separator: "\r\n\r\n", maxSplits: 1).last ?? ""
        let end = try #require(body.firstRange(of: "\r\n--=_"))
        let bytes = QuotedPrintable.decode(Array(body[..<end.lowerBound].utf8))
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n") == each.text)
    }
}
