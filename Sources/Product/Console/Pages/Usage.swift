// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What `GET /api/usage` tells, as the pages show it.
struct Usage: Sendable {
    /// What a plan counts.
    enum Metric: String, CaseIterable, Sendable {
        case requests
        case tokens
        case cost = "cost_cents"

        var title: Message {
            switch self {
            case .requests: .requests
            case .tokens: .tokens
            case .cost: .cost
            }
        }
    }

    /// A service on a day.
    struct Entry: Sendable {
        let day: String
        let service: String
        let amounts: [Metric: Int]
    }

    let plan: String
    /// When the month starts anew.
    let resetAt: String?
    let used: [Metric: Int]
    /// Without those that the plan does not limit.
    let limits: [Metric: Int]
    let entries: [Entry]

    init(_ json: JSON?) {
        plan = json?["plan"]?["title"]?.stringValue ?? ""
        resetAt = json?["period"]?["reset_at"]?.stringValue
        used = Self.amounts(json?["used"])
        limits = Self.amounts(json?["limits"])
        entries = (json?["days"]?.arrayValue ?? []).compactMap { day in
            guard let date = day["day"]?.stringValue, let service = day["service_name"]?.stringValue else { return nil }
            return Entry(day: date, service: service, amounts: Self.amounts(day))
        }
    }

    private static func amounts(_ json: JSON?) -> [Metric: Int] {
        var amounts: [Metric: Int] = [:]
        for metric in Metric.allCases { amounts[metric] = json?[metric.rawValue]?.intValue }
        return amounts
    }

    var services: [String] {
        let sums = Dictionary(grouping: entries, by: \.service).mapValues { entries in
            entries.reduce(0) { $0 + ($1.amounts[.requests] ?? 0) }
        }
        return sums.keys.sorted { (sums[$1] ?? 0, $0) < (sums[$0] ?? 0, $1) }
    }

    /// The amounts of a service over all days.
    func sum(_ metric: Metric, of service: String) -> Int {
        entries.reduce(0) { $0 + ($1.service == service ? $1.amounts[metric] ?? 0 : 0) }
    }

    /// - Parameter days: those of the chart, with and without use.
    func chart(_ metric: Metric, days: [String]) -> ColumnChart {
        let services = services
        var values: [String: [Int]] = [:]
        for entry in entries {
            guard let index = services.firstIndex(of: entry.service) else { continue }
            values[entry.day, default: services.map { _ in 0 }][index] += entry.amounts[metric] ?? 0
        }
        return ColumnChart(
            series: services.map(Console.serviceName),
            columns: days.map { .init(day: $0, values: values[$0] ?? services.map { _ in 0 }) })
    }

    /// The days up to and with `now`, the oldest first, as `2026-11-21`.
    static func days(_ count: Int, now: Timestamp = .now()) -> [String] {
        (0..<count).reversed().map { back in
            String((now + .seconds(-86_400 * back)).description.prefix(10))
        }
    }

    /// Cents as an amount of money.
    static func shown(_ amount: Int, _ metric: Metric) -> String {
        guard metric == .cost else { return Components.grouped(amount) }
        let cents = amount % 100
        return "$\(Components.grouped(amount / 100)).\(cents < 10 ? "0" : "")\(cents)"
    }
}
