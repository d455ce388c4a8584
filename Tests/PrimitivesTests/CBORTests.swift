// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@Suite struct CBORTests {
    /// From RFC 8949, appendix A.
    @Test(
        arguments: [
            ("00", .integer(0)), ("17", .integer(23)), ("1818", .integer(24)), ("1903e8", .integer(1000)),
            ("1a000f4240", .integer(1_000_000)), ("1b000000e8d4a51000", .integer(1_000_000_000_000)),
            ("20", .integer(-1)),
            ("3903e7", .integer(-1000)), ("3b7fffffffffffffff", .integer(.min)), ("f4", .bool(false)),
            ("f5", .bool(true)),
            ("f6", .null), ("40", .bytes([])), ("4401020304", .bytes([1, 2, 3, 4])), ("6449455446", .text("IETF")),
            ("62c3bc", .text("\u{fc}")), ("80", .array([])),
            (
                "8301820203820405",
                .array([.integer(1), .array([.integer(2), .integer(3)]), .array([.integer(4), .integer(5)])])
            ),
            ("a0", .map([:])), ("a201020304", .map([.integer(1): .integer(2), .integer(3): .integer(4)])),
            ("a26161016162820203", .map([.text("a"): .integer(1), .text("b"): .array([.integer(2), .integer(3)])])),
        ] as [(String, CBOR)])
    func readsTheRFCsExamples(_ hex: String, _ value: CBOR) throws {
        #expect(try CBOR(parsing: try #require(Hex.decode(hex))) == value)
    }

    @Test(arguments: [
        ("", CBOR.ParsingError.endedEarly), ("18", .endedEarly), ("4401", .endedEarly),
        ("9b7fffffffffffffff", .endedEarly),
        ("bb7fffffffffffffff00", .endedEarly), ("5b7fffffffffffffff00", .endedEarly),
        ("1bffffffffffffffff", .notSupported),
        ("3bffffffffffffffff", .notSupported), ("f90000", .notSupported), ("c001", .notSupported),
        ("5f4100ff", .notSupported),
        ("1c", .notSupported), ("f7", .notSupported), ("61ff", .notSupported), ("a201000101", .notSupported),
        ("818181818181818181818100", .notSupported), ("0000", .trailingBytes),
    ])
    func refusesWhatNoAuthenticatorWrites(_ hex: String, _ error: CBOR.ParsingError) throws {
        let bytes = try #require(Hex.decode(hex))
        #expect(throws: error) { try CBOR(parsing: bytes) }
    }

    @Test func leavesWhatFollows() throws {
        var bytes: ArraySlice<UInt8> = [0xa1, 0x01, 0x02, 0x03, 0x04]
        #expect(try CBOR(readingFrom: &bytes)[1] == .integer(2))
        #expect(Array(bytes) == [3, 4])
    }
}
