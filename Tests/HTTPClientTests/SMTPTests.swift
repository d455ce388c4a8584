// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import Primitives
import TestSupport
import Testing

@Suite("SMTP", .enabled(if: TestMailServer.isAvailable, "scripts/setup --test has not been run"))
struct SMTPTests {
    static let message = "From: a@example.com\r\nTo: b@example.com\r\nSubject: dots\r\n\r\n.\r\n..two\r\nend.\r\n"

    /// Sends a mail and returns the error's code, nil when the server took it.
    private static func send(
        _ message: String = message, to recipients: [String] = ["b@example.com"], from sender: String = "a@example.com",
        through server: SMTPServer, authority: String? = nil
    ) async throws -> HTTPClientError? {
        try await Loop.withLoop { loop in
            var configuration = HTTPClientConfiguration()
            configuration.certificateAuthorityFile = authority
            let client = try HTTPClient(configuration, loops: [loop])
            var error: HTTPClientError?
            do {
                try await client.send(mail: Array(message.utf8), from: sender, to: recipients, through: server)
            } catch let caught {
                error = caught as? HTTPClientError
            }
            await client.shutdown()
            return error
        }
    }

    // MARK: Refusals

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var recipients = ["b@example.com"]
        var sender = "a@example.com"
        var code: HTTPClientError.Code
        var replyCode: Int?
    }

    static let refusals = [
        Refusal(
            testDescription: "an unknown mailbox", recipients: ["refused@example.com"], code: .mailRefused,
            replyCode: 550),
        Refusal(
            testDescription: "a mailbox that is not ready", recipients: ["later@example.com"], code: .mailDeferred,
            replyCode: 451),
        Refusal(testDescription: "a server that says nothing", recipients: ["slow@example.com"], code: .timeout),
        Refusal(testDescription: "nobody", recipients: [], code: .invalidRequest),
        Refusal(
            testDescription: "a recipient that ends its line", recipients: ["b@example.com>\r\nRCPT TO:<c@example.com"],
            code: .invalidRequest),
        Refusal(testDescription: "a sender with a space", sender: "a b@example.com", code: .invalidRequest),
    ]

    @Test(arguments: refusals)
    func refuses(_ refusal: Refusal) async throws {
        try await TestMailServer.with { files in
            var server = SMTPServer(host: "127.0.0.1", port: files.port, security: .plain)
            server.timeout = .milliseconds(700)
            let error = try await Self.send(to: refusal.recipients, from: refusal.sender, through: server)
            #expect(error?.code == refusal.code)
            if let replyCode = refusal.replyCode { #expect(error?.replyCode == replyCode) }
            #expect(files.mails.isEmpty)
        }
    }

    @Test func refusesAServerWithoutTLSWhereItIsDemanded() async throws {
        try await TestMailServer.with { files in
            let server = SMTPServer(
                host: "127.0.0.1", port: files.port, security: .startTLS, user: "u", password: SecretString("p"))
            let error = try await Self.send(through: server)
            #expect(error?.code == .tlsFailed)
        }
    }

    @Test func refusesAnUntrustedCertificate() async throws {
        try await TestMailServer.with(.startTLS) { files in
            let server = SMTPServer(host: "127.0.0.1", port: files.port, security: .startTLS)
            let error = try await Self.send(through: server)
            #expect(error?.code == .tlsFailed)
            #expect(files.mails.isEmpty)
        }
    }

    @Test func refusesAWrongPasswordWithoutNamingIt() async throws {
        try await TestMailServer.with(.startTLS, login: "user:right") { files in
            let server = SMTPServer(
                host: "127.0.0.1", port: files.port, security: .startTLS, user: "user",
                password: SecretString("wrong-password"))
            let sent = try await Self.send(through: server, authority: files.certificatePath)
            let error = try #require(sent)
            #expect(error.code == .loginRefused)
            #expect(!"\(error)".contains("wrong-password"))
        }
    }

    // MARK: What works

    @Test(arguments: [
        (TestMailServer.Protection.none, SMTPServer.Security.plain), (.none, .opportunistic), (.startTLS, .startTLS),
        (.startTLS, .opportunistic), (.implicit, .tls),
    ])
    func deliversOver(_ offered: TestMailServer.Protection, _ used: SMTPServer.Security) async throws {
        try await TestMailServer.with(offered) { files in
            var server = SMTPServer(host: "127.0.0.1", port: files.port, security: used)
            server.clientName = "atoll.example.com"
            let error = try await Self.send(
                to: ["b@example.com", "c@example.com"], through: server, authority: files.certificatePath)
            #expect(error == nil)
            let mail = try #require(files.mails.first)
            #expect(files.mails.count == 1)
            #expect(mail["from"] == "a@example.com")
            #expect(mail["to"] == ["b@example.com", "c@example.com"])
            #expect(mail["data"]?.stringValue == Self.message)
            #expect(mail["tls"] == .bool(offered != .none))
            #expect(mail["peer"] == "atoll.example.com")
        }
    }

    @Test func logsIn() async throws {
        try await TestMailServer.with(.startTLS, login: "user:right") { files in
            let server = SMTPServer(
                host: "127.0.0.1", port: files.port, security: .startTLS, user: "user", password: SecretString("right"))
            let error = try await Self.send(through: server, authority: files.certificatePath)
            #expect(error == nil)
            #expect(files.mails.first?["authenticated"] == true)
        }
    }

    @Test func deliversALargeMessage() async throws {
        try await TestMailServer.with { files in
            let server = SMTPServer(host: "127.0.0.1", port: files.port, security: .plain)
            let body = String(repeating: "0123456789 0123456789 0123456789\r\n.\r\n", count: 20_000)
            let error = try await Self.send(Self.message + body, through: server)
            #expect(error == nil)
            #expect(files.mails.first?["data"]?.stringValue == Self.message + body)
        }
    }
}
