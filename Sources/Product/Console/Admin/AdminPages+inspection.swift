// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Isolation
internal import Postgres
internal import Primitives

/// What the schema's faults are, and whether one tenant reaches another's data.
extension AdminPages {
    func registerInspection(on router: inout Router) {
        page(.get, "/admin/advisors", on: &router, advisors)
        page(.get, "/admin/isolation", on: &router) { visit, _ in isolation(visit, nil) }
        page(.post, "/admin/isolation", on: &router, tryIsolation)
    }

    private func report(tries: Bool) async throws -> IsolationReport {
        do { return try await administration.inspect(tries) } catch {
            guard let error = error as? PostgresError else { throw error }
            throw HTTPError(.init(code: Self.status(of: error)), error.message)
        }
    }

    // MARK: Advisors

    private func advisors(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let findings = try await report(tries: false).findings
        return visit.page(.advisors, .admin(.advisors)) {
            Components.heading(.of(.advisors), .of(.advisorsText))
            for (category, title) in [
                (Lint.Category.security, Message.securityFindings), (.performance, .performanceFindings),
            ] {
                let found = findings.filter { $0.lint.category == category }
                Components.section(category.rawValue.lowercased(), title) {
                    if found.isEmpty {
                        Components.empty(.check, .noFindings)
                    } else {
                        findingList(found)
                    }
                }
            }
        }
    }

    private func findingList(_ findings: [Finding]) -> Markup {
        Markup(.ul, .class("findings")) {
            for finding in findings {
                Markup(.li) {
                    Markup(.details) {
                        Markup(.summary) {
                            levelBadge(finding.level)
                            Markup.data(" ")
                            Markup(.strong, data: finding.lint.title)
                            Markup(.span, .class("hint"), data: " \(finding.occurrence.detail)")
                        }
                        Markup(.p, data: finding.lint.description)
                        Markup(.p) {
                            Markup(.strong, text: .remedy)
                            Markup.data(" \(finding.lint.remediation)")
                        }
                        Markup(.p, .class("hint")) { Components.code("\(finding.lint.id) \(finding.lint.name)") }
                    }
                }
            }
        }
    }

    private func levelBadge(_ level: Finding.Level) -> Markup {
        switch level {
        case .error: Components.badge(.errorLevel, "bad")
        case .warning: Components.badge(.warningLevel, "warn")
        case .info: Components.badge(.infoLevel)
        }
    }

    // MARK: Isolation

    private func isolation(_ visit: Visit, _ report: IsolationReport?) -> HTTPResponse {
        visit.page(.isolationReport, .admin(.isolation)) {
            Components.heading(.of(.isolationReport), .of(.isolationText))
            Markup(.form, .method("post"), .action("/admin/isolation")) {
                Form.token(visit.formToken)
                Form.button(report == nil ? .tryIsolation : .tryAgain)
            }
            if let report { outcome(report) }
        }
    }

    private func tryIsolation(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        _ = try await forms.form(of: visit.request)
        note("isolation.check", who, visit)
        return isolation(visit, try await report(tries: true))
    }

    private func outcome(_ report: IsolationReport) -> Markup {
        let held = report.crossings.count { $0.outcome == .held }
        let untried = report.crossings.count - held - report.leaks.count
        return Markup(.div) {
            if report.leaks.isEmpty {
                Components.notice(.of(.nothingCrossed, "\(held)"), isGood: true)
            } else {
                Components.notice(.of(.somethingCrossed, "\(report.leaks.count)"), isGood: false)
            }
            for leak in report.leaks { leakCard(leak) }
            Components.section(
                "crossings", .crossings, .of(.crossingsText, "\(held)", "\(report.leaks.count)", "\(untried)")
            ) {
                matrix(report.crossings)
            }
            let grave = report.findings.filter { $0.level > .info }
            Components.section("findings", .securityFindings) {
                if grave.isEmpty {
                    Components.empty(.check, .noFindings)
                } else {
                    findingList(grave)
                }
            }
        }
    }

    private func leakCard(_ leak: Crossing) -> Markup {
        Markup(.article, .class("card leak")) {
            Markup(.p) {
                Components.badge(.leak, "bad")
                Markup.data(" ")
                Markup(.strong, data: leak.object)
                Markup.data(" · \(leak.action.rawValue) · \(leak.caller.rawValue)")
            }
            Markup(.pre, .tabindex(0), data: leak.request)
            Markup(.p) {
                Markup(.strong, text: .remedy)
                Markup.data(" \(leak.fix)")
            }
        }
    }

    /// A line an object, a column an action.
    private func matrix(_ crossings: [Crossing]) -> Markup {
        let actions = Crossing.Action.allCases
        var objects: [String] = []
        for crossing in crossings where !objects.contains("\(crossing.channel) \(crossing.object)") {
            objects.append("\(crossing.channel) \(crossing.object)")
        }
        let groups = Dictionary(grouping: crossings) { "\($0.channel) \($0.object)" }
        return Components.table(
            .of(.crossings), [.of(.object)] + actions.map { .words($0.rawValue) },
            rows: objects.map { object in
                [Components.code(object)]
                    + actions.map { action in
                        let tried = groups[object]?.filter { $0.action == action } ?? []
                        if tried.isEmpty { return .nothing }
                        if tried.contains(where: { $0.outcome == .leaked }) { return Components.badge(.leak, "bad") }
                        if tried.contains(where: { $0.outcome == .held }) { return Components.badge(.held, "good") }
                        return Components.badge(.untried)
                    }
            })
    }
}
