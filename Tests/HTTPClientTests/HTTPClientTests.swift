// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import HTTPClient
import Primitives
import Testing
import TestSupport

@Suite("HTTPClient")
struct HTTPClientTests {
    static func router() -> Router {
        var router = Router()
        router.on(.get, "/hello") { _ in .text("hello") }
        for method in [HTTPMethod.get, .post, .put, .patch, .delete] {
            router.on(method, "/echo", maxBodyBytes: 8 << 20) { request in
                let body = try await request.body.collect()
                var response = HTTPResponse(.ok, body: .bytes(body))
                for name in ["x-test", "content-type", "expect", "user-agent", "content-length", "accept-encoding"] {
                    response.headers.append("seen-\(name)", request.headers[name] ?? "none")
                }
                response.headers.append("seen-method", request.method.rawValue)
                response.headers.append("Set-Cookie", "a=1")
                response.headers.append("Set-Cookie", "b=2")
                return response
            }
        }
        router.on(.get, "/missing") { _ in .text("nothing here", status: .notFound) }
        router.on(.get, "/big") { _ in .text(String(repeating: "x", count: 3_000_000)) }
        router.on(.get, "/head") { _ in
            var response = HTTPResponse.text("x")
            for number in 0..<50 { response.headers.append("X-\(number)", String(repeating: "y", count: 2000)) }
            return response
        }
        router.on(.get, "/slow") { request in
            try await request.loop.sleep(for: .seconds(60))
            return .text("slow")
        }
        router.on(.get, "/pause") { request in
            try await request.loop.sleep(for: .milliseconds(50))
            return .text("pause")
        }
        router.on(.get, "/redirect/:left") { request in
            let left = request.parameters["left"].flatMap(Int.init) ?? 0
            return HTTPResponse(302, headers: ["Location": left == 0 ? "/hello" : "/redirect/\(left - 1)"])
        }
        router.on(.post, "/redirect/:left") { _ in HTTPResponse(302, headers: ["Location": "/hello"]) }
        router.on(.get, "/leave") { _ in HTTPResponse(302, headers: ["Location": "file:///etc/passwd"]) }
        return router
    }

    // MARK: Refusals

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var url: String
        var code: HTTPClientError.Code
        var change: @Sendable (inout HTTPClientRequest) -> Void = { _ in }

        init(
            _ description: String, _ url: String, _ code: HTTPClientError.Code,
            _ change: @escaping @Sendable (inout HTTPClientRequest) -> Void = { _ in }
        ) {
            testDescription = description
            self.url = url
            self.code = code
            self.change = change
        }
    }

    static let refusals: [Refusal] = [
        Refusal("a file", "file:///etc/passwd", .invalidURL),
        Refusal("gopher", "gopher://127.0.0.1/", .invalidURL),
        Refusal("smtp by a request", "smtp://127.0.0.1/", .invalidURL),
        Refusal("no URL", "http://", .invalidURL),
        Refusal("a space in the URL", "BASE/a b", .invalidURL),
        Refusal("a null character", "BASE/hello\0", .invalidRequest),
        Refusal("a password in the URL", "http://user:secret@127.0.0.1/", .invalidURL),
        Refusal("a header that ends its line", "BASE/hello", .invalidRequest) {
            $0.headers.append("X-A: b\r\nX-Injected", "1")
        },
        Refusal("a method that is none", "BASE/hello", .invalidRequest) {
            $0.method = HTTPMethod(rawValue: "GET / HTTP/1.1\r\nX: ")
        },
        Refusal("a body beyond the bound", "BASE/big", .bodyTooLarge),
        Refusal("a head beyond the bound", "BASE/head", .bodyTooLarge),
        Refusal("more redirects than allowed", "BASE/redirect/3", .redirectRefused) { $0.maxRedirects = 2 },
        Refusal("a redirect to a file", "BASE/leave", .invalidURL) { $0.maxRedirects = 2 },
        Refusal("a server that takes its time", "BASE/slow", .timeout) { $0.timeout = .milliseconds(100) },
        Refusal("a port nobody listens on", "http://127.0.0.1:1/", .connectionFailed),
        Refusal("a name without address", "http://nobody.invalid/", .unknownHost),
        Refusal("a private address", "BASE/hello", .addressRefused) { $0.refusesPrivateAddresses = true },
        Refusal("a name with a private address", "http://localhost:PORT/hello", .addressRefused) {
            $0.refusesPrivateAddresses = true
        },
    ]

    @Test(arguments: refusals)
    func refuses(_ refusal: Refusal) async throws {
        try await withServer(Self.router()) { client, base in
            let port = base.split(separator: ":").last ?? ""
            var request = HTTPClientRequest(
                .get,
                refusal.url.split(separator: "BASE", omittingEmptySubsequences: false).joined(separator: base)
                    .split(separator: "PORT", omittingEmptySubsequences: false).joined(separator: String(port)))
            refusal.change(&request)
            #expect(await failure(client, request) == refusal.code)
            // The client is none the worse.
            #expect(await status(client, HTTPClientRequest(.get, base + "/hello")) == .ok)
        }
    }

    @Test func aKeptConnectionToAPrivateAddressIsNotUsedByARequestThatRefusesIt() async throws {
        try await withServer(Self.router()) { client, base in
            var request = HTTPClientRequest(.get, base + "/hello")
            #expect(await status(client, request) == .ok)
            request.refusesPrivateAddresses = true
            #expect(await failure(client, request) == .addressRefused)
        }
    }

    @Test func refusesATransferTooMany() async throws {
        var configuration = HTTPClientConfiguration()
        configuration.maxTransfers = 1
        try await withServer(Self.router(), client: configuration) { client, base in
            let loop = try #require(Loop.current)
            let codes: [HTTPClientError.Code] = await withTaskGroup(of: HTTPClientError.Code?.self) { group in
                for _ in 0..<2 {
                    group.addTask(executorPreference: loop) {
                        do {
                            _ = try await client.send(HTTPClientRequest(.get, base + "/pause"))
                            return nil
                        } catch {
                            return (error as? HTTPClientError)?.code
                        }
                    }
                }
                return await group.reduce(into: []) { codes, code in if let code { codes.append(code) } }
            }
            #expect(codes == [.overloaded])
        }
    }

    @Test func refusesToRunOutsideOfItsLoops() async throws {
        try await Loop.withLoop { loop in
            let client = try HTTPClient(loops: [loop])
            await client.shutdown()
            #expect(await failure(client, HTTPClientRequest(.get, "http://127.0.0.1:1/")) == .misuse)
        }
    }

    // MARK: What works

    static let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]

    @Test(arguments: methods)
    func sendsMethodHeadersAndBody(_ method: String) async throws {
        try await withServer(Self.router()) { client, base in
            var request = HTTPClientRequest(HTTPMethod(rawValue: method), base + "/echo")
            request.headers = ["X-Test": "yes"]
            // More than one read of either side, with zeros and line ends in it.
            request.body = method == "GET" ? nil : (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
            let response = try await client.send(request)
            #expect(response.status == .ok)
            #expect(response.body == request.body ?? [])
            #expect(response.headers["seen-method"] == method)
            #expect(response.headers["seen-x-test"] == "yes")
            #expect(response.headers["seen-content-type"] == "none")
            #expect(response.headers["seen-expect"] == "none")
            #expect(response.headers["seen-accept-encoding"] == "none")
            #expect(response.headers.values("set-cookie") == ["a=1", "b=2"])
        }
    }

    @Test func sendsAnEmptyBodyWithItsLength() async throws {
        try await withServer(Self.router()) { client, base in
            let response = try await client.send(
                HTTPClientRequest(.post, base + "/echo", headers: ["Content-Type": "a/b"], body: []))
            #expect(response.headers["seen-content-length"] == "0")
            #expect(response.headers["seen-content-type"] == "a/b")
        }
    }

    @Test func answersWithWhateverStatus() async throws {
        try await withServer(Self.router()) { client, base in
            let response = try await client.send(HTTPClientRequest(.get, base + "/missing"))
            #expect(response.status == .notFound)
            #expect(String(decoding: response.body, as: UTF8.self) == "nothing here")
            #expect(try await client.send(HTTPClientRequest(.head, base + "/hello")).body.isEmpty)
        }
    }

    @Test func followsRedirectsOnlyWhenAsked() async throws {
        try await withServer(Self.router()) { client, base in
            var request = HTTPClientRequest(.get, base + "/redirect/2")
            let unfollowed = try await client.send(request)
            #expect(unfollowed.status == 302 && unfollowed.headers["location"] == "/redirect/1")
            request.maxRedirects = 3
            let followed = try await client.send(request)
            #expect(followed.status == .ok && followed.headers["location"] == nil)
            #expect(String(decoding: followed.body, as: UTF8.self) == "hello")
            request.method = .post
            #expect(await status(client, request) == 302)
        }
    }

    @Test func runsManyTransfersAtOnceOnOneThread() async throws {
        try await withServer(Self.router()) { client, base in
            let start = ContinuousClock.now
            let loop = try #require(Loop.current)
            try await withThrowingTaskGroup(of: HTTPStatus.self) { group in
                for _ in 0..<100 {
                    group.addTask(executorPreference: loop) {
                        try await client.send(HTTPClientRequest(.get, base + "/pause")).status
                    }
                }
                for try await status in group { #expect(status == .ok) }
            }
            // One after the other they would take five seconds; on 32 connections they take four rounds.
            #expect(ContinuousClock.now - start < .seconds(4))
        }
    }

    @Test func cancellingTheTaskEndsTheTransfer() async throws {
        try await withServer(Self.router()) { client, base in
            let loop = try #require(Loop.current)
            let code = await withTaskGroup(of: HTTPClientError.Code?.self) { group in
                group.addTask(executorPreference: loop) {
                    await failure(client, HTTPClientRequest(.get, base + "/slow"))
                }
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(code == .cancelled)
        }
    }

    @Test func shuttingDownEndsWhatIsUnderWay() async throws {
        try await withServer(Self.router()) { client, base in
            async let code = failure(client, HTTPClientRequest(.get, base + "/slow"))
            try await Loop.current?.sleep(for: .milliseconds(20))
            await client.shutdown()
            #expect(await code == .misuse)
            #expect(await failure(client, HTTPClientRequest(.get, base + "/hello")) == .misuse)
        }
    }

    @Test(.enabled(if: TestMailServer.isAvailable, "scripts/setup --test has not been run"))
    func verifiesCertificates() async throws {
        try await TestMailServer.with { files in
            let tls = TLSConfiguration(certificatePath: files.certificatePath, keyPath: files.keyPath)
            try await withServer(Self.router(), tls: tls) { client, base in
                #expect(await failure(client, HTTPClientRequest(.get, base + "/hello")) == .tlsFailed)
            }
            var configuration = HTTPClientConfiguration()
            configuration.certificateAuthorityFile = files.certificatePath
            try await withServer(Self.router(), tls: tls, client: configuration) { client, base in
                #expect(await status(client, HTTPClientRequest(.get, base + "/hello")) == .ok)
                // 127.0.0.2 is this machine as well, and not in the certificate.
                let other = base.split(separator: "127.0.0.1").joined(separator: "127.0.0.2")
                #expect(await failure(client, HTTPClientRequest(.get, other + "/hello")) != nil)
            }
        }
    }
}
