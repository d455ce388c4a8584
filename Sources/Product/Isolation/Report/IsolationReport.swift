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

    private var untried: [Crossing] {
        crossings.filter { if case .untried = $0.outcome { true } else { false } }
    }

    /// Whether anything crossed, or a lint of at least this level fired.
    package func fails(at level: Finding.Level?) -> Bool {
        guard let level else { return false }
        return !leaks.isEmpty || findings.contains { $0.level >= level }
    }

    package func text(_ format: Format) -> String {
        switch format {
        case .table: table
        case .json: json.text
        case .junit: junit
        case .sarif: sarif.text
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
    private static func seconds(_ time: Duration) -> String {
        let hundredths = Int(time / .milliseconds(10))
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }

    private func count(_ level: Finding.Level) -> Int { findings.filter { $0.level == level }.count }

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

    // MARK: JUnit

    /// One suite for the lints, one a channel; as test runners of CI systems read it.
    private var junit: String {
        var lines = [#"<?xml version="1.0" encoding="UTF-8"?>"#]
        let failures = leaks.count + count(.error)
        lines.append(
            "<testsuites name=\"isolation\" tests=\"\(crossings.count + Lint.all.count)\" failures=\"\(failures)\" skipped=\"\(untried.count)\">"
        )
        lines.append(
            "  <testsuite name=\"lints\" tests=\"\(Lint.all.count)\" failures=\"\(Set(findings.filter { $0.level == .error }.map(\.lint.id)).count)\">"
        )
        for lint in Lint.all {
            let fired = findings.filter { $0.lint.id == lint.id }
            let name = "\(lint.id) \(lint.name)"
            if fired.isEmpty {
                lines.append("    <testcase classname=\"lints\" name=\"\(Self.escaped(name))\"/>")
            } else if lint.level == .error {
                lines.append("    <testcase classname=\"lints\" name=\"\(Self.escaped(name))\">")
                for finding in fired {
                    lines.append(
                        "      <failure message=\"\(Self.escaped(finding.occurrence.detail))\">\(Self.escaped(lint.remediation))</failure>"
                    )
                }
                lines.append("    </testcase>")
            } else {
                lines.append("    <testcase classname=\"lints\" name=\"\(Self.escaped(name))\">")
                let details = fired.map(\.occurrence.detail).joined(separator: "\n")
                lines.append("      <system-out>\(Self.escaped(details))</system-out>")
                lines.append("    </testcase>")
            }
        }
        lines.append("  </testsuite>")
        for (channel, tried) in Dictionary(grouping: crossings, by: \.channel).sorted(by: { $0.key < $1.key }) {
            lines.append(
                "  <testsuite name=\"\(Self.escaped(channel))\" tests=\"\(tried.count)\" failures=\"\(tried.filter { $0.outcome == .leaked }.count)\">"
            )
            for crossing in tried {
                let name = "\(crossing.object) \(crossing.action.rawValue) by \(crossing.caller.rawValue)"
                let open = "    <testcase classname=\"\(Self.escaped(channel))\" name=\"\(Self.escaped(name))\""
                switch crossing.outcome {
                case .held: lines.append("\(open)/>")
                case .leaked:
                    lines += [
                        "\(open)>",
                        "      <failure message=\"\(Self.escaped(crossing.fix))\">\(Self.escaped(crossing.request))</failure>",
                        "    </testcase>",
                    ]
                case .untried(let reason):
                    lines += ["\(open)>", "      <skipped message=\"\(Self.escaped(reason))\"/>", "    </testcase>"]
                }
            }
            lines.append("  </testsuite>")
        }
        lines.append("</testsuites>")
        return lines.joined(separator: "\n")
    }

    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\n", "\t", "\r": escaped += "&#\(scalar.value);"
            // XML 1.0 has no other control characters, escaped or not.
            case let control where control.value < 0x20: escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }

    // MARK: SARIF

    /// SARIF 2.1.0: each lint a rule, crossings one rule of their own.
    private var sarif: JSON {
        let rules: [JSON] =
            Lint.all.map { lint in
                [
                    "id": .string(lint.id), "name": .string(lint.name),
                    "shortDescription": ["text": .string(lint.title)],
                    "fullDescription": ["text": .string(lint.description)],
                    "help": ["text": .string(lint.remediation)],
                    "defaultConfiguration": ["level": .string(Self.sarifLevel(lint.level))],
                ]
            } + [
                [
                    "id": "crossing", "name": "tenant_crossing",
                    "shortDescription": ["text": "One tenant reached another's data"],
                    "fullDescription": ["text": "A probe read, changed or called what belongs to another tenant."],
                    "defaultConfiguration": ["level": "error"],
                ]
            ]
        let results: [JSON] =
            findings.map { finding in
                Self.sarifResult(
                    rule: finding.lint.id, level: Self.sarifLevel(finding.level), text: finding.occurrence.detail,
                    object: "\(finding.occurrence.schema).\(finding.occurrence.name)", key: finding.cacheKey)
            }
            + leaks.map { leak in
                Self.sarifResult(
                    rule: "crossing", level: "error",
                    text: "\(leak.object): \(leak.action.rawValue) by \(leak.caller.rawValue). \(leak.fix)",
                    object: leak.object,
                    key: "\(leak.channel)_\(leak.object)_\(leak.action.rawValue)_\(leak.caller.rawValue)")
            }
        return [
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
            "runs": [
                [
                    "tool": ["driver": ["name": "atoll isolation check", "rules": .array(rules)]],
                    "results": .array(results),
                ]
            ],
        ]
    }

    private static func sarifResult(rule: String, level: String, text: String, object: String, key: String) -> JSON {
        [
            "ruleId": .string(rule), "level": .string(level), "message": ["text": .string(text)],
            "locations": [["logicalLocations": [["fullyQualifiedName": .string(object)]]]],
            "partialFingerprints": ["object/v1": .string(key)],
        ]
    }

    private static func sarifLevel(_ level: Finding.Level) -> String {
        switch level {
        case .error: "error"
        case .warning: "warning"
        case .info: "note"
        }
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
