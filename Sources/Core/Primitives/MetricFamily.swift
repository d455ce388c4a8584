// SPDX-License-Identifier: Apache-2.0

/// All series of one metric's name.
struct MetricFamily {
    enum Kind: String {
        case counter
        case gauge
        case histogram
    }

    enum Series {
        case counter(Counter)
        case gauge(Gauge)
        case callback(@Sendable () -> Double)
        case histogram(Histogram)

        var counter: Counter? { if case .counter(let counter) = self { counter } else { nil } }
        var gauge: Gauge? { if case .gauge(let gauge) = self { gauge } else { nil } }
        var histogram: Histogram? { if case .histogram(let histogram) = self { histogram } else { nil } }
    }

    let name: String
    let help: String
    let kind: Kind
    private var seriesByLabels: [String: Series] = [:]

    init(name: String, help: String, kind: Kind) {
        self.name = name
        self.help = help
        self.kind = kind
    }

    mutating func series(_ labels: Metrics.Labels, _ made: Series, maxSeries: Int) -> Series {
        let key = Self.render(labels.map { ($0.key, $0.value) })
        if let found = seriesByLabels[key] { return found }
        guard seriesByLabels.count < maxSeries else {
            let overflow = Self.render(labels.map { ($0.key, "other") })
            if let found = seriesByLabels[overflow] { return found }
            seriesByLabels[overflow] = made
            return made
        }
        seriesByLabels[key] = made
        return made
    }

    // MARK: Text

    func write(to text: inout String) {
        text += "# HELP \(name) \(Self.escape(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, series) in seriesByLabels.sorted(by: { $0.key < $1.key }) {
            switch series {
            case .counter(let counter): writeSample(name, labels, String(counter.value), to: &text)
            case .gauge(let gauge): writeSample(name, labels, String(gauge.value), to: &text)
            case .callback(let read): writeSample(name, labels, Self.number(read()), to: &text)
            case .histogram(let histogram): write(histogram, labels, to: &text)
            }
        }
    }

    private func write(_ histogram: Histogram, _ labels: String, to text: inout String) {
        let counts = histogram.cumulativeCounts
        for (index, count) in counts.enumerated() {
            let bound = index < histogram.buckets.count ? Self.number(histogram.buckets[index]) : "+Inf"
            let separator = labels.isEmpty ? "" : ","
            writeSample(name + "_bucket", "\(labels)\(separator)le=\"\(bound)\"", String(count), to: &text)
        }
        writeSample(name + "_sum", labels, Self.number(histogram.sum), to: &text)
        writeSample(name + "_count", labels, String(counts.last ?? 0), to: &text)
    }

    private func writeSample(_ name: String, _ labels: String, _ value: String, to text: inout String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    private static func render(_ labels: [(String, String)]) -> String {
        labels.map { "\($0)=\"\(escape($1, quotes: true))\"" }.joined(separator: ",")
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        guard value.isFinite else { return value < 0 ? "-Inf" : "+Inf" }
        return Int(exactly: value).map(String.init) ?? value.description
    }

    private static func escape(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
