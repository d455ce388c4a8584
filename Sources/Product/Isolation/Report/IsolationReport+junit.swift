// SPDX-License-Identifier: Apache-2.0

extension IsolationReport {
    /// A test as CI systems read it: with at most one failure, and a name that no other of its suite has.
    private struct TestCase {
        enum Outcome {
            case passed
            case failed(message: String, text: String)
            case skipped(String)
        }

        var name: String
        var outcome: Outcome
        /// What else there is to say.
        var output: String?
    }

    /// One suite for the lints, one a channel, whose tests are the cells of the matrix by caller.
    var junit: String {
        var channels: [String] = []
        for crossing in crossings where !channels.contains(crossing.channel) { channels.append(crossing.channel) }
        let groups = Dictionary(grouping: crossings, by: \.channel)
        let suites =
            [("lints", Lint.all.map(test))] + channels.map { ($0, Self.tests(of: groups[$0] ?? [])) }
        let all = suites.flatMap(\.1)
        let time = times.reduce(Duration.zero) { $0 + $1.time }
        var lines = [#"<?xml version="1.0" encoding="UTF-8"?>"#]
        lines.append("<testsuites name=\"isolation\"\(Self.counts(all)) time=\"\(Self.seconds(time))\">")
        for (name, tests) in suites {
            let time = times.first { $0.part == name }?.time ?? .zero
            lines.append(
                "  <testsuite name=\"\(Self.escaped(name))\"\(Self.counts(tests)) time=\"\(Self.seconds(time))\">")
            for test in tests { lines += Self.lines(of: test, in: name) }
            lines.append("  </testsuite>")
        }
        lines.append("</testsuites>")
        return lines.joined(separator: "\n")
    }

    private func test(of lint: Lint) -> TestCase {
        let fired = findings.filter { $0.lint.id == lint.id }
        let details = fired.map(\.occurrence.detail).joined(separator: "\n")
        var test = TestCase(name: "\(lint.id) \(lint.name)", outcome: .passed)
        if fired.isEmpty { return test }
        if lint.level == .error {
            test.outcome = .failed(message: lint.title, text: "\(details)\n\(lint.remediation)")
        } else {
            test.output = details
        }
        return test
    }

    private static func tests(of crossings: [Crossing]) -> [TestCase] {
        var names: [String] = []
        var groups: [String: [Crossing]] = [:]
        for crossing in crossings {
            let name = "\(crossing.object) \(crossing.action.rawValue) by \(crossing.caller.rawValue)"
            if groups[name] == nil { names.append(name) }
            groups[name, default: []].append(crossing)
        }
        return names.map { name in
            let tried = groups[name] ?? []
            let leaks = tried.filter { $0.outcome == .leaked }
            if let first = leaks.first {
                let requests = leaks.map(\.request).joined(separator: "\n")
                return TestCase(name: name, outcome: .failed(message: first.fix, text: requests))
            }
            for crossing in tried {
                if case .untried(let reason) = crossing.outcome {
                    return TestCase(name: name, outcome: .skipped(reason))
                }
            }
            return TestCase(name: name, outcome: .passed)
        }
    }

    private static func counts(_ tests: [TestCase]) -> String {
        let failed = tests.count { if case .failed = $0.outcome { true } else { false } }
        let skipped = tests.count { if case .skipped = $0.outcome { true } else { false } }
        return " tests=\"\(tests.count)\" failures=\"\(failed)\" errors=\"0\" skipped=\"\(skipped)\""
    }

    private static func lines(of test: TestCase, in suite: String) -> [String] {
        let open =
            "    <testcase classname=\"isolation.\(escaped(suite))\" name=\"\(escaped(test.name))\" time=\"0\""
        var inner: [String] = []
        switch test.outcome {
        case .passed: break
        case .failed(let message, let text):
            inner.append(
                "      <failure message=\"\(escaped(message))\" type=\"isolation\">\(escaped(text))</failure>")
        case .skipped(let reason): inner.append("      <skipped message=\"\(escaped(reason))\"/>")
        }
        if let output = test.output { inner.append("      <system-out>\(escaped(output))</system-out>") }
        return inner.isEmpty ? ["\(open)/>"] : ["\(open)>"] + inner + ["    </testcase>"]
    }

    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\n", "\t", "\r": escaped += "&#\(scalar.value);"
            // XML 1.0 has no other control characters, escaped or not, and neither of these.
            case let control where control.value < 0x20 || control.value == 0xFFFE || control.value == 0xFFFF:
                escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }
}
