// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Storage

@Suite struct MultipartReaderTests {
    private static let type = "multipart/form-data; boundary=xyz"

    /// Feeds a body in pieces of a size and joins what comes of each part.
    private static func read(_ body: String, pieces size: Int) throws -> [(part: MultipartReader.Part, data: String)] {
        var reader = try #require(MultipartReader(contentType: type))
        var parts: [(part: MultipartReader.Part, data: [UInt8])] = []
        let bytes = Array(body.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            for event in try reader.feed(Array(bytes[start..<min(start + size, bytes.count)])) {
                switch event {
                case .part(let part): parts.append((part, []))
                case .data(let data): parts[parts.count - 1].data += data
                case .endOfPart, .end: break
                }
            }
        }
        #expect(reader.isDone)
        return parts.map { ($0.part, String(decoding: $0.data, as: UTF8.self)) }
    }

    @Test(arguments: [1, 2, 3, 7, 64, 10_000])
    func formsAreReadWhateverTheirPieces(_ size: Int) throws {
        let body =
            "--xyz\r\nContent-Disposition: form-data; name=\"cacheControl\"\r\n\r\n3600\r\n"
            + "--xyz\r\nContent-Disposition: form-data; name=\"\"; filename=\"a \\\"b\\\".txt\"\r\n"
            + "Content-Type: text/plain\r\n\r\nline\r\n--xy no boundary\r\n-\r\n\r\n"
            + "--xyz\r\ncontent-disposition: form-data; name=empty\r\n\r\n\r\n--xyz--\r\nepilogue"
        let parts = try Self.read(body, pieces: size)
        #expect(parts.map(\.part.name) == ["cacheControl", "", "empty"])
        #expect(parts.map(\.part.fileName) == [nil, "a \"b\".txt", nil])
        #expect(parts[1].part.contentType == "text/plain")
        #expect(parts.map(\.data) == ["3600", "line\r\n--xy no boundary\r\n-\r\n", ""])
    }

    @Test(arguments: [
        "--xyzContent-Disposition: form-data\r\n\r\n", "--xyz\r\nno colon\r\n\r\nx",
        "--xyz\r\nContent-Type: text/plain\r\n\r\nno disposition",
        "--xyz\r\nX: " + String(repeating: "x", count: 20_000),
    ])
    func malformedFormsAreRefused(_ body: String) throws {
        var reader = try #require(MultipartReader(contentType: Self.type))
        #expect(throws: StorageError.self) { _ = try reader.feed(Array(body.utf8)) }
    }

    @Test(arguments: [
        "multipart/form-data", "multipart/mixed; boundary=x", "text/plain; boundary=x",
        "multipart/form-data; boundary=",
    ])
    func otherTypesAreNoForms(_ type: String) {
        #expect(MultipartReader(contentType: type) == nil)
    }
}
