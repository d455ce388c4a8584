// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
package import Postgres
internal import Primitives

/// Two tenants with rows in every table, of whom one tries everything on the other's, as requests would: as an API role, with
/// its claims set, through the policies.
///
/// All of it is one transaction that is rolled back. Nothing of it is seen by others, and nothing is left but the gaps that
/// sequences keep.
package struct SQLProbe: Sendable {
    private let database: Database
    private let catalog: Catalog
    private let settings: LintSettings
    /// How long a single attempt may run.
    private let statementTimeout: Duration

    /// - Parameter database: logged in as a superuser, or as a role that may become every API role and owns the schemas.
    package init(
        _ database: Database, catalog: Catalog, settings: LintSettings, statementTimeout: Duration = .seconds(5)
    ) {
        self.database = database
        self.catalog = catalog
        self.settings = settings
        self.statementTimeout = statementTimeout
    }

    /// - Throws: `PostgresError` where the probe itself cannot be set up, ``ProbeInterrupted``.
    package func run(progress: ProbeProgress = .silent) async throws -> Outcome {
        do {
            return try await database.withTransaction(statementTimeout: statementTimeout) { transaction in
                try await transaction.query("set local lock_timeout = '2s'")
                var attempt = SQLProbeRun(transaction, catalog: catalog, settings: settings, progress: progress)
                throw RolledBack(outcome: try await attempt.run())
            }
        } catch let end as RolledBack {
            return end.outcome
        }
    }

    package struct Outcome: Sendable {
        package var crossings: [Crossing]
        /// The functions that wrote nothing when they were called, by their ids.
        package var quietFunctions: Set<Int>
    }

    /// Ends the transaction so that nothing of it stays.
    private struct RolledBack: Error {
        let outcome: Outcome
    }
}
