// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import HTTP

@Suite("RequestParser")
struct RequestParserTests {
    struct Refused: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var head: String
        var status = 400
    }

    static let refusals: [Refused] = [
        Refused(
            testDescription: "Content-Length beside Transfer-Encoding",
            head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Refused(
            testDescription: "Transfer-Encoding beside Content-Length",
            head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
        Refused(
            testDescription: "two Content-Length fields that differ",
            head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
        Refused(
            testDescription: "two Content-Length fields that agree",
            head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
        Refused(
            testDescription: "Content-Length as a list",
            head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"),
        Refused(
            testDescription: "Content-Length: +4", head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n"),
        Refused(
            testDescription: "Content-Length: -1", head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
        Refused(
            testDescription: "Content-Length: 0x5", head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"),
        Refused(testDescription: "empty Content-Length", head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
        Refused(
            testDescription: "Content-Length beyond 64 bits",
            head: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n"),
        Refused(
            testDescription: "Transfer-Encoding: xchunked",
            head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"),
        Refused(
            testDescription: "Transfer-Encoding: chunked, chunked",
            head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"),
        Refused(
            testDescription: "Transfer-Encoding: gzip, chunked",
            head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        Refused(
            testDescription: "two Transfer-Encoding fields",
            head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Refused(
            testDescription: "Transfer-Encoding with a vertical tab",
            head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{0B}chunked\r\n\r\n"),
        Refused(
            testDescription: "Transfer-Encoding in HTTP/1.0",
            head: "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Refused(
            testDescription: "space before the colon",
            head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n"),
        Refused(testDescription: "tab before the colon", head: "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"),
        Refused(testDescription: "obs-fold", head: "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n"),
        Refused(
            testDescription: "field before the first name", head: "GET / HTTP/1.1\r\n Host: a\r\nX: 1\r\n\r\n"),
        Refused(testDescription: "bare line feeds", head: "GET / HTTP/1.1\nHost: a\n\n"),
        Refused(testDescription: "bare line feed after a field", head: "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"),
        Refused(
            testDescription: "bare carriage return in a value", head: "GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n"),
        Refused(testDescription: "bare carriage return in the target", head: "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "NUL in a value", head: "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0}b\r\n\r\n"),
        Refused(testDescription: "NUL in a name", head: "GET / HTTP/1.1\r\nHost: a\r\nX\u{0}: b\r\n\r\n"),
        Refused(testDescription: "NUL in the target", head: "GET /\u{0} HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "DEL in a value", head: "GET / HTTP/1.1\r\nHost: a\r\nX: \u{7F}\r\n\r\n"),
        Refused(testDescription: "two Host fields", head: "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "no Host field", head: "GET / HTTP/1.1\r\nX: a\r\n\r\n"),
        Refused(testDescription: "Host with a path", head: "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        Refused(testDescription: "Host with a user", head: "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
        Refused(testDescription: "Host with a space", head: "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        Refused(testDescription: "empty field name", head: "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
        Refused(testDescription: "field without a colon", head: "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
        Refused(testDescription: "brackets in a name", head: "GET / HTTP/1.1\r\nHost: a\r\nX[1]: b\r\n\r\n"),
        Refused(testDescription: "two spaces in the request line", head: "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "tab in the request line", head: "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "space behind the version", head: "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        Refused(testDescription: "no version", head: "GET /\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "lower-case version", head: "GET / http/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "version 1.10", head: "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "version 2.0", head: "GET / HTTP/2.0\r\nHost: a\r\n\r\n", status: 505),
        Refused(testDescription: "version 1.2", head: "GET / HTTP/1.2\r\nHost: a\r\n\r\n", status: 505),
        Refused(testDescription: "method with a quote", head: "GE\"T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "relative target", head: "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "authority target", head: "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "asterisk outside OPTIONS", head: "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "fragment in the target", head: "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "absolute target without a path", head: "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(testDescription: "two empty lines first", head: "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused(
            testDescription: "unknown expectation", head: "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", status: 417),
        Refused(
            testDescription: "request line too long",
            head: "GET /" + String(repeating: "a", count: 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n", status: 414),
        Refused(
            testDescription: "request line too long and never ending",
            head: "GET /" + String(repeating: "a", count: 9000),
            status: 414),
        Refused(
            testDescription: "header too large",
            head: "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 33_000) + "\r\n\r\n", status: 431),
        Refused(
            testDescription: "header too large and never ending",
            head: "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 33_000), status: 431),
        Refused(
            testDescription: "too many fields",
            head: "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: 1\r\n", count: 100) + "\r\n", status: 431),
    ]

    @Test(arguments: refusals)
    func refuses(_ refused: Refused) {
        #expect(whole(refused.head).status == refused.status)
        #expect(bytewise(refused.head).status == refused.status)
    }

    @Test func takesWhatTheStandardAllows() throws {
        let head =
            "\r\nPOST http://host:80/a/b?x=1&y HTTP/1.1\r\nhOST:  host:80\t\r\nX-Empty:\r\nX: a b\tc\r\n"
            + "Connection: keep-alive, Upgrade\r\nContent-Length: 12\r\nExpect: 100-Continue\r\n\r\n"
        for outcome in [whole(head + "trailing"), bytewise(head)] {
            let (parsed, length) = try #require(outcome.parsed)
            #expect(length == head.utf8.count)
            let bytes = Array(head.utf8)
            func text(_ slice: RequestHead.Slice) -> String { String(decoding: bytes[slice.range], as: UTF8.self) }
            #expect(text(parsed.method) == "POST")
            #expect(text(parsed.path) == "/a/b")
            #expect(parsed.query.map(text) == "x=1&y")
            #expect(
                parsed.fields.map { text($0.name) } == [
                    "hOST", "X-Empty", "X", "Connection", "Content-Length", "Expect",
                ])
            #expect(parsed.fields.map { text($0.value) }[0..<3] == ["host:80", "", "a b\tc"])
            #expect(parsed.contentLength == 12)
            #expect(parsed.wantsUpgrade && parsed.expectsContinue && parsed.keepsAlive && !parsed.isChunked)
        }
    }

    struct KeepAlive: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var head: String
        var keepsAlive: Bool
    }

    @Test(arguments: [
        KeepAlive(testDescription: "1.1", head: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", keepsAlive: true),
        KeepAlive(
            testDescription: "1.1 close", head: "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n",
            keepsAlive: false),
        KeepAlive(testDescription: "1.0", head: "GET / HTTP/1.0\r\n\r\n", keepsAlive: false),
        KeepAlive(
            testDescription: "1.0 keep-alive", head: "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            keepsAlive: true),
    ])
    func connectionPersistence(_ example: KeepAlive) throws {
        let parsed = try #require(whole(example.head).parsed)
        #expect(parsed.0.keepsAlive == example.keepsAlive)
    }

    @Test func aResetParserForgetsTheLastRequest() throws {
        var parser = RequestParser()
        let first = Array("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".utf8)
        let second = Array("GET /b HTTP/1.1\r\nHost: b\r\n\r\n".utf8)
        guard case .complete = first.withUnsafeBytes({ parser.parse($0) }) else {
            Issue.record("the first head was not taken")
            return
        }
        parser.reset()
        guard case .complete(let length) = second.withUnsafeBytes({ parser.parse($0) }) else {
            Issue.record("the second head was not taken")
            return
        }
        #expect(length == second.count)
        #expect(!parser.parsed.isChunked && parser.parsed.keepsAlive && parser.parsed.fields.count == 1)
    }

    /// However the bytes are cut, the outcome is the same, and nothing outside the input is named.
    @Test func cutsDoNotChangeTheOutcome() {
        var generator = SeededGenerator(seed: 7)
        let seeds = Self.refusals.map(\.head) + ["GET /x?y HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"]
        for _ in 0..<4_000 {
            var bytes = Array(seeds.randomElement(using: &generator)?.utf8.prefix(300) ?? "".utf8.prefix(0))
            for _ in 0..<Int.random(in: 0...3, using: &generator) where !bytes.isEmpty {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[position] = UInt8.random(in: .min ... .max, using: &generator)
            }
            let atOnce = run(bytes, step: bytes.count)
            let cut = run(bytes, step: Int.random(in: 1...7, using: &generator))
            #expect(atOnce.status == cut.status && atOnce.parsed?.1 == cut.parsed?.1)
            if let (parsed, length) = atOnce.parsed {
                #expect(length <= bytes.count)
                #expect(parsed.fields.allSatisfy { $0.value.range.upperBound <= length })
            }
        }
    }

    // MARK: Running the parser

    struct Result {
        var status: Int?
        var parsed: (RequestParser.Parsed, Int)?
    }

    func whole(_ text: String) -> Result { run(Array(text.utf8), step: text.utf8.count) }
    func bytewise(_ text: String) -> Result { run(Array(text.utf8), step: 1) }

    func run(_ bytes: [UInt8], step: Int) -> Result {
        var parser = RequestParser()
        var count = 0
        while count < bytes.count {
            count = min(count + max(step, 1), bytes.count)
            switch bytes[..<count].withUnsafeBytes({ parser.parse($0) }) {
            case .needMore: continue
            case .refused(let refusal): return Result(status: refusal.status.code)
            case .complete(let length): return Result(parsed: (parser.parsed, length))
            }
        }
        return Result()
    }
}
