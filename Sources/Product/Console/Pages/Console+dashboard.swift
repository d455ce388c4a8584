// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What the tenant has.
extension Console {
    func dashboard(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let asking = visit
        let days = Usage.days(14)
        async let overviewAnswer = asking.call(.get, "/api/overview")
        async let usageAnswer = asking.call(
            .get, "/api/usage?from=\(days.first ?? "")&to=\(days.last ?? "")")
        async let keyAnswer = asking.call(.get, "/api/user/api-keys")
        async let auditAnswer = asking.call(.get, "/api/audit?limit=8")
        async let setupAnswer = asking.call(.get, "/api/setup")
        let answers = await (overviewAnswer, usageAnswer, keyAnswer, auditAnswer)
        let run = SetupRun(await setupAnswer.body)
        let overview = answers.0.body?["overview"]
        let usage = Usage(answers.1.body)
        let keys = answers.2.body?["apiKeys"]?.arrayValue ?? []
        let audit = answers.3.body?["entries"]?.arrayValue ?? []
        return visit.page(.dashboard) {
            Components.heading(.of(.greeting, person.name), .of(.dashboardText, person.tenantName)) {
                Components.badge(.of(.planNamed, Self.planName(person.plan)))
            }
            visit.notice
            if !person.hasSetUp { setUpInvitation }
            figures(overview)
            Markup(.div, .class("grid")) {
                Components.section("usage", .lastTwoWeeks) { usageCard(usage, days) }
                Components.section("activity", .recentActivity) { activity(audit, person) }
                Components.section("tables", .yourRows) { tables(overview) }
                Components.section("keys", .apiKeys) { keyCard(keys) }
                Components.section("home", .yourHome, .of(.yourHomeText)) {
                    Components.facts(
                        [
                            (.account, .data(person.email)), (.user, Components.code(person.id)),
                            (.tenant, Components.code(person.tenantID ?? "–")),
                        ]
                            + [
                                (Message.schema, run.made(by: "schema")),
                                (.collection, run.made(by: "vector_collection")),
                            ]
                            .compactMap { name, made in made.map { (name, Markup.element(.code, [], [.text($0)])) } })
                }
                services
            }
        }
    }

    /// Plans are named by the database; on pages they begin as names do.
    static func planName(_ plan: String) -> String { plan.prefix(1).uppercased() + plan.dropFirst() }

    private var setUpInvitation: Markup {
        Markup(.div, .class("banner")) {
            Markup(.div) {
                Markup(.strong, text: .setUpNotDone)
                Markup(.p, text: .setUpNotDoneText)
            }
            Markup(.a, .class("button"), .href("/setup"), text: .continueSetUp)
        }
    }

    private func figures(_ overview: JSON?) -> Markup {
        let rows = overview?["tables"]?.arrayValue?.reduce(0) { $0 + ($1["rows"]?.intValue ?? 0) } ?? 0
        let collections = overview?["collections"]?.intValue ?? 0
        let figures: [(Icon, Message, String)] = [
            (.table, .rows, Components.grouped(rows)),
            (.folder, .files, Components.grouped(overview?["files"]?.intValue ?? 0)),
            (.chart, .storageUsed, Components.bytes(overview?["bytes"]?.intValue ?? 0)),
            (.vector, .vectors, Components.grouped(overview?["vectors"]?.intValue ?? 0)),
            (.people, .members, Components.grouped(overview?["members"]?.intValue ?? 1)),
        ]
        return Markup(.dl, .class("figures")) {
            for (icon, name, figure) in figures {
                Markup(.div) {
                    Markup(.dt) {
                        icon.markup
                        Markup.text(name)
                    }
                    Markup(.dd) {
                        Markup.data(figure)
                        if name == .vectors, collections > 0 {
                            Markup(.span, .class("hint")) {
                                Markup.data(" ")
                                Markup.text(.inCollections, "\(collections)")
                            }
                        }
                    }
                }
            }
        }
    }

    @MarkupBuilder private func usageCard(_ usage: Usage, _ days: [String]) -> Markup {
        if usage.entries.isEmpty {
            Components.empty(.chart, .nothingUsed, .nothingUsedText)
        } else {
            let chart = usage.chart(.requests, days: days)
            chart.markup
            chart.legend
        }
        Components.meter(.requests, used: usage.used[.requests] ?? 0, limit: usage.limits[.requests])
        Markup(.p, .class("more")) { Markup(.a, .href("/usage"), text: .seeUsage) }
    }

    @MarkupBuilder private func activity(_ audit: [JSON], _ person: Person) -> Markup {
        if audit.isEmpty {
            Components.empty(.list, .noActivity, .noActivityText)
        } else {
            Markup(.ul, .class("timeline")) {
                for entry in audit {
                    Markup(.li) {
                        Markup(.span) { Markup.text(Self.activity(entry)) }
                        Markup(.span, .class("hint")) {
                            Components.moment(entry["at"]?.stringValue)
                            if entry["actor"]?.stringValue == person.id {
                                Markup.data(" ")
                                Components.badge(.you)
                            }
                        }
                    }
                }
            }
            Markup(.p, .class("more")) { Markup(.a, .href("/activity"), text: .seeActivity) }
        }
    }

    @MarkupBuilder private func tables(_ overview: JSON?) -> Markup {
        let tables = overview?["tables"]?.arrayValue ?? []
        if tables.isEmpty {
            Components.empty(.table, .noTables, .noTablesText)
        } else {
            Components.table(
                .yourRows, [.table, .rows],
                rows: tables.map { table in
                    let count = Components.grouped(table["rows"]?.intValue ?? 0)
                    return [
                        Components.code(table["name"]?.stringValue ?? ""),
                        table["more"]?.boolValue == true ? .text(.atLeast, count) : .data(count),
                    ]
                })
        }
    }

    @MarkupBuilder private func keyCard(_ keys: [JSON]) -> Markup {
        if keys.isEmpty {
            Components.empty(.key, .noKeyYet, .noKeyYetText) {
                Markup(.p) { Markup(.a, .class("button quiet"), .href("/settings/keys"), text: .addKey) }
            }
        } else {
            Markup(.ul, .class("plain")) {
                for key in keys {
                    Markup(.li) { Markup(.span, data: Self.serviceName(key["service_name"]?.stringValue ?? "")) }
                }
            }
            Markup(.p, .class("more")) { Markup(.a, .href("/settings/keys"), text: .manageKeys) }
        }
    }
}
