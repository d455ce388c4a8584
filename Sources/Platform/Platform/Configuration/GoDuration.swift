// SPDX-License-Identifier: Apache-2.0

/// A duration in Go's form ("1h30m", "5s"); nil for anything else, for negative ones, and beyond a hundred years.
package func parseDuration(_ text: String) -> Duration? { GoDuration.parse(text) }

/// Durations as Go's `time.ParseDuration` reads them ("1h30m", "5s", "1.5h", "300ms"), to the microsecond; never negative.
enum GoDuration {
    /// nil when the text is no duration, is negative, or exceeds a hundred years.
    static func parse(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = text.utf8[...]
        var microseconds = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || $0 == UInt8(ascii: ".") }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix {
                !(($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || $0 == UInt8(ascii: "."))
            }
            rest = rest.dropFirst(unit.count)
            guard let amount = Double(Substring(number)), let factor = microsecondsPer[String(Substring(unit))] else {
                return nil
            }
            microseconds += amount * factor
        }
        guard microseconds <= 100 * 365.25 * 86_400e6 else { return nil }
        return .microseconds(Int64(microseconds.rounded()))
    }

    /// The form Go prints, without zero parts: "1h30m", "5s", "250ms".
    static func describe(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let microseconds = attoseconds / 1_000_000_000_000
        if seconds == 0 {
            if microseconds == 0 { return "0s" }
            return microseconds % 1000 == 0 ? "\(microseconds / 1000)ms" : "\(microseconds)us"
        }
        var parts = ""
        if seconds >= 3600 { parts += "\(seconds / 3600)h" }
        if seconds % 3600 >= 60 { parts += "\(seconds % 3600 / 60)m" }
        if microseconds > 0 {
            let digits = String(1_000_000 + microseconds).dropFirst()
            parts += "\(seconds % 60).\(digits)s"
        } else if seconds % 60 > 0 {
            parts += "\(seconds % 60)s"
        }
        return parts
    }

    private static let microsecondsPer: [String: Double] = [
        "ns": 1e-3, "us": 1, "µs": 1, "μs": 1, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6,
    ]
}
