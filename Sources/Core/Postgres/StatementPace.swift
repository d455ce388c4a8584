// SPDX-License-Identifier: Apache-2.0

/// Which statements have lately been quick enough to share a connection with others'. No clock, no I/O.
///
/// A statement has to prove itself alone first, and once it was slow the proof is longer each time.
struct StatementPace {
    private struct Record {
        /// Moving average over about eight runs.
        var averageNanoseconds: UInt64 = 0
        /// Runs within the limit since the last one beyond it.
        var quickRuns = 0
        var neededRuns = StatementPace.firstProof
    }

    /// Quick runs that a new statement needs.
    static let firstProof = 3
    static let longestProof = 4096

    private var records: [Int: Record] = [:]
    private let limitNanoseconds: UInt64
    private let capacity: Int

    /// - Parameters:
    ///   - limitNanoseconds: what a run may take on average.
    ///   - capacity: how many statements are known; beyond it all are forgotten and prove themselves anew.
    init(limitNanoseconds: UInt64, capacity: Int = 4096) {
        self.limitNanoseconds = limitNanoseconds
        self.capacity = max(1, capacity)
    }

    var count: Int { records.count }

    func isQuick(_ statement: Int) -> Bool {
        guard let record = records[statement] else { return false }
        return record.quickRuns >= record.neededRuns
    }

    /// A run took this long.
    mutating func ran(_ statement: Int, nanoseconds: UInt64) {
        if records[statement] == nil, records.count >= capacity { records.removeAll(keepingCapacity: true) }
        var record = records[statement] ?? Record()
        record.averageNanoseconds = record.averageNanoseconds - record.averageNanoseconds / 8 + nanoseconds / 8
        let wasQuick = record.quickRuns >= record.neededRuns
        if wasQuick ? record.averageNanoseconds > limitNanoseconds : nanoseconds > limitNanoseconds {
            Self.demote(&record, wasQuick)
        } else if !wasQuick {
            record.quickRuns += 1
        }
        records[statement] = record
    }

    /// A run among others was stopped because it held them up.
    mutating func wasStopped(_ statement: Int) {
        var record = records[statement] ?? Record()
        Self.demote(&record, true)
        records[statement] = record
    }

    private static func demote(_ record: inout Record, _ wasQuick: Bool) {
        if wasQuick { record.neededRuns = min(record.neededRuns * 4, longestProof) }
        record.quickRuns = 0
        record.averageNanoseconds = 0
    }
}
