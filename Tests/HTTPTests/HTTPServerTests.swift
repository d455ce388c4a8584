// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import HTTP
import Primitives
import Synchronization
import Testing

/// A value shared between a handler and a test.
final class Shared<Value: Sendable>: Sendable {
    private let storage: Mutex<Value>
    init(_ value: Value) { storage = Mutex(value) }
    var value: Value {
        get { storage.withLock { $0 } }
        set { storage.withLock { $0 = newValue } }
    }

    /// Waits up to ten seconds for a condition. Blocks.
    func waits(until condition: (Value) -> Bool) -> Bool {
        for _ in 0..<10_000 {
            if condition(value) { return true }
            usleep(1_000)
        }
        return false
    }
}

@Suite("HTTPServer", .serialized)
struct HTTPServerTests {
    static func router() -> Router {
        var router = Router()
        router.on(.get, "/hello") { _ in .text("hello") }
        router.on(.get, "/slow") { request in
            try await request.loop.sleep(for: .milliseconds(20))
            return .text("slow")
        }
        router.on(.post, "/echo", maxBodyBytes: 8 << 20) { request in
            HTTPResponse(.ok, body: .bytes(try await request.body.collect()))
        }
        router.on(.post, "/ignore") { _ in .text("ignored") }
        router.on(.get, "/big") { _ in .text(String(repeating: "x", count: 3_000_000)) }
        router.on(.get, "/stream") { _ in
            HTTPResponse(
                .ok,
                body: .stream(byteCount: nil) { writer in
                    for number in 0..<100 { try await writer.write(Array("line \(number)\n".utf8)) }
                })
        }
        router.on(.get, "/short") { _ in
            HTTPResponse(.ok, body: .stream(byteCount: 10) { try await $0.write([1, 2, 3]) })
        }
        // What a database function may ask for in the name of the project.
        router.on(.get, "/fields") { _ in
            var response = HTTPResponse.text("fields")
            for (name, value) in [
                ("X-Kept", "a\r\nX-Split-Value: b"), ("X-Split\r\nX-Injected", "a"), ("", "a"), ("X Space", "a"),
                ("X-\u{E9}", "a"), ("Content-Length", "1"), ("transfer-encoding", "chunked"), ("Connection", "close"),
                ("Keep-Alive", "timeout=1"), ("Upgrade", "h2c"), ("Trailer", "X"), ("Date", "never"),
                ("X-REQUEST-ID", "forged"),
            ] { response.headers.append(name, value) }
            return response
        }
        router.on(.get, "/throws") { _ in throw HTTPError(.conflict, "no") }
        router.on(.get, "/items/:id") { .text($0.parameters["id"] ?? "") }
        return router
    }

    @Test func writesNoFieldThatSplitsAResponseOrFramesItTwice() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /fields HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let text = try client.readToEnd()
            let parts = text.split(separator: "\r\n\r\n", omittingEmptySubsequences: false)
            #expect(parts.count == 2 && parts.last == "fields")
            let lines = (parts.first ?? "").split(separator: "\r\n").dropFirst()
            let names = lines.map { $0.prefix { $0 != ":" }.lowercased() }.sorted()
            #expect(names == ["connection", "content-length", "content-type", "date", "x-kept", "x-request-id"])
            #expect(lines.contains("X-Kept: a  X-Split-Value: b"))
            #expect(lines.contains("Content-Length: 6"))
            #expect(!text.contains("forged") && !text.contains("never"))
        }
    }

    @Test func keepsAConnectionForManyRequests() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            for _ in 0..<50 {
                try client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
                let response = try client.readResponse()
                #expect(response.status == 200 && response.body == "hello")
                #expect(response["Date"]?.hasSuffix("GMT") == true)
                #expect(response["X-Request-Id"]?.isEmpty == false)
                #expect(response["Connection"] == nil)
            }
        }
    }

    @Test func answersPipelinedRequestsInOrder() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            var requests = ""
            for number in 0..<200 {
                requests += "GET /\(number % 7 == 0 ? "slow" : "items/\(number)") HTTP/1.1\r\nHost: a\r\n\r\n"
            }
            requests +=
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nlastGET /items/end HTTP/1.1\r\nHost: a\r\n\r\n"
            try client.send(requests)
            for number in 0..<200 {
                #expect(try client.readResponse().body == (number % 7 == 0 ? "slow" : "\(number)"))
            }
            #expect(try client.readResponse().body == "last")
            #expect(try client.readResponse().body == "end")
        }
    }

    @Test func takesARequestByteByByte() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            let request =
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: 1\r\n\r\n"
            for byte in (request + request).utf8 { try client.send([byte]) }
            #expect(try client.readResponse().body == "abcde")
            #expect(try client.readResponse().body == "abcde")
        }
    }

    @Test func headAndErrorsHaveTheRightFraming() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            try client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            let head = try client.readResponse(hasBody: false)
            #expect(head.status == 200 && head["Content-Length"] == "5")
            try client.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.readResponse().status == 404)
            try client.send("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            let wrong = try client.readResponse()
            #expect(wrong.status == 405 && wrong["Allow"] == "GET, HEAD, OPTIONS")
            try client.send("GET /throws HTTP/1.1\r\nHost: a\r\n\r\n")
            let thrown = try client.readResponse()
            #expect(thrown.status == 409 && thrown.body == #"{"message":"no"}"#)
            try client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.readResponse(hasBody: false).status == 200)
            #expect(try client.readResponse().body == "hello")
        }
    }

    @Test(arguments: [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\naaaaa",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\naaaa",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\naaaa",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
        "GET /hello HTTP/1.1\nHost: a\n\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: \u{0}\r\n\r\n",
    ])
    func refusesSmugglingAndCloses(_ probe: String) async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            try client.send(probe)
            let answer = try client.readToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(answer.contains("Connection: close\r\n"))
            // One answer alone: nothing behind the refused head was taken for a request.
            #expect(answer.split(separator: "HTTP/1.1 ").count == 1)
        }
    }

    @Test func limitsHaveTheirStatus() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            func status(_ request: String) throws -> Int {
                let client = try RawClient(port: port)
                try client.send(request)
                return try client.readResponse().status
            }
            let long = String(repeating: "a", count: 9 << 10)
            #expect(try status("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n") == 414)
            #expect(try status("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)\(long)\(long)\(long)\r\n\r\n") == 431)
            #expect(try status("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n") == 413)
            let chunk = "10000\r\n" + String(repeating: "b", count: 0x10000) + "\r\n"
            let client = try RawClient(port: port)
            try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<129 { try client.send(chunk) }
            #expect(try client.readResponse().status == 413)
        }
    }

    @Test func expectationIsAnsweredWhenTheHandlerReads() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            #expect(try client.readResponse().status == 100)
            try client.send("hello")
            #expect(try client.readResponse().body == "hello")
            // A handler that does not want the body answers at once, and the connection cannot go on.
            try client.send("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            let response = try client.readResponse()
            #expect(response.body == "ignored" && response["Connection"] == "close")
            #expect(client.isClosedByServer())
        }
    }

    @Test func largeBodiesGoBothWays() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            let body = String(repeating: "0123456789abcdef", count: 400_000)
            try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n")
            try client.send(body)
            #expect(try client.readResponse().body == body)
            try client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.readResponse().body.utf8.count == 3_000_000)
            #expect(try client.readResponse().body == "hello")
        }
    }

    @Test func streamsAreChunkedOrEndWithTheConnection() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            let chunked = try client.readResponse()
            #expect(chunked["Transfer-Encoding"] == "chunked" && chunked.body.hasSuffix("line 99\n"))
            let old = try RawClient(port: port)
            try old.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let plain = try old.readResponse()
            #expect(plain["Transfer-Encoding"] == nil && plain["Connection"] == "close")
            #expect(plain.body == chunked.body)
            // Fewer bytes than promised: the connection breaks, so that the client cannot take it for the whole.
            let short = try RawClient(port: port)
            try short.send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(throws: SystemError.self) { try short.readResponse() }
        }
    }

    @Test func anUploadWaitsForItsHandler() async throws {
        let isOpen = Shared(false)
        let total = Shared(0)
        var router = Router()
        router.on(.put, "/upload", maxBodyBytes: 1 << 30) { request in
            while !isOpen.value { try await request.loop.sleep(for: .milliseconds(1)) }
            var chunks = request.body.chunks()
            while let chunk = try await chunks.next() { total.value += chunk.count }
            return .text("\(total.value)")
        }
        try await withServer(HTTPServerConfiguration(), router) { port, _ in
            let client = try RawClient(port: port)
            let size = 64 << 20
            try client.send("PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
            let block = [UInt8](repeating: 7, count: 1 << 20)
            var sent = 0
            var refusals = 0
            // The kernel's buffers fill, and then nothing more is taken: the server has not read ahead.
            while refusals < 50, sent < size {
                let count = client.sendWhatFits(block)
                if count > 0 {
                    sent += count
                    refusals = 0
                } else {
                    refusals += 1
                    usleep(2_000)
                }
            }
            #expect(sent < 32 << 20)
            isOpen.value = true
            while sent < size {
                let rest = min(block.count, size - sent)
                try client.send(Array(block[..<rest]))
                sent += rest
            }
            #expect(try client.readResponse().body == "\(size)")
        }
    }

    @Test func slowHeadsAndStalledBodiesTimeOut() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.headerTimeout = .milliseconds(40)
        configuration.bodyTimeout = .milliseconds(40)
        configuration.idleTimeout = .milliseconds(40)
        try await withServer(configuration, Self.router()) { port, _ in
            let slow = try RawClient(port: port)
            try slow.send("GET /hello HTTP/1.1\r\nHo")
            #expect(try slow.readResponse().status == 408)
            #expect(slow.isClosedByServer())
            let stalled = try RawClient(port: port)
            try stalled.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
            #expect(try stalled.readResponse().status == 408)
            #expect(stalled.isClosedByServer())
            let idle = try RawClient(port: port)
            try idle.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try idle.readResponse().status == 200)
            #expect(idle.isClosedByServer())
        }
    }

    @Test func aClientThatDoesNotReadIsDropped() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.writeTimeout = .milliseconds(50)
        let ended = Shared(false)
        var router = Router()
        router.on(.get, "/endless") { _ in
            HTTPResponse(
                .ok,
                body: .stream(byteCount: nil) { writer in
                    defer { ended.value = true }
                    let block = [UInt8](repeating: 0, count: 1 << 16)
                    while true { try await writer.write(block) }
                })
        }
        try await withServer(configuration, router) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(ended.waits { $0 })
        }
    }

    @Test(arguments: [true, false])
    func theHandlerIsCancelledWhenTheClientIsGone(_ byReset: Bool) async throws {
        var configuration = HTTPServerConfiguration()
        configuration.halfCloseGrace = .milliseconds(20)
        let state = Shared("")
        var router = Router()
        router.on(.get, "/wait") { request in
            state.value = "started"
            do { try await request.loop.sleep(for: .seconds(3600)) } catch { state.value = "cancelled" }
            return .empty()
        }
        try await withServer(configuration, router) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(state.waits { $0 == "started" })
            byReset ? client.reset() : client.disconnect()
            #expect(state.waits { $0 == "cancelled" })
        }
    }

    @Test func aHalfClosedClientGetsItsAnswer() async throws {
        try await withServer(HTTPServerConfiguration(), Self.router()) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            client.finishSending()
            let answer = try client.readToEnd()
            #expect(answer.contains("slow"))
        }
    }

    @Test func aConnectionTooManyIsTold() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.maxConnections = 2
        try await withServer(configuration, Self.router()) { port, _ in
            let kept = try [RawClient(port: port), RawClient(port: port)]
            for client in kept {
                try client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try client.readResponse().status == 200)
            }
            let third = try RawClient(port: port)
            let refusal = try third.readResponse()
            #expect(refusal.status == 503 && refusal["Retry-After"] == "1")
            kept[0].disconnect()
            var status = 503
            for _ in 0..<200 where status == 503 {
                let next = try RawClient(port: port)
                try next.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
                status = (try? next.readResponse().status) ?? 503
            }
            #expect(status == 200)
        }
    }

    @Test func stoppingFinishesWhatRunsAndRefusesTheRest() async throws {
        let started = Shared(false)
        let isOpen = Shared(false)
        var router = Router()
        router.on(.get, "/gate") { request in
            started.value = true
            while !isOpen.value { try await request.loop.sleep(for: .milliseconds(1)) }
            return .text("done")
        }
        router.on(.get, "/hello") { _ in .text("hello") }
        // An address of its own: another test's server could be given the freed port of the common one.
        var configuration = HTTPServerConfiguration()
        configuration.host = "127.0.0.77"
        try await withServer(configuration, router) { port, server in
            let busy = try RawClient(port: port, lastByte: 77)
            let idle = try RawClient(port: port, lastByte: 77)
            try idle.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try idle.readResponse().status == 200)
            try busy.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(started.waits { $0 })
            server.stop()
            #expect(idle.isClosedByServer())
            #expect(throws: SystemError.self) { try RawClient(port: port, lastByte: 77) }
            isOpen.value = true
            let response = try busy.readResponse()
            #expect(response.body == "done" && response["Connection"] == "close")
            #expect(busy.isClosedByServer())
        }
    }

    @Test func stoppingEndsWithinItsBound() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.drainTimeout = .milliseconds(30)
        let state = Shared("")
        var router = Router()
        router.on(.get, "/wait") { request in
            state.value = "started"
            do { try await request.loop.sleep(for: .seconds(3600)) } catch { state.value = "cancelled" }
            return .empty()
        }
        try await withServer(configuration, router) { port, server in
            let client = try RawClient(port: port)
            try client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(state.waits { $0 == "started" })
            server.stop()
            #expect(state.waits { $0 == "cancelled" })
        }
    }

    @Test func preflightsAndOriginsAreAnswered() async throws {
        var router = Self.router()
        router.cors = CORSPolicy()
        try await withServer(HTTPServerConfiguration(), router) { port, _ in
            let client = try RawClient(port: port)
            try client.send(
                "OPTIONS /echo HTTP/1.1\r\nHost: a\r\nOrigin: https://app\r\nAccess-Control-Request-Method: POST\r\n"
                    + "Access-Control-Request-Headers: apikey, authorization\r\n\r\n")
            let preflight = try client.readResponse()
            #expect(preflight.status == 200 && preflight["Access-Control-Allow-Origin"] == "*")
            #expect(preflight["Access-Control-Allow-Headers"] == "apikey, authorization")
            #expect(preflight["Access-Control-Allow-Methods"] == "POST, OPTIONS")
            try client.send("GET /hello HTTP/1.1\r\nHost: a\r\nOrigin: https://app\r\n\r\n")
            #expect(try client.readResponse()["Access-Control-Allow-Origin"] == "*")
            try client.send("OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n")
            let plain = try client.readResponse()
            #expect(plain.status == 204 && plain["Allow"] == "POST, OPTIONS")
        }
    }

    @Test func filesAreSentWithRangesAndConditions() async throws {
        let path = "/tmp/atoll-http-\(UInt32.random(in: 0 ... .max)).bin"
        let content = String(repeating: "0123456789", count: 300_000)
        let descriptor = open(path, O_CREAT | O_WRONLY | O_EXCL, 0o600)
        #expect(write(descriptor, content, content.utf8.count) == content.utf8.count)
        close(descriptor)
        defer { unlink(path) }
        var router = Router()
        router.on(.get, "/file") { request in
            let file = try OpenFile(path: path)
            return FileResponse.make(
                for: request,
                .init(
                    byteCount: file.byteCount, entityTag: "\"1\"", modifiedAt: file.modifiedAt,
                    contentType: "text/plain"),
                file: file)
        }
        try await withServer(HTTPServerConfiguration(), router) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
            let whole = try client.readResponse()
            #expect(whole.body == content && whole["Accept-Ranges"] == "bytes")
            try client.send("GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=15-24\r\n\r\n")
            let part = try client.readResponse()
            #expect(part.status == 206 && part.body == "5678901234")
            #expect(part["Content-Range"] == "bytes 15-24/3000000")
            try client.send("GET /file HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"1\"\r\n\r\n")
            #expect(try client.readResponse().status == 304)
            try client.send("HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.readResponse(hasBody: false)["Content-Length"] == "3000000")
        }
    }

    @Test func theCallersRequestIDIsKeptWhenHarmless() async throws {
        let seen = Shared<[String]>([])
        try await withServer(HTTPServerConfiguration(), Self.router(), observe: { seen.value.append($0.request.id) }) {
            port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /hello HTTP/1.1\r\nHost: a\r\nX-Request-Id: abc-1\r\n\r\n")
            #expect(try client.readResponse()["X-Request-Id"] == "abc-1")
            try client.send("GET /hello HTTP/1.1\r\nHost: a\r\nX-Request-Id: \"a b\"\r\n\r\n")
            #expect(try client.readResponse()["X-Request-Id"] != "\"a b\"")
            #expect(seen.waits { $0.count == 2 && $0[0] == "abc-1" })
        }
    }

    @Test func whatIsRefusedBeforeItIsARequestIsTold() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.maxConnections = 1
        let seen = Shared<[String]>([])
        try await withServer(
            configuration, Self.router(),
            observeRefusal: { seen.value.append("\($0.status.code) \($0.reason) \($0.remoteAddress)") }
        ) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try client.readResponse()
            let second = try RawClient(port: port)
            #expect(try second.readResponse().status == 503)
            try client.send("GET /hello HTTP/1.1\nHost: secret\n\n")
            #expect(try client.readResponse().status == 400)
            #expect(seen.waits { $0.count == 2 })
            #expect(seen.value.first == "503 too many connections 127.0.0.1")
            #expect(seen.value.last?.hasPrefix("400 ") == true && seen.value.last?.contains("secret") == false)
        }
    }
}
