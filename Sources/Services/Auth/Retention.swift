// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Postgres
import Primitives

/// How long what is over is kept.
package struct RetentionConfiguration: Sendable {
    /// The pause between two passes; zero for none at all.
    package var interval: Duration = .seconds(900)
    /// Rows a statement removes, so that no pass holds locks or the connection for long.
    package var batch = 1000
    /// Sessions after their end, so that a client that comes late is told why.
    package var endedSessions: Duration = .seconds(86_400)
    /// Spent refresh tokens: as long, their reuse is noticed.
    package var spentTokens: Duration = .seconds(7 * 86_400)
    /// Codes, links, flows and challenges nobody came back for, beyond their own life.
    package var abandoned: Duration = .seconds(86_400)
    /// Entries of the audit log; zero for ever.
    package var auditLog: Duration = .seconds(90 * 86_400)

    package init() {}
}

/// Removing what is over, in bounded batches.
extension AuthService {
    /// The longest a code or link can be valid by configuration.
    private static let longestCodeLife: Duration = .seconds(604_800)

    /// Cleans up again and again until it is cancelled. A pass that fails is told in the log and the next one tries again.
    package func runRetention() async {
        guard let loop = Loop.current, configuration.retention.interval > .zero else { return }
        while !Task.isCancelled {
            do {
                try await loop.sleep(for: configuration.retention.interval)
                try await removeWhatIsOver()
            } catch is CancellationError {
                return
            } catch {
                log.error("auth clean-up failed", .field("cause", String(describing: error)))
            }
        }
    }

    /// One pass.
    ///
    /// - Returns: how many rows of each table went; those that go by a cascade are not counted.
    @discardableResult
    func removeWhatIsOver() async throws -> [String: Int] {
        var removed: [String: Int] = [:]
        for rule in retentionRules {
            var count: Int
            repeat {
                try Task.checkCancellation()
                let unit = WorkUnit(
                    statementTimeout: configuration.statementTimeout,
                    queries: [rule.removal(configuration.retention.batch)])
                count = try await database.run(unit).first?.affectedRows ?? 0
                removed[rule.table, default: 0] += count
            } while count == configuration.retention.batch
        }
        let total = removed.values.reduce(0, +)
        if total > 0 { log.info("auth clean-up", .field("rows", total)) }
        return removed
    }

    /// Which rows of a table are over.
    private struct RetentionRule {
        let table: String
        let condition: PostgresQuery

        /// By the rows' place instead of a key, as not every table has one column for it. A row somebody works on waits for
        /// the next pass; so do two servers not wait for each other.
        func removal(_ batch: Int) -> PostgresQuery {
            """
            delete from \(identifier: table, in: "auth")
            where ctid = any (array(
                select t.ctid from \(identifier: table, in: "auth") as t
                where \(condition)
                limit \(String(batch))::bigint
                for update skip locked
            ))
            """
        }
    }

    private var retentionRules: [RetentionRule] {
        let retention = configuration.retention
        let abandoned = Self.ago(retention.abandoned)
        let flows = Self.ago(retention.abandoned + configuration.flowStateLifetime)
        let codes = Self.ago(retention.abandoned + Self.longestCodeLife)
        let challenges = Self.ago(retention.abandoned + configuration.factors.challengeLifetime)
        var rules = [
            RetentionRule(table: "sessions", condition: "t.not_after < \(Self.ago(retention.endedSessions))"),
            // The parent of the current token stays: it is what a client still has that never got the answer.
            RetentionRule(
                table: "refresh_tokens",
                condition: """
                    t.revoked and t.updated_at < \(Self.ago(retention.spentTokens))
                    and not exists (
                        select from auth.refresh_tokens as child
                        where child.parent = t.token and not coalesce(child.revoked, false)
                    )
                    """),
            RetentionRule(table: "one_time_tokens", condition: "t.created_at at time zone 'utc' < \(codes)"),
            RetentionRule(table: "flow_state", condition: "t.created_at < \(flows)"),
            RetentionRule(table: "saml_relay_states", condition: "t.created_at < \(flows)"),
            RetentionRule(table: "oauth_client_states", condition: "t.created_at < \(flows)"),
            RetentionRule(table: "mfa_challenges", condition: "t.created_at < \(challenges)"),
            RetentionRule(table: "webauthn_challenges", condition: "t.expires_at < \(abandoned)"),
            RetentionRule(table: "mfa_used_codes", condition: "t.used_at < \(abandoned)"),
            RetentionRule(
                table: "mfa_factors", condition: "t.status = 'unverified' and t.created_at < \(challenges)"),
        ]
        if let timebox = configuration.sessionTimebox, timebox > .zero {
            rules.append(
                RetentionRule(
                    table: "sessions", condition: "t.created_at < \(Self.ago(timebox + retention.endedSessions))"))
        }
        if let timeout = configuration.sessionInactivityTimeout, timeout > .zero {
            rules.append(
                RetentionRule(
                    table: "sessions",
                    condition: """
                        coalesce(t.refreshed_at at time zone 'utc', t.created_at)
                        < \(Self.ago(timeout + retention.endedSessions))
                        """))
        }
        if retention.auditLog > .zero {
            rules.append(
                RetentionRule(table: "audit_log_entries", condition: "t.created_at < \(Self.ago(retention.auditLog))"))
        }
        return rules
    }

    private static func ago(_ duration: Duration) -> PostgresQuery {
        "now() - make_interval(secs => \(String(duration.components.seconds))::double precision)"
    }
}
