// SPDX-License-Identifier: Apache-2.0
package import EventLoop
internal import HTTPClient
package import Postgres
internal import Primitives

/// Two real accounts of a running server, of whom one tries everything on what is the other's, over HTTP.
///
/// What it makes is committed, so it keeps to its own: no request of it can touch a row, file or point of anybody else's, even where
/// nothing protects them. The accounts and all that is theirs go at the end, after failures and interrupts too; what a run that was
/// killed has left is taken away by the next.
package struct HTTPProbe: Sendable {
    private let server: ProbeServer
    private let database: Database
    private let catalog: Catalog
    private let settings: LintSettings
    private let callsAllFunctions: Bool

    /// What it came to.
    package struct Outcome: Sendable {
        package var crossings: [Crossing]
        /// What the server does not serve, so that there was nothing to try.
        package var unserved: [String]
        /// What could not be taken away again, in words; empty as a rule.
        package var left: [String]
    }

    /// - Parameters:
    ///   - database: the server's, logged in as a superuser: makes rows, looks at what became of them, and removes them.
    ///   - callsAllFunctions: whether functions that write are called too. That is for databases without real tenants: what they
    ///     write is not undone.
    package init(
        _ server: ProbeServer, database: Database, catalog: Catalog, settings: LintSettings,
        callsAllFunctions: Bool = false
    ) {
        self.server = server
        self.database = database
        self.catalog = catalog
        self.settings = settings
        self.callsAllFunctions = callsAllFunctions
    }

    /// - Parameter quietFunctions: the ids of functions known to write nothing (``SQLProbe/Outcome/quietFunctions``).
    /// - Throws: ``ProbeError`` when the accounts cannot be made, ``ProbeInterrupted``, `HTTPClientError` when the server is gone,
    ///   `PostgresError`. Traces are removed before.
    package func run(
        quietFunctions: Set<Int>, on loop: Loop, progress: ProbeProgress = .silent
    ) async throws -> Outcome {
        let client = try server.client(on: loop)
        let result: Result<Outcome, any Error>
        do {
            result = .success(
                try await ProbeLock.held(database, on: loop) { isAlone in
                    try await run(client, quietFunctions, progress, isAlone: isAlone)
                })
        } catch { result = .failure(error) }
        await client.shutdown()
        return try result.get()
    }

    private func run(
        _ client: HTTPClient, _ quietFunctions: Set<Int>, _ progress: ProbeProgress, isAlone: Bool
    ) async throws -> Outcome {
        let accounts = ProbeAccounts(server: server, client: client, database: database)
        let traces = ProbeTraces(server: server, client: client, database: database, catalog: catalog)
        progress.begin("accounts")
        try await traces.removeAbandoned(isAlone: isAlone)
        var tenants: [ProbeTenant] = []
        let made = ProbeRows()
        let result: Result<HTTPProbeRun, any Error>
        do {
            let mine = try await accounts.make("probe-a")
            tenants.append(mine.tenant)
            let other = try await accounts.make("probe-b")
            tenants.append(other.tenant)
            var probe = HTTPProbeRun(
                server: server, client: client, database: database, catalog: catalog, settings: settings,
                progress: progress, mine: mine, other: other, made: made)
            probe.callableFunctions = callsAllFunctions ? nil : quietFunctions
            try await probe.run()
            result = .success(probe)
        } catch {
            result = .failure(error)
        }
        progress.begin("cleanup")
        // Also an account whose second half failed is found by its address.
        let left = try await traces.remove(tenants, made.rows)
        let probe = try result.get()
        return Outcome(crossings: probe.crossings, unserved: probe.unserved, left: left)
    }

    /// Takes away what probes have left that were killed, and nothing else.
    ///
    /// - Returns: what could not be taken away, in words.
    /// - Throws: ``ProbeError`` while another probe runs, `PostgresError`.
    package static func clean(
        _ server: ProbeServer, database: Database, catalog: Catalog, on loop: Loop
    ) async throws -> [String] {
        let client = try server.client(on: loop)
        let result: Result<[String], any Error>
        do {
            let traces = ProbeTraces(server: server, client: client, database: database, catalog: catalog)
            result = .success(
                try await ProbeLock.held(database, on: loop) { isAlone in
                    guard isAlone else { throw ProbeError(description: "another check runs") }
                    return try await traces.removeAbandoned(isAlone: true)
                })
        } catch { result = .failure(error) }
        await client.shutdown()
        return try result.get()
    }
}

/// Why a probe cannot be made.
package struct ProbeError: Error, CustomStringConvertible {
    package var description: String
}
