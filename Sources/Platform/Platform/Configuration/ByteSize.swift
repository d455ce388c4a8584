// SPDX-License-Identifier: Apache-2.0

/// Sizes as the Supabase CLI writes them: a number with a unit, where every unit is a power of 1024 ("50MiB", "50MB", "1.5 g").
package enum ByteSize {
    /// The number of bytes; nil when the text is no size or does not fit.
    package static func parse(_ text: String) -> Int? {
        let text = text.filter { $0 != " " }.lowercased()
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let power = powers[String(text.dropFirst(number.count))] else { return nil }
        if let whole = Int(number) {
            let (bytes, overflows) = whole.multipliedReportingOverflow(by: 1 << power)
            return overflows ? nil : bytes
        }
        guard let amount = Double(number), amount.isFinite, amount >= 0 else { return nil }
        return Int(exactly: (amount * Double(1 << power)).rounded(.down))
    }

    /// The shortest exact form: "50MiB", "1536KiB", "10B".
    static func describe(_ bytes: Int) -> String {
        for (power, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
        where bytes != 0 && bytes % (1 << power) == 0 {
            return "\(bytes >> power)\(unit)"
        }
        return "\(bytes)B"
    }

    private static let powers: [String: Int] = [
        "": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30,
        "t": 40,
        "tb": 40, "tib": 40,
    ]
}
