// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@Suite struct EncodingTests {
    /// The vectors of RFC 4648 section 10.
    @Test(arguments: [
        ("", "", ""), ("f", "Zg==", "66"), ("fo", "Zm8=", "666f"), ("foo", "Zm9v", "666f6f"),
        ("foob", "Zm9vYg==", "666f6f62"), ("fooba", "Zm9vYmE=", "666f6f6261"), ("foobar", "Zm9vYmFy", "666f6f626172"),
    ])
    func encodesAndDecodesThePublishedVectors(_ text: String, _ base64: String, _ hex: String) {
        let bytes = Array(text.utf8)
        let unpadded = String(base64.prefix { $0 != "=" })
        #expect(Base64.encode(bytes) == base64)
        #expect(Base64.decode(base64) == bytes)
        #expect(Base64URL.encode(bytes) == unpadded)
        #expect(Base64URL.decode(unpadded) == bytes)
        #expect(Hex.encode(bytes) == hex)
        #expect(Hex.decode(hex.uppercased()) == bytes)
    }

    @Test func usesTheTwoAlphabets() {
        #expect(Base64.encode([0xfb, 0xff]) == "+/8=")
        #expect(Base64URL.encode([0xfb, 0xff]) == "-_8")
        #expect(Base64.decode("-_8=") == nil)
        #expect(Base64URL.decode("+/8") == nil)
    }

    @Test(arguments: ["Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zg==Zg==", "Zm9v\n", "\u{e9}m9v"])
    func refusesBase64ThatIsNotCanonical(_ text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test(arguments: ["Zg==", "Z", "Zh", "Zm9", "Zm9v\n", "Zm9vY"])
    func refusesBase64URLThatIsNotCanonical(_ text: String) {
        #expect(Base64URL.decode(text) == nil)
    }

    @Test(arguments: ["a", "0g", "0x00", " 00", "\u{ff10}0"])
    func refusesWhatIsNotHexadecimal(_ text: String) {
        #expect(Hex.decode(text) == nil)
    }

    @Test func constantTimeComparisonComparesEverything() {
        #expect(constantTimeEquals([], []))
        #expect(constantTimeEquals([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEquals([0, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEquals([1, 2], [1, 2, 3]))
    }

    @Test func secretsDoNotShow() {
        let secret = SecretString("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped, "\([secret])", "\(Optional(secret) as Any)"] {
            #expect(!text.contains("hunter2"))
        }
        #expect(secret.reveal() == "hunter2")
        #expect(secret.matches("hunter2"))
        #expect(!secret.matches("hunter"))
    }
}

@Suite struct UUIDTests {
    @Test(arguments: [
        "", "6ba7b810-9dad-11d1-80b4-00c04fd430c", "6ba7b810-9dad-11d1-80b4-00c04fd430c88",
        "6ba7b8109dad11d180b400c04fd430c8", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
        "6ba7b810-9dad-11d1-80b4-00c04fd430cg", "6ba7b810-9dad-11d1-80b4+00c04fd430c8",
        "------------------------------------",
    ])
    func refusesOtherForms(_ text: String) {
        #expect(UUID(text) == nil)
    }

    @Test func readsBothCasesAndWritesLowerCase() throws {
        let uuid = try #require(UUID("6BA7B810-9DAD-11D1-80B4-00C04FD430C8"))
        #expect(uuid.description == "6ba7b810-9dad-11d1-80b4-00c04fd430c8")
        #expect(
            uuid.bytes == [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8])
        #expect(UUID(bytes: uuid.bytes) == uuid)
        #expect(UUID(bytes: uuid.bytes.dropLast()) == nil)
        #expect(UUID.zero < uuid)
    }

    @Test func randomOnesAreVersionFourAndDiffer() {
        let uuids = Set((0..<1000).map { _ in UUID.random() })
        #expect(uuids.count == 1000)
        for uuid in uuids {
            #expect(uuid.bytes[6] >> 4 == 4)
            #expect(uuid.bytes[8] >> 6 == 2)
        }
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        "", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z", "2026-01-01T00:00:00Zx",
        "2026-01-01T00:00:00+1", "0000-01-01T00:00:00Z", "infinity",
    ])
    func refusesWhatIsNoTimestamp(_ text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.999999Z", -1, "1969-12-31T23:59:59.999999Z"),
            ("2000-02-29 12:00:00+00", 951_825_600_000_000, "2000-02-29T12:00:00Z"),
            ("2026-03-01 13:30:00.250001+05:30", 1_772_352_000_250_001, "2026-03-01T08:00:00.250001Z"),
            ("2026-03-01t08:00:00.5z", 1_772_352_000_500_000, "2026-03-01T08:00:00.5Z"),
            ("2026-03-01T08:00:00.123456789Z", 1_772_352_000_123_456, "2026-03-01T08:00:00.123456Z"),
            ("9999-12-31T23:59:59-23:59", 253_402_387_139_000_000, "10000-01-01T23:58:59Z"),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
        ] as [(String, Int64, String)])
    func readsAndWrites(_ text: String, _ microseconds: Int64, _ written: String) throws {
        let moment = try #require(Timestamp(text))
        #expect(moment.unixMicroseconds == microseconds)
        #expect(moment.description == written)
    }

    @Test func countsInDurations() {
        let moment = Timestamp(unixSeconds: 100)
        #expect((moment + .milliseconds(1500)).description == "1970-01-01T00:01:41.5Z")
        #expect((moment - .seconds(101)).unixSeconds == -1)
        #expect(moment + .seconds(3) - moment == .seconds(3))
        #expect(Timestamp(unixMicroseconds: -1).unixSeconds == -1)
        #expect(Timestamp.now() > Timestamp(unixSeconds: 1_700_000_000))
    }
}
