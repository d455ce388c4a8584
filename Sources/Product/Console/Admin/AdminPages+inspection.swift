// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Isolation
internal import Postgres
internal import Primitives

/// What the schema's faults are, and whether one tenant reaches another's data.
extension AdminPages {
    func registerInspection(on router: inout Router) {
        page(.get, "/admin/advisors", on: &router, advisors)
        page(.get, "/admin/isolation", on: &router) { visit, _ in isolation(visit) }
        page(.post, "/admin/isolation", on: &router, runCheck)
        page(.post, "/admin/isolation/stop", on: &router, stopCheck)
    }

    // MARK: Advisors

    private func findings() async throws -> [Finding] {
        do { return try await administration.inspect() } catch {
            guard let error = error as? PostgresError else { throw error }
            throw PageRefusal(.init(code: Self.status(of: error)), .words(error.message))
        }
    }

    private func advisors(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let findings = try await findings()
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

    private func isolation(_ visit: Visit) -> HTTPResponse {
        let state = administration.check.state
        var isRunning = false
        if case .running = state { isRunning = true }
        return visit.page(.isolationReport, .admin(.isolation), isRefreshed: isRunning) {
            Components.heading(.of(.isolationReport), .of(.isolationText))
            switch state {
            case .neverRan:
                Markup(.section, .label(.isolationReport)) {
                    Components.empty(.shield, .checkNeverRan, .checkNeverRanText) { runForm(visit, .runCheck) }
                }
            case .running(let run): running(visit, run)
            case .ended(let ended): result(visit, ended)
            }
        }
    }

    private func runForm(_ visit: Visit, _ label: Message) -> Markup {
        Markup(.form, .method("post"), .action("/admin/isolation"), .class("run")) {
            Form.token(visit.formToken)
            Form.button(label)
        }
    }

    /// How far the check is; the page asks again every other second.
    private func running(_ visit: Visit, _ run: IsolationCheck.Running) -> Markup {
        Components.section("run", .checkRuns) {
            Markup(.div, .id("progress"), .hook("poll", "2"), .aria("live", "polite")) {
                Markup(.p) {
                    if run.isStopping {
                        Markup.text(.checkStops)
                    } else if run.channel.isEmpty {
                        Markup.text(.checkReads)
                    } else {
                        Markup.text(.checkTries, run.channel)
                    }
                    if run.total > 0, !run.isStopping {
                        Markup(.span, .class("hint"), data: " · ")
                        Markup(.span, .class("hint"), text: .usedOf, "\(run.done)", "\(run.total)")
                    }
                }
                Markup.element(
                    .progress,
                    (run.total > 0 ? [.value("\(run.done)"), .svg("max", "\(run.total)")] : []) + [.label(.checkRuns)],
                    [])
            }
            if !run.isStopping {
                Markup(.form, .method("post"), .action("/admin/isolation/stop"), .class("run")) {
                    Form.token(visit.formToken)
                    Form.button(.stopCheck, "quiet")
                }
            }
        }
    }

    private func result(_ visit: Visit, _ ended: IsolationCheck.Ended) -> Markup {
        let tenths = ended.took.components.seconds * 10 + ended.took.components.attoseconds / 100_000_000_000_000_000
        return Markup(.div) {
            switch ended.outcome {
            case .report(let report):
                if report.leaks.isEmpty {
                    let held = report.crossings.count { $0.outcome == .held }
                    Components.notice(.of(.nothingCrossed, "\(held)"), isGood: true)
                } else {
                    Components.notice(.of(.somethingCrossed, "\(report.leaks.count)"), isGood: false)
                }
            case .stopped: Components.notice(.of(.checkStopped), isGood: false)
            case .failed(let cause):
                Components.notice(.of(.checkFailed), isGood: false)
                Markup(.pre, .tabindex(0), data: cause)
            }
            Markup(.div, .class("banner neutral")) {
                Components.facts([
                    (.checkEnded, Components.moment(ended.at.description)),
                    (.checkTook, .text(.checkSeconds, "\(tenths / 10).\(tenths % 10)")),
                ])
                runForm(visit, .runCheckAgain)
            }
            if case .report(let report) = ended.outcome { outcome(report) }
        }
    }

    private func runCheck(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        _ = try await visit.form(ofTenant: false)
        note("isolation.check", who, visit)
        administration.check.begin()
        return PageResponse.redirect("/admin/isolation")
    }

    private func stopCheck(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        _ = try await visit.form(ofTenant: false)
        note("isolation.stop", who, visit)
        administration.check.stop()
        return PageResponse.redirect("/admin/isolation")
    }

    private func outcome(_ report: IsolationReport) -> Markup {
        let held = report.crossings.count { $0.outcome == .held }
        let untried = report.crossings.count - held - report.leaks.count
        return Markup(.div) {
            for left in report.notes { Components.notice(.of(.couldNotBeRemoved, left), isGood: false) }
            for leak in report.leaks { leakCard(leak) }
            Components.section(
                "crossings", .crossings, .of(.crossingsText, "\(held)", "\(report.leaks.count)", "\(untried)")
            ) {
                for channel in report.channels {
                    Markup(.details, .class("channel"), .open(channel.hasLeak)) {
                        Markup(.summary) {
                            Markup(.strong, data: channel.name)
                            Markup.data(" ")
                            channel.hasLeak ? Components.badge(.leak, "bad") : Components.badge(.held, "good")
                            Markup(.span, .class("hint"), data: " \(channel.crossings.count)")
                        }
                        matrix(channel)
                    }
                }
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

    /// A line an object, a column an action that was tried on any of them.
    private func matrix(_ channel: Channel) -> Markup {
        let actions = Crossing.Action.allCases.filter { action in channel.crossings.contains { $0.action == action } }
        let groups = Dictionary(grouping: channel.crossings, by: \.object)
        var objects: [String] = []
        var known: Set<String> = []
        for crossing in channel.crossings where known.insert(crossing.object).inserted {
            objects.append(crossing.object)
        }
        return Components.table(
            .words(channel.name), [.of(.object)] + actions.map { .words($0.rawValue) },
            rows: objects.map { object in
                [Components.code(object)]
                    + actions.map { action in outcomeBadge(groups[object]?.filter { $0.action == action } ?? []) }
            }, narrow: .scrolled)
    }

    private func outcomeBadge(_ tried: [Crossing]) -> Markup {
        if tried.isEmpty { return .nothing }
        if tried.contains(where: { $0.outcome == .leaked }) { return Components.badge(.leak, "bad") }
        if tried.contains(where: { $0.outcome == .held }) { return Components.badge(.held, "good") }
        let reasons = tried.compactMap { crossing -> String? in
            if case .untried(let reason) = crossing.outcome { reason } else { nil }
        }
        return Markup(.span, .class("badge"), .title(.words(reasons.joined(separator: "; "))), text: .untried)
    }
}

/// What was tried one way: by SQL, REST, files ...
private struct Channel {
    let name: String
    var crossings: [Crossing]

    var hasLeak: Bool { crossings.contains { $0.outcome == .leaked } }
}

extension IsolationReport {
    /// In the order they were tried.
    fileprivate var channels: [Channel] {
        var channels: [Channel] = []
        var places: [String: Int] = [:]
        for crossing in crossings {
            if let place = places[crossing.channel] {
                channels[place].crossings.append(crossing)
            } else {
                places[crossing.channel] = channels.count
                channels.append(Channel(name: crossing.channel, crossings: [crossing]))
            }
        }
        return channels
    }
}
