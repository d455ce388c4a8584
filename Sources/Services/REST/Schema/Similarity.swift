// SPDX-License-Identifier: Apache-2.0

/// How alike two names are, for "Perhaps you meant": by the edit distance, among names that have a run of letters in common.
enum Similarity {
    /// What names of relations and functions have to reach, so that nobody is led to names quite unlike what was asked for.
    static let nameThreshold = 0.75
    /// What is told of anyway, relationships and parameters of what was named rightly, has to be less alike.
    static let looseThreshold = 0.33
    /// Longer names and larger sets are not searched: a hint is not worth their time.
    static let maxNameBytes = 128
    static let maxCandidates = 5_000

    /// The candidate most alike, the first by name where several are; nil when none is alike enough.
    static func best(of candidates: some Sequence<String>, to name: String, threshold: Double) -> String? {
        guard name.utf8.count <= maxNameBytes else { return nil }
        let wanted = Text(name)
        var best: (name: String, score: Double)?
        // Names that share three letters in a row go before those that share two.
        for size in [3, 2] where best == nil {
            for candidate in candidates.prefix(maxCandidates) where candidate.utf8.count <= maxNameBytes {
                let text = Text(candidate)
                guard text.isNearInLength(wanted, threshold: threshold), text.sharesRun(of: size, with: wanted) else {
                    continue
                }
                let score = text.score(wanted)
                guard score >= threshold else { continue }
                if let found = best, (-found.score, found.name) <= (-score, candidate) { continue }
                best = (candidate, score)
            }
        }
        return best?.name
    }

    /// A name in lower case, and what of it runs are taken from.
    private struct Text {
        let bytes: [UInt8]
        /// Letters, digits, `_`, commas and blanks between two dashes.
        let padded: [UInt8]

        init(_ name: String) {
            bytes = Array(name.lowercased().utf8)
            let dash = UInt8(ascii: "-")
            padded = [dash] + bytes.filter(Self.counts) + [dash]
        }

        private static func counts(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                UInt8(ascii: ","), UInt8(ascii: " "):
                true
            default: byte >= 0x80
            }
        }

        /// Whether the lengths alone allow for the threshold, whatever the letters.
        func isNearInLength(_ other: Text, threshold: Double) -> Bool {
            let longer = max(bytes.count, other.bytes.count)
            return Double(abs(bytes.count - other.bytes.count)) <= Double(longer) * (1 - threshold)
        }

        func sharesRun(of size: Int, with other: Text) -> Bool {
            guard padded.count >= size, other.padded.count >= size else { return false }
            for start in 0...(padded.count - size) {
                for position in 0...(other.padded.count - size)
                where padded[start..<start + size] == other.padded[position..<position + size] { return true }
            }
            return false
        }

        /// One minus the edit distance over the longer length: 1 for equal names, 0 for names with nothing in common.
        func score(_ other: Text) -> Double {
            let longer = max(bytes.count, other.bytes.count)
            return longer == 0 ? 1 : 1 - Double(distance(to: other)) / Double(longer)
        }

        /// Levenshtein's edit distance, with one row of the table in memory.
        private func distance(to other: Text) -> Int {
            var row = Array(0...other.bytes.count)
            for (i, byte) in bytes.enumerated() {
                var diagonal = row[0]
                row[0] = i + 1
                for (j, letter) in other.bytes.enumerated() {
                    let substitution = diagonal + (byte == letter ? 0 : 1)
                    diagonal = row[j + 1]
                    row[j + 1] = min(substitution, min(diagonal, row[j]) + 1)
                }
            }
            return row[other.bytes.count]
        }
    }
}
