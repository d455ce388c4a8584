// SPDX-License-Identifier: Apache-2.0

/// What the `Prefer` header asks for (RFC 7240), and which of it was heeded.
struct Preferences: Sendable, Hashable {
    enum Resolution: String, Sendable {
        case mergeDuplicates = "merge-duplicates", ignoreDuplicates = "ignore-duplicates"
    }
    enum Return: String, Sendable { case representation, headersOnly = "headers-only", minimal }
    enum Count: String, Sendable { case exact, planned, estimated }
    enum TransactionEnd: String, Sendable { case commit, rollback }
    enum Missing: String, Sendable { case `default`, null }
    enum Handling: String, Sendable { case strict, lenient }

    var resolution: Resolution?
    var missing: Missing?
    var `return`: Return?
    var count: Count?
    var transaction: TransactionEnd?
    var handling: Handling?
    var timezone: String?
    var maxAffected: Int?
    /// What is no preference of ours, in order.
    var invalid: [String] = []

    init() {}

    /// Reads the header's values in order; of two preferences of one kind the first wins.
    init(headers: [String]) {
        for header in headers {
            for part in header.utf8.split(separator: UInt8(ascii: ",")) {
                read(Self.trimmed(part))
            }
        }
    }

    private mutating func read(_ preference: String) {
        guard !preference.isEmpty else { return }
        let mark = preference.firstIndex(of: "=")
        let name = mark.map { preference[..<$0] } ?? preference[...]
        let value = mark.map { String(preference[preference.index(after: $0)...]) } ?? ""
        var isKnown = true
        switch name {
        case "resolution": isKnown = Self.keepFirst(&resolution, Resolution(rawValue: value))
        case "missing": isKnown = Self.keepFirst(&missing, Missing(rawValue: value))
        case "return": isKnown = Self.keepFirst(&self.return, Return(rawValue: value))
        case "count": isKnown = Self.keepFirst(&count, Count(rawValue: value))
        case "tx": isKnown = Self.keepFirst(&transaction, TransactionEnd(rawValue: value))
        case "handling": isKnown = Self.keepFirst(&handling, Handling(rawValue: value))
        case "timezone": isKnown = Self.keepFirst(&timezone, value.isEmpty ? nil : value)
        case "max-affected": isKnown = Self.keepFirst(&maxAffected, Int(value).flatMap { $0 < 0 ? nil : $0 })
        default: isKnown = false
        }
        if !isKnown { invalid.append(preference) }
    }

    private static func keepFirst<Value>(_ slot: inout Value?, _ value: Value?) -> Bool {
        guard let value else { return false }
        if slot == nil { slot = value }
        return true
    }

    private static func trimmed(_ part: Substring.UTF8View.SubSequence) -> String {
        var part = part
        while part.first == UInt8(ascii: " ") || part.first == UInt8(ascii: "\t") { part.removeFirst() }
        while part.last == UInt8(ascii: " ") || part.last == UInt8(ascii: "\t") { part.removeLast() }
        return String(Substring(part))
    }

    /// The maximum of affected rows, which binds only with `handling=strict`.
    var bindingMaxAffected: Int? { handling == .strict ? maxAffected : nil }

    /// The kinds of preference that an action heeds.
    struct Kinds: OptionSet, Sendable {
        let rawValue: Int
        static let resolution = Kinds(rawValue: 1)
        static let missing = Kinds(rawValue: 2)
        static let representation = Kinds(rawValue: 4)
        static let maxAffected = Kinds(rawValue: 8)
    }

    /// The value of `Preference-Applied`, nil when nothing was heeded.
    ///
    /// - Parameter kinds: what the action heeds beside count, tx, handling and timezone, which all do.
    func applied(_ kinds: Kinds, allowsTransactionOverride: Bool) -> String? {
        var parts: [String] = []
        if kinds.contains(.resolution), let resolution { parts.append("resolution=\(resolution.rawValue)") }
        if kinds.contains(.missing), let missing { parts.append("missing=\(missing.rawValue)") }
        if kinds.contains(.representation), let value = self.return { parts.append("return=\(value.rawValue)") }
        if let count { parts.append("count=\(count.rawValue)") }
        if allowsTransactionOverride, let transaction { parts.append("tx=\(transaction.rawValue)") }
        if let handling { parts.append("handling=\(handling.rawValue)") }
        if let timezone { parts.append("timezone=\(timezone)") }
        if kinds.contains(.maxAffected), let limit = bindingMaxAffected { parts.append("max-affected=\(limit)") }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}
