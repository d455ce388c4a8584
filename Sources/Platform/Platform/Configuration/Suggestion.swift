// SPDX-License-Identifier: Apache-2.0

/// The name that was probably meant, for "did you mean".
///
/// - Returns: the nearest candidate when it is at most a third of the name's length away, by Damerau's distance (insert, delete,
///   change, swap two neighbours); nil when none is that near.
package func suggestion(for name: String, among candidates: some Sequence<String>) -> String? {
    let characters = Array(name.lowercased().prefix(64))
    let limit = max(1, characters.count / 3)
    return
        candidates
        .map { (candidate: $0, distance: editDistance(characters, Array($0.lowercased().prefix(64)))) }
        .filter { $0.distance <= limit }
        .min { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }?
        .candidate
}

private func editDistance(_ first: [Character], _ second: [Character]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...second.count)
    for i in first.indices {
        var row = [i + 1]
        for j in second.indices {
            var cost = min(previous[j] + (first[i] == second[j] ? 0 : 1), previous[j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, first[i] == second[j - 1], first[i - 1] == second[j] {
                cost = min(cost, beforePrevious[j - 1] + 1)
            }
            row.append(cost)
        }
        beforePrevious = previous
        previous = row
    }
    return previous[second.count]
}
