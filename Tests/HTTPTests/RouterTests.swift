// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import HTTP

@Suite("Router")
struct RouterTests {
    static func router() -> Router {
        var router = Router()
        let handler: HTTPHandler = { _ in .empty() }
        router.on(.get, "/", handler)
        router.group("/rest/v1", errors: { _, _ in .text("rest", status: 418) }) { router in
            router.on(.get, "/rest/v1/", handler)
            router.on(.get, "/rest/v1/:table", handler)
            router.on(.post, "/rest/v1/:table", handler)
            router.on(.post, "/rest/v1/rpc/:function", handler)
        }
        router.on(.get, "/files/*path", handler)
        router.on(.get, "/files/list/:name", handler)
        router.on(.put, "/:a/:b/:c", handler)
        return router
    }

    func match(_ method: HTTPMethod, _ path: String) -> Router.Match {
        Array(path.utf8).withUnsafeBytes { Self.router().match(method, $0) }
    }

    struct Found: Sendable, CustomTestStringConvertible {
        var method: HTTPMethod
        var path: String
        var pattern: String?
        var parameters: [String: String] = [:]
        var testDescription: String { "\(method) \(path)" }
    }

    @Test(arguments: [
        Found(method: .get, path: "/", pattern: "/"),
        Found(method: .head, path: "/", pattern: "/"),
        Found(method: .get, path: "/rest/v1/", pattern: "/rest/v1/"),
        Found(method: .get, path: "/rest/v1/todos", pattern: "/rest/v1/:table", parameters: ["table": "todos"]),
        Found(method: .get, path: "/rest/v1/a%20b%2Fc", pattern: "/rest/v1/:table", parameters: ["table": "a b/c"]),
        Found(method: .post, path: "/rest/v1/rpc/f", pattern: "/rest/v1/rpc/:function", parameters: ["function": "f"]),
        // A parameter named as a literal elsewhere still matches by the shorter pattern.
        Found(method: .get, path: "/rest/v1/rpc", pattern: "/rest/v1/:table", parameters: ["table": "rpc"]),
        Found(method: .get, path: "/files/a/b", pattern: "/files/*path", parameters: ["path": "a/b"]),
        Found(method: .get, path: "/files/list/x", pattern: "/files/list/:name", parameters: ["name": "x"]),
        // A dead end behind a literal goes back to the rest.
        Found(method: .get, path: "/files/list/x/y", pattern: "/files/*path", parameters: ["path": "list/x/y"]),
        Found(method: .put, path: "/rest/v1/z", pattern: "/:a/:b/:c", parameters: ["a": "rest", "b": "v1", "c": "z"]),
    ])
    func finds(_ expected: Found) throws {
        guard case .route(let route, let parameters) = match(expected.method, expected.path) else {
            Issue.record("no route")
            return
        }
        #expect(route.pattern == expected.pattern)
        for (name, value) in expected.parameters { #expect(parameters[name] == value) }
    }

    @Test(arguments: ["/rest", "/rest/v1", "/rest/v1/a/b/c", "/files", "/files/", "/nothing", "//", "*", ""])
    func unknownPaths(_ path: String) {
        guard case .unknown = match(.get, path) else {
            Issue.record("\(path) was found")
            return
        }
    }

    @Test func wrongMethodNamesTheRightOnes() {
        guard case .wrongMethod(let allowed, _) = match(.delete, "/rest/v1/todos") else {
            Issue.record("not refused by method")
            return
        }
        #expect(Set(allowed) == [.get, .post, .put, .head, .options])
    }

    @Test func aParameterThatIsNotUTF8IsNil() {
        guard case .route(_, let parameters) = match(.get, "/rest/v1/%ff") else {
            Issue.record("no route")
            return
        }
        #expect(parameters["table"] == nil)
        #expect(parameters.raw("table") == "%ff")
    }
}

@Suite("FormFields")
struct FormFieldsTests {
    @Test func decodesPairsInOrder() {
        let fields = FormFields(query: "a=1&b=x+y&a=%C3%A4&c&=d&bad=%zz&bad2=%ff&e=1=2")
        #expect(fields.all.map(\.name) == ["a", "b", "a", "c", "", "e"])
        #expect(fields.all.map(\.value) == ["1", "x y", "ä", "", "d", "1=2"])
        #expect(fields.first("a") == "1")
        #expect(fields.first("zz") == nil)
    }

    @Test func formFieldsTellWhetherAPairWasLeftOut() {
        #expect(FormFields(query: "a=1&&b=%C3%A4").isComplete)
        for query in ["a=%ff", "%zz=1", "a=1&b=%", "a=%ed%a0%80"] { #expect(!FormFields(query: query).isComplete) }
    }

    @Test func percentDecodingKeepsPlus() {
        #expect(percentDecode("a+b%2Bc") == "a+b+c")
        #expect(percentDecode("%") == nil)
        #expect(percentDecode("%4") == nil)
        #expect(percentDecode("%C3") == nil)
    }
}

@Suite("FileResponse")
struct FileResponseTests {
    let file = FileResponse.Representation(
        byteCount: 100, entityTag: "\"v1\"", modifiedAt: 784_111_777, contentType: "text/plain")

    struct Example: Sendable, CustomTestStringConvertible {
        var headers: [(String, String)]
        var decision: FileResponse.Decision
        var method: HTTPMethod = .get
        var testDescription: String { "\(method) \(headers)" }
    }

    @Test(arguments: [
        Example(headers: [], decision: .whole),
        Example(headers: [("Range", "bytes=0-9")], decision: .part(0..<10)),
        Example(headers: [("Range", "bytes=90-")], decision: .part(90..<100)),
        Example(headers: [("Range", "bytes=-10")], decision: .part(90..<100)),
        Example(headers: [("Range", "bytes=-1000")], decision: .part(0..<100)),
        Example(headers: [("Range", "bytes=90-1000")], decision: .part(90..<100)),
        Example(headers: [("Range", "bytes=99999999999999999999-")], decision: .rangeNotSatisfiable),
        Example(headers: [("Range", "bytes=100-")], decision: .rangeNotSatisfiable),
        Example(headers: [("Range", "bytes=-0")], decision: .rangeNotSatisfiable),
        Example(headers: [("Range", "bytes=9-0")], decision: .whole),
        Example(headers: [("Range", "bytes=0-1,5-6")], decision: .whole),
        Example(headers: [("Range", "lines=0-1")], decision: .whole),
        Example(headers: [("Range", "bytes=a-b")], decision: .whole),
        Example(headers: [("Range", "bytes=0-9")], decision: .whole, method: .head),
        Example(headers: [("If-None-Match", "\"v1\"")], decision: .notModified),
        Example(headers: [("If-None-Match", "W/\"v1\"")], decision: .notModified),
        Example(headers: [("If-None-Match", "\"v0\", \"v1\"")], decision: .notModified),
        Example(headers: [("If-None-Match", "*")], decision: .preconditionFailed, method: .put),
        Example(headers: [("If-None-Match", "\"v0\"")], decision: .whole),
        Example(headers: [("If-Match", "\"v0\"")], decision: .preconditionFailed),
        Example(headers: [("If-Match", "W/\"v1\"")], decision: .preconditionFailed),
        Example(headers: [("If-Match", "*")], decision: .whole),
        Example(headers: [("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")], decision: .notModified),
        Example(headers: [("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT")], decision: .whole),
        Example(headers: [("If-Modified-Since", "nonsense")], decision: .whole),
        // The entity tag decides where both are there.
        Example(
            headers: [("If-None-Match", "\"v0\""), ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            decision: .whole),
        Example(
            headers: [("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT")], decision: .preconditionFailed),
        Example(headers: [("Range", "bytes=0-9"), ("If-Range", "\"v1\"")], decision: .part(0..<10)),
        Example(headers: [("Range", "bytes=0-9"), ("If-Range", "\"v0\"")], decision: .whole),
        Example(headers: [("Range", "bytes=0-9"), ("If-Range", "W/\"v1\"")], decision: .whole),
        Example(
            headers: [("Range", "bytes=0-9"), ("If-Range", "Sun, 06 Nov 1994 08:49:37 GMT")], decision: .part(0..<10)),
    ])
    func decides(_ example: Example) {
        var headers = HTTPHeaders()
        for (name, value) in example.headers { headers.append(name, value) }
        #expect(FileResponse.decide(example.method, headers, file) == example.decision)
    }

    @Test func datesRoundTrip() {
        #expect(HTTPDate.format(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.parse("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        #expect(HTTPDate.parse("Sun, 06 Nov 1994 25:49:37 GMT") == nil)
    }

    @Test func valuesCannotEndAField() {
        let headers: HTTPHeaders = ["X": "a\r\nSet-Cookie: b"]
        #expect(headers["x"] == "a  Set-Cookie: b")
    }
}

@Suite("ProxyTrust")
struct ProxyTrustTests {
    @Test(arguments: ["10.0.0.0/33", "x", "10.0.0.0/-1", "", "10.0.0/8", "::1/129"])
    func refusesMalformedNetworks(_ network: String) {
        #expect(throws: ProxyTrustError.self) { try ProxyTrust(networks: [network]) }
    }

    struct Example: Sendable, CustomTestStringConvertible {
        var peer: String
        var forwarded: [String]
        var client: String
        var testDescription: String { "\(peer) \(forwarded)" }
    }

    @Test(arguments: [
        Example(peer: "192.0.2.1", forwarded: ["198.51.100.1"], client: "192.0.2.1"),
        Example(peer: "10.1.2.3", forwarded: [], client: "10.1.2.3"),
        Example(peer: "10.1.2.3", forwarded: ["198.51.100.1"], client: "198.51.100.1"),
        Example(peer: "10.1.2.3", forwarded: ["1.1.1.1, 198.51.100.1, 10.0.0.9"], client: "198.51.100.1"),
        Example(peer: "10.1.2.3", forwarded: ["1.1.1.1", "198.51.100.1"], client: "198.51.100.1"),
        Example(peer: "10.1.2.3", forwarded: ["1.1.1.1, nonsense"], client: "10.1.2.3"),
        Example(peer: "::1", forwarded: ["2001:db8::1"], client: "2001:db8::1"),
    ])
    func believesOnlyTheProxies(_ example: Example) throws {
        let trust = try ProxyTrust(networks: ["10.0.0.0/8", "::1"])
        #expect(trust.client(peer: example.peer, forwardedFor: example.forwarded) == example.client)
    }
}

@Suite("HTTPHeaders")
struct HTTPHeadersTests {
    @Test func jsonObjectJoinsRepeatedFieldsAndEscapes() {
        let headers: HTTPHeaders = ["X-A": "1", "x-b": "say \"hi\"\\", "X-a": "2"]
        #expect(headers.jsonObject() == #"{"x-a":"1, 2","x-b":"say \"hi\"\\"}"#)
    }

    @Test func receivedFieldsAreTheSameWithAndWithoutTheShortWay() {
        for text in ["A: 1\r\nB-c: \"x\"\r\nD: \t y\\z", "A: 1\r\na: 2", "A: é"] {
            let head = Array("GET / HTTP/1.1\r\nHost: h\r\n\(text)\r\n\r\n".utf8)
            var parser = RequestParser()
            guard case .complete = head.withUnsafeBytes({ parser.parse($0) }) else {
                Issue.record("not parsed")
                continue
            }
            let received = HTTPHeaders(
                received: RequestHead(bytes: head, path: parser.parsed.path, query: nil, fields: parser.parsed.fields))
            var added = HTTPHeaders()
            for field in received.fields { added.append(field.name, field.value) }
            #expect(received.jsonObject() == added.jsonObject())
        }
    }
}
