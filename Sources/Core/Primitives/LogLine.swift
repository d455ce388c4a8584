// SPDX-License-Identifier: Apache-2.0

/// One event before it becomes bytes.
struct LogLine {
    var time: Timestamp
    var level: Log.Level
    var event: String
    var fields: [KeyValue]

    /// The line with its line feed. Whatever the values hold, it is one line: line feeds and other control characters
    /// are escaped, so that a client cannot write lines of its own into the log.
    func encoded(as format: Log.Format) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(160)
        switch format {
        case .text: encodeText(into: &bytes)
        case .json: encodeJSON(into: &bytes)
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private func encodeJSON(into bytes: inout [UInt8]) {
        var object: JSONObject = [
            "time": .string(time.description), "level": .string(level.rawValue), "event": .string(event),
        ]
        for field in fields { object[field.key] = field.value }
        JSON.object(object).encode(into: &bytes)
    }

    private func encodeText(into bytes: inout [UInt8]) {
        bytes.append(contentsOf: time.description.utf8)
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: level.rawValue.utf8)
        bytes.append(UInt8(ascii: " "))
        Self.encodePlainly(event, into: &bytes)
        for field in fields {
            bytes.append(UInt8(ascii: " "))
            bytes.append(contentsOf: field.key.utf8)
            bytes.append(UInt8(ascii: "="))
            if case .string(let text) = field.value, !Self.needsQuotes(text) {
                bytes.append(contentsOf: text.utf8)
            } else {
                field.value.encode(into: &bytes)
            }
        }
    }

    private static func encodePlainly(_ text: String, into bytes: inout [UInt8]) {
        for byte in text.utf8 { bytes.append(byte < 0x20 || byte == 0x7f ? UInt8(ascii: " ") : byte) }
    }

    private static func needsQuotes(_ text: String) -> Bool {
        text.isEmpty
            || text.utf8.contains { $0 <= 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "=") }
    }
}
