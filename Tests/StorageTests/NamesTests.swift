// SPDX-License-Identifier: Apache-2.0
import HTTP
import Primitives
import Testing

@testable import Storage

@Suite struct NamesTests {
    @Test(arguments: [
        "a", "a/b", "../../etc/passwd", "..", ".", "a//b", "/a", "a/", "A-Z_!-.*'()&$@=;:+,? ",
        String(repeating: "x", count: 1024),
    ])
    func namesAreDataAndNothingElse(_ key: String) throws {
        #expect(try ObjectName(bucket: "b", key: key).path == "b/\(key)")
    }

    @Test(arguments: [
        "", "a\0b", "a\nb", "a\\b", "ä", "a\u{308}", "\u{FF0E}\u{FF0E}/x", "a%2e", "a#b", "a\"b", "<a>", "a|b", "~a",
        String(repeating: "x", count: 1025), "\u{202E}a", "a\u{7F}",
    ])
    func otherNamesAreRefused(_ key: String) {
        #expect(throws: StorageError.self) { try ObjectName(bucket: "b", key: key) }
        #expect(throws: StorageError.self) { try ObjectName(bucket: key + "/", key: "a") }
    }

    @Test func namesOfTablesAreReserved() {
        #expect(BucketName.isValid("logs--table-s3"))
        #expect(!BucketName.isValidForNew("logs--table-s3"))
        #expect(!BucketName.isValidForNew(" a"))
        #expect(!BucketName.isValid(String(repeating: "b", count: 101)))
    }

    @Test(arguments: [
        (["image/*"], "image/png", true), (["image/png"], "image/png; charset=x", true),
        (["image/png"], "IMAGE/PNG", true),
        (["image/png"], "image/jpeg", false), ([], "x/y", true), (["*/*"], "x/y", true),
        (["image/*"], "imagex/y", false),
    ])
    func bucketsTakeTypes(_ allowed: [String], _ type: String, _ isTaken: Bool) {
        #expect(MIMEType.isAllowed(type, by: allowed) == isTaken)
    }

    @Test(arguments: [
        (Array("\u{89}PNG".utf8), nil), ([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], "image/png"),
        (Array("  <!DocType HTML>".utf8), "text/html"), (Array("<svg>".utf8), nil), ([], nil),
        (Array("RIFF\0\0\0\0WEBPVP8".utf8), "image/webp"), (Array("RIFF\0\0\0\0WAVE".utf8), "audio/wav"),
        (Array("plain text".utf8), nil), ([0x7F, 0x45, 0x4C, 0x46], "application/x-executable"),
    ])
    func bytesProveTypes(_ bytes: [UInt8], _ type: String?) {
        #expect(MIMEType.sniffed(bytes) == type)
    }

    @Test(arguments: [
        ("3600", "max-age=3600"), ("max-age=1, private", "max-age=1, private"), ("", "no-cache"), (nil, "no-cache"),
    ])
    func cacheControlIsANumberOrAField(_ text: String?, _ expected: String) {
        #expect(UploadIntent.cacheControl(text) == expected)
    }

    @Test func resumableUploadsAreNamedByTheirObject() throws {
        let object = try ObjectName(bucket: "b", key: "folder/a b.txt")
        let version = UUID.random().description
        let id = try ResumableID(ResumableID(object, version: version).text)
        #expect(id.object == object)
        #expect(id.version == version)
        for text in ["", "x", Base64URL.encode(Array("b/k".utf8)), Base64URL.encode(Array("b/k/../../x".utf8))] {
            #expect(throws: StorageError.self) { try ResumableID(text) }
        }
    }

    @Test func metadataOfResumableUploadsIsRead() throws {
        #expect(
            try ResumableProtocol.metadata("bucketName YnVja2V0,objectName YQ, flag,x YQ==") == [
                "bucketName": "bucket", "objectName": "a", "flag": "", "x": "a",
            ])
        for field in ["a b c", "a YQ==,a YQ==", "a %%%", "a /w=="] {
            #expect(throws: StorageError.self) { try ResumableProtocol.metadata(field) }
        }
    }

    @Test func cursorsFitTheirOrder() throws {
        let order = ListOrder(column: "created_at", isDescending: true)
        let cursor = ListCursor(order, key: "a", moment: "2026-01-01 00:00:00.5+00")
        #expect(try ListCursor(cursor.text, order).key == "a")
        #expect(throws: StorageError.self) {
            try ListCursor(cursor.text, ListOrder(column: "name", isDescending: true))
        }
        #expect(throws: StorageError.self) { try ListCursor("eyJ4IjoxfQ", order) }
    }

    @Test func everyCodeHasItsOwnWord() {
        #expect(Set(StorageError.Code.allCases.map(\.rawValue)).count == StorageError.Code.allCases.count)
        for code in StorageError.Code.allCases { #expect((400..<600).contains(code.trueStatus.code)) }
    }
}
