// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Primitives
import Testing

@testable import Storage

@Suite struct S3ConditionTests {
    @Test(arguments: [
        ["If-None-Match": "\"tag\""], ["If-Match": ""], ["If-Match": "\"a\", \"b\""],
        ["If-None-Match": "*", "If-Match": "*"],
    ])
    func otherFormsAreRefused(_ fields: [String: String]) {
        var headers = HTTPHeaders()
        for (name, value) in fields { headers.append(name, value) }
        #expect(throws: StorageError.self) { try S3Condition(headers) }
    }

    /// What is asked, the tag that is there, and the code it is refused with.
    @Test(arguments: [
        (["If-Match": "\"a\""], "\"b\"", StorageError.Code.preconditionFailed),
        (["If-Match": "\"a\""], nil, .noSuchKey),
        (["If-Match": "*"], nil, .noSuchKey),
        (["If-None-Match": "*"], "\"a\"", .preconditionFailed),
        (["If-None-Match": "*"], nil, nil),
        (["If-Match": "\"a\""], "\"a\"", nil),
        (["If-Match": "a"], "\"a\"", nil),
        (["If-Match": "*"], "\"a\"", nil),
        ([:], nil, nil),
    ])
    func whatIsThereDecides(_ fields: [String: String], _ tag: String?, _ code: StorageError.Code?) throws {
        var headers = HTTPHeaders()
        for (name, value) in fields { headers.append(name, value) }
        let condition = try S3Condition(headers)
        var refused: StorageError.Code?
        do throws(StorageError) { try condition.check(tag.map { .some($0) } ?? .none) } catch { refused = error.code }
        #expect(refused == code)
    }

    @Test(arguments: [("abc123", "\"abc123\""), ("\"abc\"", "\"abc\""), ("*", "*"), ("d41d-2", "\"d41d-2\""), ("", "")])
    func tagsGetTheirQuotes(_ given: String, _ expected: String) {
        #expect(S3Condition.quoted(given) == expected)
    }

    @Test func chunksAreNoPartOfTheEncoding() throws {
        let read = { (value: String) in try ContentHeader.read(["Content-Encoding": value])[.encoding] }
        #expect(try read("aws-chunked") == nil)
        #expect(try read("gzip, aws-chunked") == "gzip")
        #expect(try read("AWS-Chunked,br") == "br")
        #expect(throws: StorageError.self) { try read(String(repeating: "x", count: 1025)) }
    }

    @Test func fieldsMustBeSigned() throws {
        let date = "20260101T000000Z"
        let claim = { (names: String, more: [String: String]) throws in
            var headers = HTTPHeaders()
            headers.append("Host", "a")
            headers.append("x-amz-date", date)
            headers.append(
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=k/20260101/r/s3/aws4_request,SignedHeaders=\(names),Signature="
                    + String(repeating: "0", count: 64))
            for (name, value) in more { headers.append(name, value) }
            let request = HTTPRequest(.put, "/", headers: headers, loop: try Loop())
            try S3Signature(request).checkFields(of: request)
        }
        #expect(throws: StorageError.self) { try claim("host", ["X-Amz-Copy-Source": "/a/b"]) }
        #expect(throws: StorageError.self) { try claim("host;x-amz-acl", ["x-amz-meta-a": "b"]) }
        #expect(throws: StorageError.self) { try claim("x-amz-date", [:]) }
        #expect(throws: Never.self) { try claim("host", ["x-amz-content-sha256": "UNSIGNED-PAYLOAD"]) }
        #expect(throws: Never.self) { try claim("host;x-amz-copy-source", ["X-Amz-Copy-Source": "/a/b"]) }
    }
}
