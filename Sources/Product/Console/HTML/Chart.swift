// SPDX-License-Identifier: Apache-2.0

/// A chart of stacked columns, one a day, drawn as SVG. What it shows stands in a table beside it, too: pages show both, and screen
/// readers hear the table.
struct ColumnChart: Sendable {
    struct Column: Sendable {
        /// As `2026-11-21`.
        let day: String
        /// In the order of ``ColumnChart/series``.
        let values: [Int]
    }

    /// What each part of a column stands for.
    let series: [String]
    let columns: [Column]

    /// As many series have a colour of their own.
    static let colourCount = 6
    private static let width = 720.0
    private static let height = 220.0
    private static let left = 48.0
    private static let bottom = 28.0
    private static let topMargin = 10.0

    private var highest: Int { columns.map { $0.values.reduce(0, +) }.max() ?? 0 }

    /// The end of the scale: 1, 2 or 5 times a power of ten, at least as much as the highest column.
    static func scaleEnd(_ highest: Int) -> Int {
        var power = 1
        while true {
            for step in [1, 2, 5] where step * power >= max(highest, 4) { return step * power }
            power *= 10
        }
    }

    var markup: Markup {
        let end = Self.scaleEnd(highest)
        let plotHeight = Self.height - Self.bottom - Self.topMargin
        func y(_ value: Int) -> Double { Self.topMargin + plotHeight * (1 - Double(value) / Double(end)) }
        let slot = (Self.width - Self.left) / Double(max(columns.count, 1))
        let barWidth = min(28, slot * 0.7)
        return Markup(
            .svg, .class("chart"), .svg("viewBox", "0 0 \(Int(Self.width)) \(Int(Self.height))"), .role("img"),
            .label(.usageChart)
        ) {
            for line in 0...4 {
                let value = end * line / 4
                Markup(
                    .line, .class("grid-line"), .svg("x1", Self.number(Self.left)), .svg("x2", Self.number(Self.width)),
                    .svg("y1", Self.number(y(value))), .svg("y2", Self.number(y(value))))
                Markup(
                    .text, .class("scale"), .svg("x", Self.number(Self.left - 8)),
                    .svg("y", Self.number(y(value) + 4)), .svg("text-anchor", "end"), data: Self.short(value))
            }
            for (index, column) in columns.enumerated() {
                let x = Self.left + slot * Double(index) + (slot - barWidth) / 2
                bars(column, x: x, width: barWidth, y: y)
                if index % max(1, columns.count / 8) == 0 {
                    Markup(
                        .text, .class("scale"), .svg("x", Self.number(x + barWidth / 2)),
                        .svg("y", Self.number(Self.height - 8)), .svg("text-anchor", "middle"),
                        data: String(column.day.suffix(5)))
                }
            }
        }
    }

    private func bars(_ column: Column, x: Double, width: Double, y: (Int) -> Double) -> Markup {
        var parts: [Markup] = []
        var sum = 0
        for (index, value) in column.values.enumerated() where value > 0 {
            let lower = y(sum)
            sum += value
            let name = series.indices.contains(index) ? series[index] : ""
            parts.append(
                Markup(
                    .rect, .class("series-\(index % Self.colourCount)"), .svg("x", Self.number(x)),
                    .svg("y", Self.number(y(sum))), .svg("width", Self.number(width)),
                    .svg("height", Self.number(max(lower - y(sum), 0.5))), .svg("rx", "2")
                ) { Markup(.title, data: "\(column.day) · \(name): \(value)") })
        }
        return .group(parts)
    }

    /// What each colour stands for.
    var legend: Markup {
        Markup(.ul, .class("legend")) {
            for (index, name) in series.enumerated() {
                Markup(.li) {
                    Markup(.span, .class("swatch series-\(index % Self.colourCount)"))
                    Markup(.span, data: name)
                }
            }
        }
    }

    /// To a tenth.
    private static func number(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(abs(tenths % 10))"
    }

    private static func short(_ value: Int) -> String {
        switch value {
        case 1_000_000...: "\(number(Double(value) / 1_000_000))M"
        case 1000...: "\(number(Double(value) / 1000))k"
        default: "\(value)"
        }
    }
}
