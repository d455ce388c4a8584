// SPDX-License-Identifier: Apache-2.0
package import EventLoop
internal import Jobs
package import Postgres
package import Primitives

/// What Tenancy does beside requests: writes the configured bounds into the database, and removes tenants whose time is over.
///
/// A removal is a job that was queued when the tenant was deleted. Each of its steps can be done again, so that one that is cut short
/// goes on where it stopped.
package struct TenantRemoval: Sendable {
    private let database: Database
    private let log: Log

    /// - Parameter database: logs in as `atoll_tenancy`.
    package init(database: Database, log: Log) {
        self.database = database
        self.log = log.with(.field("service", "tenancy"))
    }

    /// Makes the bounds those of the configuration.
    package func keep(_ rules: TenancyRules) async throws {
        try await database.query(
            """
            update tenancy.rules
            set max_teams = \(rules.maxTeams)::integer, max_members = \(rules.maxMembers)::integer,
                max_invitations = \(rules.maxInvitations)::integer,
                invitation_seconds = \(rules.invitationLifetime.components.seconds)::bigint,
                invitation_pause_seconds = \(rules.invitationPause.components.seconds)::bigint,
                deletion_grace_seconds = \(rules.deletionGrace.components.seconds)::bigint,
                soft_limit_percent = \(rules.softLimitPercent)::integer, updated_at = now()
            """)
    }

    /// Removes tenants as they become due, until its task is cancelled.
    package func run(on loop: Loop, metrics: Metrics) async {
        var queue = JobQueue("tenant_removal")
        queue.concurrency = 1
        queue.lease = .seconds(900)
        await JobWorker(queue, database: database, loop: loop, log: log, metrics: metrics) { job in
            guard let tenant = UUID(job.payload) else { return .hopeless("the job names no tenant") }
            do {
                try await remove(tenant)
                return .done
            } catch {
                return .failed(String(describing: error))
            }
        }.run()
    }

    /// Objects that one statement removes: few enough to stay within the statement's time.
    private static let batch = 500

    /// Removes everything of a tenant that is due; nothing of one that was restored meanwhile.
    func remove(_ tenant: UUID) async throws {
        let state = try await state(of: tenant)
        guard state != "kept" else { return }
        var objects: Int64 = 0
        while true {
            let result = try await database.query(
                "select storage.remove_tenant(\(tenant), \(Self.batch)::integer) as removed")
            let removed = Int64(result.onlyRow?["removed"].int ?? 0)
            objects += removed
            if removed == 0 { break }
        }
        let rows = try await database.query("select tenancy.remove_project_rows(\(tenant)) as removed")
        if state == "due" { try await database.query("select tenancy.finish_removal(\(tenant))") }
        log.info(
            "tenant removed", .field("tenant", tenant), .field("objects", Int(objects)),
            .field("rows", rows.onlyRow?["removed"].int ?? 0))
    }

    private func state(of tenant: UUID) async throws -> String {
        let result = try await database.query("select tenancy.removal_state(\(tenant)) as state")
        return result.onlyRow?["state"].string ?? "kept"
    }
}
