// SPDX-License-Identifier: Apache-2.0

/// A table that keeps what was used lately, within a bound on entries and on what they cost.
///
/// Two generations: when the younger is full it becomes the older, and what the older held unused is forgotten. So nothing has to be
/// ordered by its last use.
package struct RecentlyUsed<Key: Hashable, Value> {
    private var younger: [Key: Value] = [:]
    private var youngerCost = 0
    private var older: [Key: Value] = [:]
    private let maxEntries: Int
    private let maxCost: Int

    /// - Parameters:
    ///   - maxEntries: of both generations together.
    ///   - maxCost: of both generations together, in the unit that ``insert(_:for:cost:)`` is given.
    package init(maxEntries: Int, maxCost: Int = .max) {
        self.maxEntries = max(1, maxEntries / 2)
        self.maxCost = max(1, maxCost / 2)
    }

    package var count: Int { younger.count + older.count }

    /// - Parameter cost: what it is worth when it has to be entered anew among the younger.
    package mutating func value(for key: Key, cost: Int) -> Value? {
        if let value = younger[key] { return value }
        guard !older.isEmpty, let value = older.removeValue(forKey: key) else { return nil }
        insert(value, for: key, cost: cost)
        return value
    }

    /// Enters a value, or replaces it. What costs more than a generation may hold is not kept.
    package mutating func insert(_ value: Value, for key: Key, cost: Int) {
        guard cost <= maxCost else { return }
        if younger.count >= maxEntries || youngerCost > maxCost - cost {
            older = younger
            younger = [:]
            youngerCost = 0
        }
        if younger.updateValue(value, forKey: key) == nil { youngerCost += cost }
    }

    /// - Parameter cost: that with which it was inserted.
    package mutating func remove(_ key: Key, cost: Int) {
        if younger.removeValue(forKey: key) != nil { youngerCost -= cost }
        older.removeValue(forKey: key)
    }

    package mutating func removeAll() {
        younger = [:]
        youngerCost = 0
        older = [:]
    }
}

/// Text as a key whose hash takes little time however long the text is.
package struct TextKey: Hashable, Sendable {
    package let text: String
    private let quickHash: Int

    package init(_ text: String) {
        self.text = text
        quickHash = QuickHash.of(text)
    }

    package static func == (left: TextKey, right: TextKey) -> Bool {
        left.quickHash == right.quickHash && left.text == right.text
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(quickHash) }
}
