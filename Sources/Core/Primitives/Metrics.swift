// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The numbers of the running process, read in Prometheus' text form.
///
/// A metric is a name with series told apart by labels. Asking for a series takes a lock, so keep what is returned;
/// counting on it is one atomic operation. Label values must come from a closed set; the number of series of a name is
/// bounded, and what comes beyond shares one series with the label value `other`.
package final class Metrics: Sendable {
    package typealias Labels = KeyValuePairs<String, String>

    private let families = Mutex<[String: MetricFamily]>([:])
    private let maxSeriesPerName: Int

    package init(maxSeriesPerName: Int = 1000) {
        self.maxSeriesPerName = maxSeriesPerName
    }

    /// A count that only rises. By convention its name ends in `_total`.
    package func counter(_ name: String, _ help: String, _ labels: Labels = [:]) -> Counter {
        let made = Counter()
        return series(name, help, .counter, labels, .counter(made)).counter ?? made
    }

    /// A number that rises and falls.
    package func gauge(_ name: String, _ help: String, _ labels: Labels = [:]) -> Gauge {
        let made = Gauge()
        return series(name, help, .gauge, labels, .gauge(made)).gauge ?? made
    }

    /// A number that is read when somebody asks; `read` must be quick and thread-safe.
    package func gauge(
        _ name: String, _ help: String, _ labels: Labels = [:], read: @escaping @Sendable () -> Double
    ) {
        _ = series(name, help, .gauge, labels, .callback(read))
    }

    /// A distribution.
    /// - Parameter buckets: upper bounds in rising order, in the metric's unit; an unbounded last one is added.
    package func histogram(
        _ name: String, _ help: String, _ labels: Labels = [:], buckets: [Double] = Histogram.durationBuckets
    ) -> Histogram {
        let made = Histogram(buckets: buckets)
        return series(name, help, .histogram, labels, .histogram(made)).histogram ?? made
    }

    /// The metrics in the text format 0.0.4 that Prometheus scrapes (`text/plain; version=0.0.4`).
    package func exposition() -> String {
        let families = families.withLock { $0.values.sorted { $0.name < $1.name } }
        var text = ""
        for family in families { family.write(to: &text) }
        return text
    }

    /// The series of these labels, made on first use. A name keeps the kind and help of its first use; asking for it as
    /// another kind is a programmer's error.
    private func series(
        _ name: String, _ help: String, _ kind: MetricFamily.Kind, _ labels: Labels, _ made: MetricFamily.Series
    ) -> MetricFamily.Series {
        families.withLock { families in
            var family = families[name] ?? MetricFamily(name: name, help: help, kind: kind)
            precondition(family.kind == kind, "metric \(name) is used as two kinds")
            let found = family.series(labels, made, maxSeries: maxSeriesPerName)
            families[name] = family
            return found
        }
    }
}

/// A count that only rises.
package final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    package func increment(by amount: Int = 1) { count.wrappingAdd(amount, ordering: .relaxed) }
    package var value: Int { count.load(ordering: .relaxed) }
}

/// A whole number that rises and falls.
package final class Gauge: Sendable {
    private let number = Atomic<Int>(0)

    package func set(_ value: Int) { number.store(value, ordering: .relaxed) }
    package func add(_ amount: Int) { number.wrappingAdd(amount, ordering: .relaxed) }
    package var value: Int { number.load(ordering: .relaxed) }
}

/// Counts of values by range, with their sum.
package final class Histogram: Sendable {
    /// For durations of requests and statements, in seconds.
    package static let durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    let buckets: [Double]
    private let counts: [Counter]
    private let sumBits = Atomic<UInt64>(0)

    init(buckets: [Double]) {
        self.buckets = buckets
        counts = (0...buckets.count).map { _ in Counter() }
    }

    package func observe(_ value: Double) {
        counts[buckets.firstIndex { value <= $0 } ?? buckets.count].increment()
        var expected = sumBits.load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: expected) + value).bitPattern
            let result = sumBits.weakCompareExchange(expected: expected, desired: sum, ordering: .relaxed)
            if result.exchanged { return }
            expected = result.original
        }
    }

    /// Observes a duration in seconds, the unit Prometheus asks for.
    package func observe(_ duration: Duration) {
        observe(Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18)
    }

    var sum: Double { Double(bitPattern: sumBits.load(ordering: .relaxed)) }

    /// How many values were at most each bound, the last being all.
    var cumulativeCounts: [Int] {
        var total = 0
        return counts.map { count in
            total += count.value
            return total
        }
    }
}
