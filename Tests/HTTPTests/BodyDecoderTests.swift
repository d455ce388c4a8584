// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import HTTP

@Suite("BodyDecoder")
struct BodyDecoderTests {
    /// Decodes `text` in pieces of `step` bytes: the body, whether it ended or broke, and how many bytes were used.
    func decode(_ text: String, step: Int, _ decoder: BodyDecoder) -> (body: String, end: String, used: Int) {
        var decoder = decoder
        let bytes = Array(text.utf8)
        var body: [UInt8] = []
        var used = 0
        var available = 0
        while true {
            let waiting = Array(bytes[used..<available])
            switch waiting.withUnsafeBytes({ decoder.next($0) }) {
            case .data(let range, let consumed):
                body += waiting[range]
                used += consumed
            case .needMore(let consumed):
                used += consumed
                guard available < bytes.count else { return (String(decoding: body, as: UTF8.self), "more", used) }
                available = min(available + step, bytes.count)
            case .end(let consumed):
                return (String(decoding: body, as: UTF8.self), "end", used + consumed)
            case .broken(let problem):
                return (String(decoding: body, as: UTF8.self), "broken: \(problem)", used)
            }
        }
    }

    @Test(arguments: [1, 2, 3, 1000])
    func chunkedBodyWithExtensionsAndTrailers(_ step: Int) {
        let text = "5;a=b;c=\"d\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nGET /next"
        let result = decode(text, step: step, BodyDecoder(chunked: ()))
        #expect(result.body == "hello0123456789")
        #expect(result.end == "end")
        #expect(text.utf8.dropFirst(result.used).elementsEqual("GET /next".utf8))
    }

    @Test(arguments: [1, 4, 1000])
    func bodyOfKnownLength(_ step: Int) {
        let result = decode("hello world", step: step, BodyDecoder(contentLength: 5))
        #expect(result.body == "hello" && result.end == "end" && result.used == 5)
        #expect(decode("", step: step, BodyDecoder(contentLength: nil)).end == "end")
        #expect(decode("hell", step: step, BodyDecoder(contentLength: 5)).end == "more")
    }

    @Test(
        arguments: [
            "x\r\n", "\r\n", "-1\r\n", "+5\r\nhello\r\n", "0x5\r\nhello\r\n", "5\nhello\n", "5\r\nhelloX",
            "5\r\nhello\rX",
            "5 \r\nhello\r\n", " 5\r\nhello\r\n", "fffffffffffffffff\r\n", "5;\u{0}\r\n", "5\rX", "0\r\nA\u{0}: 1\r\n",
            "0\r\n\rX",
            "1;" + String(repeating: "e", count: 2000), "0\r\n" + String(repeating: "T: 1\r\n", count: 3000),
        ])
    func brokenFramingIsRefused(_ text: String) {
        for step in [1, 1000] {
            #expect(decode(text, step: step, BodyDecoder(chunked: ())).end.hasPrefix("broken"), "\(text.prefix(40))")
        }
    }
}
