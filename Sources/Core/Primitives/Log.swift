// SPDX-License-Identifier: Apache-2.0

/// Writes events as lines; a value that is handed around with its context fields.
///
/// Logging never throws and never blocks: a line goes into a bounded queue that a thread of its own writes out; when the
/// queue is full the line is dropped and counted, and the count is logged once there is room again.
package struct Log: Sendable {
    /// How grave an event is; the raw value is the word in the line.
    package enum Level: String, Sendable, Comparable, CaseIterable {
        case debug
        case info
        case warning
        case error

        package static func < (first: Level, second: Level) -> Bool {
            first.rank < second.rank
        }

        private var rank: Int {
            switch self {
            case .debug: 0
            case .info: 1
            case .warning: 2
            case .error: 3
            }
        }
    }

    /// How a line looks: `text` for people, `json` (an object a line) for collectors.
    package enum Format: String, Sendable, CaseIterable {
        case text
        case json
    }

    /// Events below this level are not written.
    package var level: Level
    package var format: Format
    /// Fields every line of this log carries, before the event's own.
    package var fields: [KeyValue]
    private let writer: LogWriter?
    private var ring: LogRing?

    /// - Parameter writer: where the lines go; ``LogWriter/standardError`` unless a test says otherwise.
    package init(
        level: Level = .info, format: Format = .text, fields: [KeyValue] = [], writer: LogWriter = .standardError
    ) {
        self.level = level
        self.format = format
        self.fields = fields
        self.writer = writer
    }

    private init() {
        level = .error
        format = .text
        fields = []
        writer = nil
    }

    /// A log that writes nothing.
    package static let disabled = Log()

    /// The same log with further fields on every line.
    package func with(_ more: KeyValue...) -> Log {
        var copy = self
        copy.fields += more
        return copy
    }

    /// The same log, whose events are kept in `ring` as well.
    package func kept(in ring: LogRing) -> Log {
        var copy = self
        copy.ring = ring
        return copy
    }

    package func debug(_ event: String, _ fields: KeyValue...) { write(.debug, event, fields) }
    package func info(_ event: String, _ fields: KeyValue...) { write(.info, event, fields) }
    package func warning(_ event: String, _ fields: KeyValue...) { write(.warning, event, fields) }
    package func error(_ event: String, _ fields: KeyValue...) { write(.error, event, fields) }

    /// Writes one event with fields made elsewhere.
    package func write(_ level: Level, _ event: String, _ fields: [KeyValue]) {
        guard let writer, level >= self.level else { return }
        let line = LogLine(time: .now(), level: level, event: event, fields: self.fields + fields)
        ring?.append(line.time, level, event, line.fields)
        writer.append(line.encoded(as: format))
    }

    /// Waits until what was logged before is written, at most `timeout`; for the end of the process.
    package func flush(timeout: Duration = .seconds(2)) {
        writer?.flush(timeout: timeout)
    }
}

/// One named value of a log line: `.field("port", 54321)`.
package struct KeyValue: Sendable {
    package let key: String
    package let value: JSON

    package init(_ key: String, _ value: some LogValue) {
        self.key = key
        self.value = value.logValue
    }

    package static func field(_ key: String, _ value: some LogValue) -> KeyValue {
        KeyValue(key, value)
    }
}

/// What may stand in a log line. ``SecretString`` does not conform, so a secret cannot be logged by mistake.
package protocol LogValue {
    var logValue: JSON { get }
}

extension String: LogValue {
    package var logValue: JSON { .string(self) }
}

extension StaticString: LogValue {
    package var logValue: JSON { .string(description) }
}

extension Bool: LogValue {
    package var logValue: JSON { .bool(self) }
}

extension LogValue where Self: BinaryInteger {
    package var logValue: JSON { JSON(self) }
}

extension Int: LogValue {}
extension Int32: LogValue {}
extension Int64: LogValue {}
extension UInt16: LogValue {}
extension UInt32: LogValue {}
extension UInt64: LogValue {}

extension Double: LogValue {
    package var logValue: JSON { JSON(self) }
}

extension UUID: LogValue {
    package var logValue: JSON { .string(description) }
}

extension Timestamp: LogValue {
    package var logValue: JSON { .string(description) }
}

extension Duration: LogValue {
    /// Milliseconds with three digits of fraction.
    package var logValue: JSON {
        let microseconds = components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
        return JSON(Double(microseconds) / 1000)
    }
}

extension JSON: LogValue {
    package var logValue: JSON { self }
}

extension Optional: LogValue where Wrapped: LogValue {
    package var logValue: JSON { map(\.logValue) ?? .null }
}
