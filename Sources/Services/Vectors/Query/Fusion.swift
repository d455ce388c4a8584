// SPDX-License-Identifier: Apache-2.0

/// How the results of several searches become one ranking.
enum Fusion: Sendable {
    /// The sum of `1 / ((rank + 1) / weight + constant - 1)`, ranks from 0.
    case reciprocalRank(constant: Int, weights: [Double])
    /// The sum of scores, each list's scaled so that its mean plus and minus three deviations are 1 and 0.
    case distribution

    /// The fused ranking, best first, equal ones in the order they were met.
    func fuse(_ sources: [[Hit]]) -> [Hit] {
        var fused: [PointID: (hit: Hit, place: Int)] = [:]
        for (number, source) in sources.enumerated() {
            let scores = scores(of: source, number)
            for (hit, score) in zip(source, scores) {
                if fused[hit.id] != nil {
                    fused[hit.id]?.hit.score += score
                } else {
                    var first = hit
                    first.score = score
                    fused[hit.id] = (first, fused.count)
                }
            }
        }
        return fused.values.sorted { $0.hit.score != $1.hit.score ? $0.hit.score > $1.hit.score : $0.place < $1.place }
            .map(\.hit)
    }

    private func scores(of source: [Hit], _ number: Int) -> [Double] {
        switch self {
        case .reciprocalRank(let constant, let weights):
            let weight = number < weights.count ? weights[number] : 1
            return source.indices.map { 1 / (Double($0 + 1) / weight + Double(constant) - 1) }
        case .distribution:
            guard source.count > 1 else { return source.map { _ in 0.5 } }
            let mean = source.reduce(0) { $0 + $1.score } / Double(source.count)
            let variance = source.reduce(0) { $0 + ($1.score - mean) * ($1.score - mean) } / Double(source.count - 1)
            guard variance > 0 else { return source.map { _ in 0.5 } }
            let low = mean - 3 * variance.squareRoot()
            return source.map { ($0.score - low) / (6 * variance.squareRoot()) }
        }
    }
}

/// A point found by a query.
struct Hit: Sendable {
    let id: PointID
    var score: Double
    var version = 0
    /// `"payload": ..., "vector": ...` as JSON text, once it was read.
    var record: [UInt8]?
    /// What `order_by` sorted by, as JSON text.
    var orderValue: [UInt8]?
}
