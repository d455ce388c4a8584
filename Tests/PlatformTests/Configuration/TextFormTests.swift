// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Platform

/// The forms values have in text.
@Suite struct TextFormTests {
    @Test(arguments: ["", "MiB", "5 parsecs", "-1", "1e3", "1.2.3MB", "9223372036854775807KiB", "0x10"])
    func refusesWhatIsNoSize(_ text: String) {
        #expect(ByteSize.parse(text) == nil)
    }

    @Test(arguments: [
        ("0", 0), ("10", 10), ("50MiB", 50 << 20), ("50MB", 50 << 20), ("5kb", 5 << 10), ("1.5 GiB", 3 << 29),
        ("2t", 2 << 40),
    ])
    func readsSizes(_ text: String, bytes: Int) {
        #expect(ByteSize.parse(text) == bytes)
        #expect(ByteSize.parse(ByteSize.describe(bytes)) == bytes)
    }

    @Test(arguments: ["", "5", "s", "-5s", "5 s", "1h30", "1.2.3s", "5d", "1000000000h", "1h-5m"])
    func refusesWhatIsNoDuration(_ text: String) {
        #expect(GoDuration.parse(text) == nil)
    }

    @Test(arguments: [
        ("0", Duration.zero, "0s"), ("5s", .seconds(5), "5s"), ("1h30m", .seconds(5400), "1h30m"),
        ("1.5h", .seconds(5400), "1h30m"), ("250ms", .milliseconds(250), "250ms"), ("90s", .seconds(90), "1m30s"),
        ("1m0.25s", .milliseconds(60_250), "1m0.250000s"), ("3us", .microseconds(3), "3us"),
    ])
    func readsDurations(_ text: String, duration: Duration, written: String) {
        #expect(GoDuration.parse(text) == duration)
        #expect(GoDuration.describe(duration) == written)
        #expect(GoDuration.parse(written) == duration)
    }

    @Test(
        arguments: [
            ("", nil), (String(repeating: "k", count: 31), nil), (String(repeating: "k", count: 33), nil),
            (String(repeating: "g", count: 64), nil),
            (String(repeating: "k", count: 32), [UInt8](repeating: UInt8(ascii: "k"), count: 32)),
            (String(repeating: "0a", count: 32), [UInt8](repeating: 10, count: 32)),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", [UInt8](repeating: 0, count: 32)),
        ] as [(String, [UInt8]?)])
    func takesEncryptionKeysOf32BytesOnly(_ text: String, bytes: [UInt8]?) {
        #expect(EncryptionKey.bytes(text) == bytes)
    }

    @Test func suggestsOnlyWhatIsNear() {
        let names = ["enabled", "port", "schemas", "max_rows"]
        #expect(suggestion(for: "enalbed", among: names) == "enabled")
        #expect(suggestion(for: "schema", among: names) == "schemas")
        #expect(suggestion(for: "max-rows", among: names) == "max_rows")
        #expect(suggestion(for: "Port", among: names) == "port")
        #expect(suggestion(for: "colour", among: names) == nil)
        #expect(suggestion(for: "", among: names) == nil)
    }
}
