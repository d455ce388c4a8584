// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Primitives
import Testing

@testable import Storage

/// The examples that Amazon publishes for Signature Version 4, with the keys they use.
@Suite struct S3SignatureTests {
    private static let secret = SecretString("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    private static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private static func authorization(_ headers: String, _ signature: String) -> String {
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=\(headers),"
            + "Signature=\(signature)"
    }

    @Test func headersAreVerified() throws {
        let request = HTTPRequest(
            .get, "/test.txt",
            headers: [
                "Host": "examplebucket.s3.amazonaws.com", "Range": "bytes=0-9",
                "x-amz-content-sha256": Self.emptyHash, "x-amz-date": "20130524T000000Z",
                "Authorization": Self.authorization(
                    "host;range;x-amz-content-sha256;x-amz-date",
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            ], loop: try Loop())
        let signature = try S3Signature(request)
        #expect(signature.accessKeyID == "AKIAIOSFODNN7EXAMPLE")
        let key = signature.signingKey(Self.secret)
        #expect(signature.isValid(for: request, payloadHash: Self.emptyHash, key: key))
        #expect(!signature.isValid(for: request, payloadHash: "UNSIGNED-PAYLOAD", key: key))
        #expect(!signature.isValid(for: request, payloadHash: Self.emptyHash, key: Array(key.reversed())))
    }

    @Test func listsAreVerified() throws {
        let request = HTTPRequest(
            .get, "/?max-keys=2&prefix=J",
            headers: [
                "Host": "examplebucket.s3.amazonaws.com", "x-amz-content-sha256": Self.emptyHash,
                "x-amz-date": "20130524T000000Z",
                "Authorization": Self.authorization(
                    "host;x-amz-content-sha256;x-amz-date",
                    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            ], loop: try Loop())
        let signature = try S3Signature(request)
        #expect(
            signature.isValid(for: request, payloadHash: Self.emptyHash, key: signature.signingKey(Self.secret)))
    }

    @Test func addressesAreVerified() throws {
        let request = HTTPRequest(
            .get,
            "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            headers: ["Host": "examplebucket.s3.amazonaws.com"], loop: try Loop())
        let signature = try S3Signature(request)
        #expect(
            signature.isValid(
                for: request, payloadHash: "UNSIGNED-PAYLOAD", key: signature.signingKey(Self.secret)))
        let begin = try #require(Timestamp("2013-05-24T00:00:00Z"))
        try signature.checkTime(now: begin + .seconds(86_400), skew: .seconds(900))
        #expect(throws: StorageError.self) {
            try signature.checkTime(now: begin + .seconds(86_401), skew: .seconds(900))
        }
        #expect(throws: StorageError.self) { try signature.checkTime(now: begin - .seconds(901), skew: .seconds(900)) }
    }

    /// The upload of 66560 letters in chunks of 64 KiB.
    @Test(arguments: [1000, 65_536, 100_000])
    func chunksAreVerified(_ size: Int) throws {
        let chain = S3ChunkedReader.Chain(
            key: try key(), date: "20130524T000000Z", scope: "20130524/us-east-1/s3/aws4_request",
            previous: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
        let letters = [UInt8](repeating: UInt8(ascii: "a"), count: 66_560)
        var body = Array(
            "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n".utf8)
        body += letters[..<65_536] + Array("\r\n".utf8)
        body += Array(
            "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n".utf8)
        body += letters[65_536...] + Array("\r\n".utf8)
        body += Array(
            "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n".utf8)

        var reader = try S3ChunkedReader(chain, hasTrailer: false)
        var content: [UInt8] = []
        for start in stride(from: 0, to: body.count, by: size) {
            content += try reader.feed(Array(body[start..<min(start + size, body.count)]))
        }
        let isDone = reader.isDone
        #expect(isDone)
        #expect(content == letters)

        body[100] = UInt8(ascii: "b")
        #expect(throws: StorageError.self) {
            var reader = try S3ChunkedReader(chain, hasTrailer: false)
            _ = try reader.feed(body)
        }
    }

    private func key() throws -> [UInt8] {
        let request = HTTPRequest(
            .put, "/",
            headers: [
                "x-amz-date": "20130524T000000Z",
                "Authorization": Self.authorization("host", String(repeating: "0", count: 64)),
            ], loop: try Loop())
        return try S3Signature(request).signingKey(Self.secret)
    }

    @Test(arguments: [
        "", "zz\r\n", "5\r\nhelloXX", "ffffffffffffffff\r\n", "-1\r\n", String(repeating: "x", count: 9000),
    ])
    func brokenChunksAreRefused(_ text: String) throws {
        var reader = try S3ChunkedReader(nil, hasTrailer: true)
        var isRefused = false
        do { _ = try reader.feed(Array(text.utf8)) } catch { isRefused = true }
        let isDone = reader.isDone
        #expect(isRefused || !isDone)
        #expect(isRefused == !text.isEmpty)
    }
}

@Suite struct S3DocumentTests {
    @Test func documentsAreRead() throws {
        let text = """
            <?xml version="1.0" encoding="UTF-8"?>
            <Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>
              <Object><Key>a &amp; b&#x20;&lt;c&gt;</Key></Object><Object><Key/></Object>
            </Delete>
            """
        let document = try S3Element(parsing: Array(text.utf8))
        #expect(document.name == "Delete")
        #expect(document["Quiet"] == "true")
        #expect(document.all("Object").map { $0["Key"] } == ["a & b <c>", ""])
    }

    @Test func whatIsWrittenReadsTheSame() throws {
        let element = S3Element("A", [S3Element("B", "<&>\"'ü"), S3Element("C", [S3Element("D", "x")])])
        #expect(try S3Element(parsing: element.encoded) == element)
    }

    @Test(arguments: [
        "", "x", "<a>", "<a></b>", "<a><b></a></b>", "<a>&unknown;</a>", "<a>&", "<a/><b/>", "<!DOCTYPE a><a/>",
        String(repeating: "<a>", count: 20) + String(repeating: "</a>", count: 20), "<a b=\"<\"></a",
    ])
    func otherTextIsRefused(_ text: String) {
        #expect(throws: StorageError.self) { try S3Element(parsing: Array(text.utf8)) }
    }
}

@Suite struct ContentDigestsTests {
    /// The check values of the CRC catalogue, over "123456789".
    @Test(arguments: [
        (CyclicChecksum.Polynomial.crc32, "cbf43926"), (.crc32c, "e3069283"), (.crc64nvme, "ae8b14860a799888"),
    ])
    func checksumsHaveTheirCheckValues(_ polynomial: CyclicChecksum.Polynomial, _ expected: String) {
        var checksum = CyclicChecksum(polynomial)
        Array("12345".utf8).withUnsafeBytes { checksum.update($0) }
        Array("6789".utf8).withUnsafeBytes { checksum.update($0) }
        #expect(Hex.encode(checksum.bytes) == expected)
    }

    @Test func severalSumsAreMadeAtOnce() throws {
        let digests = try ContentDigests(extra: [.sha256, .crc32])
        Array("abc".utf8).withUnsafeBytes { digests.update($0) }
        #expect(digests.entityTag == "900150983cd24fb0d6963f7d28e17f72")
        #expect(digests.sum(.sha256) == digest(Array("abc".utf8)))
        #expect(Hex.encode(digests.sum(.crc32)) == "352441c2")
        #expect(digests.sum(.sha1).isEmpty)
    }
}

@Suite struct S3PolicyTests {
    private let now = Timestamp(unixSeconds: 1_700_000_000)

    private func policy(_ conditions: JSON) throws -> S3Policy {
        try S3Policy(
            ["expiration": .string((now + .seconds(60)).description), "conditions": conditions], now: now)
    }

    @Test func everyFieldNeedsAConditionThatHolds() throws {
        let policy = try policy([
            ["bucket": "b"], ["starts-with", "$key", "in/"], ["eq", "$Content-Type", "a/b"],
            ["content-length-range", 1, 5],
        ])
        #expect(policy.sizes == 1...5)
        let fields = ["key": "in/x", "content-type": "a/b", "policy": "p", "x-amz-signature": "s"]
        try policy.check(fields, bucket: "b")
        #expect(throws: StorageError.self) { try policy.check(fields, bucket: "c") }
        for change in [["key": "out"], ["content-type": "a/c"], ["acl": "public-read"]] {
            #expect(throws: StorageError.self) {
                try policy.check(fields.merging(change) { $1 }, bucket: "b")
            }
        }
    }

    @Test func policiesEnd() {
        #expect(throws: StorageError.self) {
            try S3Policy(["expiration": .string(now.description), "conditions": []], now: now + .seconds(1))
        }
        #expect(throws: StorageError.self) { try S3Policy(["conditions": []], now: now) }
    }
}
