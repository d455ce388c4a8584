// SPDX-License-Identifier: Apache-2.0
import EmbeddedPostgres
import EventLoop
import Glibc
import Primitives
import Processes
import Synchronization
import TestSupport
import Testing

@testable import Postgres

/// A durable server of the test's own that crashes and restarts under load.
@Suite struct RestartTests {
    @Test func aCrashLosesNothingThatWasAcknowledged() async throws {
        try await withServer { server, configuration in
            try await Loop.withLoop { loop in
                let database = try Database(configuration, loops: [loop], log: .disabled)
                try await database.query("create table written (id int primary key)")
                let ledger = Ledger()
                let writers = (0..<4).map { _ in
                    loop.spawn {
                        while let id = ledger.next() {
                            do throws(PostgresError) {
                                try await database.query("insert into written values (\(id))")
                                ledger.acknowledge(id)
                            } catch {
                                if !error.isOutcomeUnknown { ledger.refuse(id) }
                                // What fails at once must not become a busy loop while the server is away.
                                try? await loop.sleep(for: .milliseconds(5))
                            }
                        }
                    }
                }
                try await eventually("rows are written") { ledger.acknowledged.count > 200 }
                let process = try #require(server.processID)
                kill(process, SIGKILL)
                let before = ledger.acknowledged.count
                try await eventually("rows are written again") { ledger.acknowledged.count > before + 200 }
                ledger.stop()
                for writer in writers { await writer.value }

                let rows = try await database.query("select id from written")
                let written = Set(rows.rows.compactMap { $0[0].int })
                #expect(ledger.acknowledged.subtracting(written).isEmpty)
                #expect(ledger.refused.intersection(written).isEmpty)
                await database.shutdown()
            }
        }
    }

    @Test func aListenerAndAPoolOutliveARestart() async throws {
        try await withServer { server, configuration in
            try await Loop.withLoop { loop in
                let database = try Database(configuration, loops: [loop], log: .disabled)
                let events = database.notifications(on: "jobs").makeAsyncIterator()
                #expect(await events.next() == .gap)
                let started = try await database.query("select pg_postmaster_start_time()")[0][0]
                let process = try #require(server.processID)
                kill(process, SIGINT)
                #expect(await events.next() == .gap)
                try await eventually("the database answers") {
                    try await database.query("select pg_postmaster_start_time()")[0][0] != started
                }
                try await database.query("select pg_notify('jobs', 'after')")
                guard case .message("after", _) = await events.next() else {
                    Issue.record("the notification after the restart is missing")
                    return
                }
                await database.shutdown()
            }
        }
    }

    /// Lends a supervised server; what runs in its folder afterwards is ended and the folder removed.
    private func withServer(
        _ body: @Sendable (EmbeddedPostgres, DatabaseConfiguration) async throws -> Void
    ) async throws {
        let path = "/tmp/atoll-restart-\(getpid())-\(UUID.random())"
        let owner = try ClusterFolder.serverOwner()
        let installation = try TestInstallation.find(owner: owner)
        let folder = ClusterFolder(path: path, owner: owner)
        let settings = try ClusterSettings(
            machine: .init(memoryBytes: 1 << 30), installation: installation, overrides: [:])
        let server = try EmbeddedPostgres(
            EmbeddedPostgresConfiguration(
                installation: installation, folder: folder, superuserPassword: SecretString("restart"),
                port: freePorts(1)[0], settings: settings))
        var configuration = DatabaseConfiguration(
            address: PostgresAddress(
                host: server.socketFolder, port: server.port, user: server.superuser,
                password: SecretString("restart"), database: "postgres"))
        configuration.minReconnectDelay = .milliseconds(10)
        configuration.maxReconnectDelay = .milliseconds(200)
        configuration.waitTimeout = .seconds(20)
        let outcome: Result<Void, any Error>
        do {
            try await server.start()
            try await body(server, configuration)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await server.stop()
        for process in ProcessTable.processes(inFolder: folder.data) { kill(process, SIGKILL) }
        try FileSystem.remove(path)
        try outcome.get()
    }
}

/// Which rows the writers were told are there, and which certainly are not.
private final class Ledger: Sendable {
    private struct State {
        var last = 0
        var isStopped = false
        var acknowledged: Set<Int> = []
        var refused: Set<Int> = []
    }

    private let state = Mutex(State())

    func next() -> Int? {
        state.withLock { state in
            state.last += 1
            return state.isStopped ? nil : state.last
        }
    }

    func acknowledge(_ id: Int) { state.withLock { _ = $0.acknowledged.insert(id) } }
    func refuse(_ id: Int) { state.withLock { _ = $0.refused.insert(id) } }
    func stop() { state.withLock { $0.isStopped = true } }
    var acknowledged: Set<Int> { state.withLock { $0.acknowledged } }
    var refused: Set<Int> { state.withLock { $0.refused } }
}
