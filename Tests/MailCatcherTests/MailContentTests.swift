// SPDX-License-Identifier: Apache-2.0
import Mail
import MailCatcher
import Testing

@Suite("Content of caught mail")
struct MailContentTests {
    @Test func readsWhatAtollWrites() throws {
        let html =
            "<p>Gr\u{fc}\u{df}e = <a href=\"https://a.b\">x</a></p>\n" + String(repeating: "\u{1f600}", count: 50)
        let message = MailMessage(
            from: try Mailbox("a@b.example", name: "\u{c4}nne, \"Chef\""), to: try Mailbox("c@d.example"),
            subject: "Ein Betreff mit Umlauten \u{e4}\u{f6}\u{fc} der l\u{e4}nger als eine Zeile ist und gefaltet wird",
            html: html)
        let content = MailContent(try message.encoded())
        #expect(content.subject == message.subject)
        #expect(content.html.split(separator: "\r\n").joined(separator: "\n") == html)
        #expect(content.text.contains("Gr\u{fc}\u{df}e = x (https://a.b)"))
        #expect(content.from.first?.address == "a@b.example")
        #expect(content.to.first?.address == "c@d.example")
        #expect(content.messageID == message.messageID)
    }

    @Test func readsAttachmentsAndOtherEncodings() {
        let raw = """
            From: =?iso-8859-1?Q?J=FCrgen_M?= <j@b.example>\r
            Subject: =?utf-8?B?SGFsbG8=?= =?utf-8?B?IFdlbHQ=?=\r
            Content-Type: multipart/mixed; boundary=x\r
            \r
            --x\r
            Content-Type: text/plain; charset=iso-8859-1\r
            Content-Transfer-Encoding: base64\r
            \r
            R3L832U=\r
            --x\r
            Content-Type: application/pdf; name="a.pdf"\r
            Content-Disposition: attachment; filename="a.pdf"\r
            \r
            %PDF\r
            --x--\r

            """
        let content = MailContent(raw)
        #expect(content.subject == "Hallo Welt")
        #expect(content.from.first?.name == "J\u{fc}rgen M")
        #expect(content.text == "Gr\u{fc}\u{df}e")
        #expect(content.attachments.first?.name == "a.pdf")
    }

    @Test(arguments: ["", "\r\n", "no header", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--", ":\r\n :\r\n"])
    func readsAnything(_ raw: String) {
        #expect(MailContent(raw).attachments.isEmpty)
    }

    @Test func keepsNoMoreThanItMay() {
        let store = MailStore(maxMails: 3, maxBytes: 1 << 20)
        for number in 0..<10 {
            store.add(CaughtMail(sender: "a@b", recipients: ["c@d"], raw: "Subject: \(number)\r\n\r\nx"))
        }
        #expect(store.all.map(\.content.subject) == ["9", "8", "7"])
        store.add(
            CaughtMail(sender: "a@b", recipients: ["c@d"], raw: String(repeating: "x", count: 500_000)))
        #expect(store.all.count <= 3)
        store.add(
            CaughtMail(sender: "a@b", recipients: ["c@d"], raw: String(repeating: "x", count: 300_000)))
        #expect(store.all.count == 1)
    }
}
