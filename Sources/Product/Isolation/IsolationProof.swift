// SPDX-License-Identifier: Apache-2.0
package import EventLoop
package import Postgres

/// The whole check: lints, crossings by SQL, crossings over HTTP, and a report of them.
package struct IsolationProof: Sendable {
    private let database: Database
    private let settings: LintSettings
    private let server: ProbeServer?
    private let callsAllFunctions: Bool

    /// - Parameters:
    ///   - database: logged in as a superuser, with at least two connections where there is a server: one holds the lock by which
    ///     checks know of each other.
    ///   - server: which of that database is asked over HTTP; nil for SQL alone.
    ///   - callsAllFunctions: whether functions that write are called over HTTP too, for databases without real tenants.
    package init(
        _ database: Database, settings: LintSettings, server: ProbeServer? = nil, callsAllFunctions: Bool = false
    ) {
        self.database = database
        self.settings = settings
        self.server = server
        self.callsAllFunctions = callsAllFunctions
    }

    /// What the catalogue says; only reads.
    ///
    /// - Throws: `PostgresError`.
    package func inspect() async throws -> IsolationReport {
        IsolationReport(findings: Lint.run(on: try await CatalogReader(database).read(), settings), crossings: [])
    }

    /// Everything. What was made for it is gone afterwards, after errors too, or the report's notes say what is not.
    ///
    /// - Parameter loop: where the task runs.
    /// - Throws: ``ProbeInterrupted``, ``ProbeError``, `HTTPClientError` when the server is gone, `PostgresError`.
    package func run(on loop: Loop, progress: ProbeProgress = .silent) async throws -> IsolationReport {
        progress.begin("lints")
        let catalog = try await CatalogReader(database).read()
        let findings = Lint.run(on: catalog, settings)
        let sql = try await SQLProbe(database, catalog: catalog, settings: settings).run(progress: progress)
        guard let server else {
            return IsolationReport(
                findings: findings, crossings: sql.crossings,
                notes: [
                    "nothing was tried over HTTP; the server's address is taken from the running project or from --url"
                ],
                times: progress.times)
        }
        let probe = HTTPProbe(
            server, database: database, catalog: catalog, settings: settings, callsAllFunctions: callsAllFunctions)
        let http = try await probe.run(quietFunctions: sql.quietFunctions, on: loop, progress: progress)
        return IsolationReport(
            findings: findings, crossings: sql.crossings + http.crossings, unserved: http.unserved,
            notes: http.left.map { "could not be taken away: \($0)" }, times: progress.times)
    }
}
