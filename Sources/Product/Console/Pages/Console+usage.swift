// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What was used, by service and day, and what the plan gives.
extension Console {
    /// Days that the page can show.
    private static let spans = [7, 30, 90]

    func usagePage(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let asked = visit.query.first("days").flatMap { Int($0) } ?? 30
        let span = Self.spans.contains(asked) ? asked : 30
        let metric = visit.query.first("metric").flatMap { Usage.Metric(rawValue: $0) } ?? .requests
        let days = Usage.days(span)
        let answer = await visit.call(
            .get, "/api/usage?from=\(days.first ?? "")&to=\(days.last ?? "")")
        let usage = Usage(answer.body)
        return visit.page(.usage) {
            Components.heading(.of(.usage), .of(.usageText)) {
                Components.badge(.of(.planNamed, usage.plan))
            }
            if !answer.isSuccess, answer.status != 404 { Components.notice(answer.phrase, isGood: false) }
            Components.section("limits", .thisMonth) {
                Markup(.div, .class("meters")) {
                    for metric in Usage.Metric.allCases {
                        Components.meter(metric.title, used: usage.used[metric] ?? 0, limit: usage.limits[metric]) {
                            Usage.shown($0, metric)
                        }
                    }
                }
                if let reset = usage.resetAt {
                    Markup(.p, .class("hint")) {
                        Markup.text(.startsAnew)
                        Markup.data(" ")
                        Components.moment(reset)
                    }
                }
            }
            Components.section("by-day", .byDay) {
                spanChoice(span, metric)
                if usage.entries.isEmpty {
                    Components.empty(.chart, .nothingUsed, .nothingUsedText)
                } else {
                    let chart = usage.chart(metric, days: days)
                    chart.markup
                    chart.legend
                }
            }
            if !usage.entries.isEmpty {
                Components.section("by-service", .byService) {
                    Components.table(
                        .byService, [.service, .requests, .tokens, .cost],
                        rows: usage.services.map { service in
                            [.data(Self.serviceName(service))]
                                + Usage.Metric.allCases.map { .data(Usage.shown(usage.sum($0, of: service), $0)) }
                        })
                }
            }
        }
    }

    private func spanChoice(_ span: Int, _ metric: Usage.Metric) -> Markup {
        Markup(.form, .method("get"), .action("/usage"), .class("row-form compact")) {
            Form.select(
                "metric", .count, options: Usage.Metric.allCases.map { ($0.rawValue, .of($0.title)) },
                state: Form.State(values: ["metric": metric.rawValue]))
            Form.select(
                "days", .timeSpan, options: Self.spans.map { ("\($0)", .of(.lastDays, "\($0)")) },
                state: Form.State(values: ["days": "\(span)"]))
            Form.button(.show, "quiet")
        }
    }
}
