// SPDX-License-Identifier: Apache-2.0
package import Mail
package import Postgres
package import Primitives

/// Tells the owners and admins of a tenant by mail that a limit of its plan comes near or is reached, once a month and metric.
///
/// What is to be told stands in `tenancy.usage_alerts`, in the transaction of the use that came so far. A mail is queued in the transaction
/// that marks its alert as told, so that each is queued once, whatever falls over in between.
package struct UsageNotices: Sendable {
    private let database: Database
    private let outbox: MailOutbox
    private let text: MailText
    private let siteURL: String
    private let log: Log

    /// - Parameters:
    ///   - database: logs in as `atoll_tenancy`.
    ///   - outbox: of a queue whose mails belong to that role.
    ///   - subject: nil for the built-in one; the placeholders are those of ``builtIn``, as for `html`.
    /// - Throws: `MailError` naming line and mistake of a template.
    package init(
        database: Database, outbox: MailOutbox, sender: Mailbox, subject: String?, html: String?, siteURL: String,
        log: Log
    ) throws(MailError) {
        self.database = database
        self.outbox = outbox
        text = try MailText(sender: sender, subject: subject ?? Self.builtIn.subject, html: html ?? Self.builtIn.html)
        self.siteURL = siteURL
        self.log = log.with(.field("service", "tenancy"))
    }

    /// What is said where the project has no template.
    private static let builtIn = (
        subject: "{{ .TenantName }} has used {{ .Percent }} % of its monthly {{ .Metric }}",
        html: """
        <h2>{{ .TenantName }} has used {{ .Percent }} % of its monthly {{ .Metric }}</h2>

        <p>{{ .Used }} of {{ .Limit }} are used. The plan is "{{ .Plan }}"; its limits start anew at {{ .ResetAt }}.</p>
        <p>{{ if eq .Level "hard" }}Further use is refused until then.{{ else }}At the limit, further use is refused until then.{{ end }} A larger plan has larger limits.</p>

        """
    )

    /// Tells as alerts come, until the task is cancelled or the database is shut down.
    package func run() async {
        for await _ in database.notifications(on: "atoll_usage") {
            do { while try await tellNext() {} } catch {
                // It stays to be told: with the next alert, or when the connection has come back.
                log.error("usage alert not told", .field("error", String(describing: error)))
            }
        }
    }

    /// Queues the mails of the oldest alert that was not told.
    ///
    /// - Returns: whether there was one.
    func tellNext() async throws -> Bool {
        try await database.withTransaction { transaction in
            let found = try await transaction.query(
                """
                select
                    a.tenant_id, a.period, a.metric, a.level, a.used, a.allowed, t.name, t.plan, t.status,
                    -- One mail says both where a single use came from below the one to beyond the other.
                    a.level = 'soft' and exists (
                        select from tenancy.usage_alerts as h
                        where h.tenant_id = a.tenant_id and h.period = a.period and h.metric = a.metric and h.level = 'hard'
                    ) as is_overtaken,
                    to_char(a.period + interval '1 month', 'YYYY-MM-DD') || 'T00:00:00Z' as reset_at
                from tenancy.usage_alerts as a
                inner join tenancy.tenants as t on t.id = a.tenant_id
                where a.told_at is null
                order by a.at
                limit 1
                for update of a skip locked
                """)
            guard let alert = found.onlyRow, let tenant = alert["tenant_id"].uuid else { return false }
            let isWorthTelling = alert["is_overtaken"].bool == false && alert["status"].string == "active"
            if isWorthTelling {
                let people = try await transaction.query(
                    """
                    select p.email
                    from tenancy.members as m
                    inner join tenancy.profiles as p on p.user_id = m.user_id
                    where m.tenant_id = \(tenant) and m.role in ('owner', 'admin') and p.email <> ''
                    order by p.email
                    """)
                let data = data(of: alert)
                for address in people.rows.compactMap(\.["email"].string) {
                    // Who has no address that mail can go to hears of it in the console.
                    guard let message = try? text.message(to: address, data) else { continue }
                    try await transaction.run([
                        try outbox.insertion(of: message, kind: "usage_alert", lifetime: Self.lifetime)
                    ])
                }
            }
            try await transaction.query(
                """
                update tenancy.usage_alerts
                set told_at = now()
                where tenant_id = \(tenant) and period = \(alert["period"].string)::date
                    and metric = \(alert["metric"].string) and level = \(alert["level"].string)
                """)
            return true
        }
    }

    private static let lifetime: Duration = .seconds(3 * 86_400)

    private func data(of alert: PostgresRow) -> JSONObject {
        let (used, limit) = (alert["used"].int ?? 0, alert["allowed"].int ?? 0)
        let names = ["cost_cents": "cost in cents", "tokens": "tokens", "requests": "requests"]
        let metric = alert["metric"].string ?? ""
        return [
            "TenantName": .string(alert["name"].string ?? ""), "Plan": .string(alert["plan"].string ?? ""),
            "Metric": .string(names[metric] ?? metric), "Level": .string(alert["level"].string ?? ""),
            "Used": .string(String(used)), "Limit": .string(String(limit)),
            "Percent": .string(String(limit > 0 ? used * 100 / limit : 100)),
            "ResetAt": .string(alert["reset_at"].string ?? ""), "SiteURL": .string(siteURL),
        ]
    }
}
