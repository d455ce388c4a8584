// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What the lints say and what the crossings came to, in the forms that people and programs read.
package struct IsolationReport: Sendable {
    package enum Format: String, Sendable, CaseIterable {
        case table, json, junit, sarif
    }

    package let findings: [Finding]
    package let crossings: [Crossing]
    /// What else whoever reads it must know: what was not tried at all, what could not be taken away.
    package let notes: [String]

    /// What the server does not serve, so that there was nothing to try: not a gap of the proof, but not proven either.
    package let unserved: [String]
    /// The time that each part of the check took.
    package let times: [(part: String, time: Duration)]

    package init(
        findings: [Finding], crossings: [Crossing], unserved: [String] = [], notes: [String] = [],
        times: [(part: String, time: Duration)] = []
    ) {
        self.findings = findings
        self.crossings = crossings
        self.unserved = unserved
        self.notes = notes
        self.times = times
    }

    package var leaks: [Crossing] { crossings.filter { $0.outcome == .leaked } }

    /// Whether everything there was to try could be tried.
    package var isComplete: Bool { untried.isEmpty }

    var untried: [Crossing] {
        crossings.filter { if case .untried = $0.outcome { true } else { false } }
    }

    /// Whether anything crossed, or a lint of at least this level fired.
    package func fails(at level: Finding.Level?) -> Bool {
        guard let level else { return false }
        return !leaks.isEmpty || findings.contains { $0.level >= level }
    }

    /// - Parameter sources: the project's SQL, so that findings can be shown at the lines they come from.
    package func text(_ format: Format, sources: SchemaSources = SchemaSources()) -> String {
        switch format {
        case .table: table
        case .json: json.text
        case .junit: junit
        case .sarif: sarif(sources).text
        }
    }

    // MARK: JSON

    private var json: JSON {
        [
            "findings": .array(findings.map(\.json)), "crossings": .array(crossings.map(\.json)),
            "unserved": .array(unserved.map(JSON.string)), "notes": .array(notes.map(JSON.string)),
            "seconds": .object(JSONObject(times.map { ($0.part, .number(Self.seconds($0.time))) })),
            "summary": [
                "held": .number("\(crossings.filter { $0.outcome == .held }.count)"),
                "leaked": .number("\(leaks.count)"), "untried": .number("\(untried.count)"),
                "errors": .number("\(count(.error))"), "warnings": .number("\(count(.warning))"),
            ],
        ]
    }

    /// Seconds with two decimals.
    static func seconds(_ time: Duration) -> String {
        let hundredths = Int(time / .milliseconds(10))
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }

    func count(_ level: Finding.Level) -> Int { findings.filter { $0.level == level }.count }

    // MARK: Table

    private var table: String {
        var lines: [String] = []
        if !crossings.isEmpty {
            lines += matrix + [""]
            for leak in leaks {
                lines += [
                    "LEAK  \(leak.channel) \(leak.object): \(leak.caller == .visitor ? "a visitor" : "a member of another tenant") got through with \(leak.action.rawValue)",
                    "      request: \(leak.request)", "      fix: \(leak.fix)",
                ]
            }
            var said: Set<String> = []
            for crossing in untried {
                guard case .untried(let reason) = crossing.outcome else { continue }
                let line =
                    "untried  \(Self.title(crossing)), \(crossing.action.rawValue) by \(crossing.caller.rawValue): \(reason)"
                if said.insert(line).inserted { lines.append(line) }
            }
        }
        lines += Self.lines(of: findings)
        lines += unserved.map { "not served  \($0)" }
        lines += notes.map { "note  \($0)" }
        if !times.isEmpty {
            lines.append("seconds  " + times.map { "\($0.part) \(Self.seconds($0.time))" }.joined(separator: ", "))
        }
        let held = crossings.filter { $0.outcome == .held }.count
        lines.append(
            "\(held) crossings held, \(leaks.count) leaked, \(untried.count) untried; \(count(.error)) errors, \(count(.warning)) warnings, \(count(.info)) notes"
        )
        return lines.joined(separator: "\n")
    }

    /// A finding in two lines.
    package static func lines(of findings: [Finding]) -> [String] {
        findings.flatMap { finding in
            [
                "\(finding.level.rawValue.padded(to: 5)) \(finding.lint.id) \(finding.lint.name): \(finding.occurrence.detail)",
                "      fix: \(finding.lint.remediation)",
            ]
        }
    }

    /// For each channel a line an object and a column an action: `ok`, `LEAK`, `?` for untried, nothing where there is nothing
    /// to try.
    private var matrix: [String] {
        var channels: [String] = []
        for crossing in crossings where channels.last != crossing.channel && !channels.contains(crossing.channel) {
            channels.append(crossing.channel)
        }
        let groups = Dictionary(grouping: crossings, by: \.channel)
        return Array(channels.map { Self.matrix(of: groups[$0] ?? [], $0) }.joined(separator: [""]))
    }

    private static func matrix(of crossings: [Crossing], _ channel: String) -> [String] {
        let used = Set(crossings.map(\.action))
        let actions = Crossing.Action.allCases.filter(used.contains)
        let groups = Dictionary(grouping: crossings, by: \.object)
        var objects: [String] = []
        var seen: Set<String> = []
        for crossing in crossings where seen.insert(crossing.object).inserted { objects.append(crossing.object) }
        let width = max(channel.count, objects.map(\.count).max() ?? 0)
        func line(_ title: String, _ cells: [String]) -> String {
            let text = title.padded(to: width) + cells.map { "  " + $0.padded(to: 9) }.joined()
            return String(text.reversed().drop { $0 == " " }.reversed())
        }
        return [line(channel, actions.map(\.rawValue))]
            + objects.map { object in
                line(
                    object,
                    actions.map { action in
                        let tried = groups[object]?.filter { $0.action == action } ?? []
                        if tried.isEmpty { return "" }
                        if tried.contains(where: { $0.outcome == .leaked }) { return "LEAK" }
                        return tried.contains { $0.outcome == .held } ? "ok" : "?"
                    })
            }
    }

    private static func title(_ crossing: Crossing) -> String { "\(crossing.channel) \(crossing.object)" }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
