// SPDX-License-Identifier: Apache-2.0

/// How alike two names are, for "Perhaps you meant".
enum Similarity {
    /// Names below this are not worth suggesting.
    static let threshold = 0.75
    /// Longer names and larger sets are not searched: a hint is not worth their time.
    static let maxNameBytes = 128
    static let maxCandidates = 5_000

    /// The candidate most alike, the first by name where several are; nil when none is alike enough.
    static func best(of candidates: some Sequence<String>, to name: String, threshold: Double = threshold) -> String? {
        guard name.utf8.count <= maxNameBytes else { return nil }
        var best: (name: String, score: Double)?
        for candidate in candidates.prefix(maxCandidates) where candidate.utf8.count <= maxNameBytes {
            let score = score(candidate, name, threshold: threshold)
            guard score >= threshold else { continue }
            if let found = best, (found.score, candidate) < (score, found.name) || found.score < score {
                best = (candidate, score)
            } else if best == nil {
                best = (candidate, score)
            }
        }
        return best?.name
    }

    /// One minus the edit distance over the longer length: 1 for equal names, 0 for names with nothing in common.
    static func score(_ first: String, _ second: String, threshold: Double = threshold) -> Double {
        let first = Array(first.utf8)
        let second = Array(second.utf8)
        let longer = max(first.count, second.count)
        guard longer > 0 else { return 1 }
        // Too different in length to reach the threshold, whatever the letters.
        guard Double(abs(first.count - second.count)) <= Double(longer) * (1 - threshold) else { return 0 }
        return 1 - Double(distance(first, second)) / Double(longer)
    }

    /// Levenshtein's edit distance, with one row of the table in memory.
    private static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        var row = Array(0...second.count)
        for (i, byte) in first.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in second.enumerated() {
                let substitution = diagonal + (byte == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substitution, min(diagonal, row[j]) + 1)
            }
        }
        return row[second.count]
    }
}
