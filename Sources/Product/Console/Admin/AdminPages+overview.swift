// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// The first page of the administration, and the log.
extension AdminPages {
    func overview(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let row = try await read([
            """
            select
                (select count(*) from auth.users) as users,
                (select count(*) from auth.users as u where u.created_at > now() - interval '7 days') as new_users,
                (select count(*) from tenancy.tenants) as tenants,
                pg_database_size(current_database()) as bytes,
                (select count(*) from pg_stat_activity as a where a.datname = current_database()) as connections,
                current_setting('server_version') as version,
                pg_postmaster_start_time() as started
            """
        ]).first?.onlyRow
        let figures: [(Icon, Message, String)] = [
            (.person, .users, Components.grouped(row?["users"].int ?? 0)),
            (.people, .newThisWeek, Components.grouped(row?["new_users"].int ?? 0)),
            (.building, .tenants, Components.grouped(row?["tenants"].int ?? 0)),
            (.table, .databaseSize, Components.bytes(row?["bytes"].int ?? 0)),
            (.chart, .connections, Components.grouped(row?["connections"].int ?? 0)),
        ]
        let problems = administration.logs.latest().filter { $0.level >= .warning }.prefix(8)
        return visit.page(.administration, .admin(.overview)) {
            Components.heading(.of(.overview), .of(.overviewText))
            visit.notice
            Markup(.dl, .class("figures")) {
                for (icon, name, figure) in figures {
                    Markup(.div) {
                        Markup(.dt) {
                            icon.markup
                            Markup.text(name)
                        }
                        Markup(.dd, data: figure)
                    }
                }
            }
            Components.section("database", .database) {
                Components.facts([
                    (.version, .data("PostgreSQL \(row?["version"].string ?? "")")),
                    (.since, Components.moment(row?["started"].timestamp?.description)),
                ])
            }
            Components.section("problems", .recentProblems) {
                if problems.isEmpty {
                    Components.empty(.check, .noProblems)
                } else {
                    logTable(Array(problems))
                }
            }
            console.services
        }
    }

    // MARK: Log

    func logs(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let wanted = visit.query.first("level").flatMap { Log.Level(rawValue: $0) } ?? .debug
        let text = (visit.query.first("text") ?? "").lowercased()
        let page = visit.pageNumber
        let size = 100
        let matching = administration.logs.latest().filter { entry in
            guard entry.level >= wanted else { return false }
            guard !text.isEmpty else { return true }
            return entry.event.lowercased().contains(text)
                || entry.fields.contains { Self.shown($0.value).lowercased().contains(text) }
        }
        let entries = Array(matching.dropFirst((page - 1) * size).prefix(size))
        let state = Form.State(values: ["level": wanted.rawValue, "text": visit.query.first("text") ?? ""])
        return visit.page(.logs, .admin(.logs)) {
            Components.heading(.of(.logs), .of(.logsText))
            Markup(.form, .method("get"), .action("/admin/logs"), .class("row-form compact")) {
                Form.select(
                    "level", .leastLevel, options: Log.Level.allCases.map { ($0.rawValue, .words($0.rawValue)) },
                    state: state)
                Form.field("text", .contains, .optional(100), state: state)
                Form.button(.show, "quiet")
            }
            if entries.isEmpty {
                Components.empty(.list, .noLogs)
            } else {
                logTable(entries)
            }
            Components.pager(
                "/admin/logs?"
                    + FormFields.encode([("level", wanted.rawValue), ("text", visit.query.first("text") ?? "")]),
                page: page, hasNext: matching.count > page * size)
        }
    }

    private func logTable(_ entries: [LogRing.Entry]) -> Markup {
        Components.table(
            .logs, [.time, .level, .event, .details],
            rows: entries.map { entry in
                let kind =
                    switch entry.level {
                    case .error: "badge bad"
                    case .warning: "badge warn"
                    case .info, .debug: "badge"
                    }
                return [
                    Components.moment(entry.time.description),
                    Markup(.span, .class(kind), data: entry.level.rawValue),
                    .data(entry.event),
                    Markup(.span, .class("fields")) {
                        for field in entry.fields {
                            Components.code("\(field.key)=\(String(Self.shown(field.value).prefix(300)))")
                            Markup.data(" ")
                        }
                    },
                ]
            })
    }

    private static func shown(_ value: JSON) -> String { value.stringValue ?? value.text }

    // MARK: Database

    /// Runs queries as the owner of the project's schema, in a transaction that cannot write.
    func read(_ queries: [PostgresQuery]) async throws -> [PostgresResult] {
        do {
            return try await administration.owner.run(
                WorkUnit(readOnly: true, statementTimeout: limits.statementTimeout, queries: queries))
        } catch {
            throw PageRefusal(.init(code: Self.status(of: error)), .words(error.message))
        }
    }

    /// What is the operator's own mistake is told as such.
    static func status(of error: PostgresError) -> Int { error.server == nil ? 503 : 422 }
}
