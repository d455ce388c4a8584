// SPDX-License-Identifier: Apache-2.0

/// Which rows of a result are wanted: from `offset`, at most `limit`.
struct RowRange: Sendable, Hashable {
    var offset = 0
    var limit: Int?

    static let all = RowRange()

    /// What a `Range` header says; one that is not in the grammar counts as absent (RFC 9110 section 14.2).
    enum Header: Sendable, Hashable {
        case absent
        case range(RowRange)
        case reversed
    }

    /// Reads `0-9` or `items=0-9`; the upper end may be left out.
    static func header(_ text: String?) -> Header {
        guard let text, let mark = text.firstIndex(of: "-") else { return .absent }
        let lower = text[..<mark].drop { !("0"..."9").contains($0) }
        let upper = text[text.index(after: mark)...]
        guard let first = Int(lower) else { return .absent }
        if upper.isEmpty { return .range(RowRange(offset: first)) }
        guard let last = Int(upper) else { return .absent }
        if last < first { return .reversed }
        let (count, overflow) = (last - first).addingReportingOverflow(1)
        return .range(RowRange(offset: first, limit: overflow ? nil : count))
    }

    /// The rows that are in both.
    func intersection(_ other: RowRange) -> RowRange {
        let start = max(offset, other.offset)
        let end = [self.end, other.end].compactMap(\.self).min()
        return RowRange(offset: start, limit: end.map { max(0, $0 - start) })
    }

    /// The same start with at most that many rows.
    func capped(_ maxRows: Int?) -> RowRange {
        guard let maxRows else { return self }
        return RowRange(offset: offset, limit: min(limit ?? maxRows, maxRows))
    }

    private var end: Int? {
        guard let limit else { return nil }
        let (end, overflow) = offset.addingReportingOverflow(limit)
        return overflow ? nil : end
    }
}
