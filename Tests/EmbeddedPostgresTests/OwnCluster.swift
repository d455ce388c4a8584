// SPDX-License-Identifier: Apache-2.0
import EmbeddedPostgres
import Glibc
import Primitives
import Processes
import Synchronization
import TestSupport

/// A durable cluster of one test's own.
final class OwnCluster: Sendable {
    let folder: ClusterFolder
    let installation: PostgresInstallation
    let password = "secret-of-a-test"
    private let observer = Mutex<@Sendable (EmbeddedPostgresEvent) -> Void>({ _ in })

    init(path: String) throws {
        let owner = try ClusterFolder.serverOwner()
        folder = ClusterFolder(path: path, owner: owner)
        installation = try TestInstallation.find(owner: owner)
    }

    /// A server on the cluster, not started. Port 0 takes a free one.
    func server(port: Int = 0, overrides: [String: String] = [:]) throws -> EmbeddedPostgres {
        let settings = try ClusterSettings(
            machine: .init(memoryBytes: 1 << 30), installation: installation, overrides: overrides)
        var configuration = try EmbeddedPostgresConfiguration(
            installation: installation, folder: folder, superuserPassword: SecretString(password),
            port: port == 0 ? freePorts(1)[0] : port, settings: settings)
        configuration.observer = { [self] event in observer.withLock { $0 }(event) }
        return try EmbeddedPostgres(configuration)
    }

    /// From now on tells `body` of every event of the cluster's servers.
    func observe(_ body: @escaping @Sendable (EmbeddedPostgresEvent) -> Void) {
        observer.withLock { $0 = body }
    }

    func database(_ server: EmbeddedPostgres) throws -> TestDatabase {
        TestDatabase(
            name: "postgres", socketFolder: server.socketFolder, port: server.port, user: server.superuser,
            password: password,
            installation: installation)
    }
}

/// Lends a cluster whose folder is removed afterwards, with every process that still works in it.
func withCluster(_ body: (OwnCluster) async throws -> Void) async throws {
    let folder = try makeTemporaryFolder()
    let cluster = try OwnCluster(path: "\(folder)/postgres")
    do {
        try await body(cluster)
        try cleanUp(cluster, folder)
    } catch {
        try cleanUp(cluster, folder)
        throw error
    }
}

private func cleanUp(_ cluster: OwnCluster, _ folder: String) throws {
    for process in ProcessTable.processes(inFolder: cluster.folder.data) { kill(process, SIGKILL) }
    try FileSystem.remove(folder)
}

/// The events of a start, without the log's lines.
final class Steps: Sendable {
    private let events = Mutex<[EmbeddedPostgresEvent]>([])

    func append(_ event: EmbeddedPostgresEvent) { events.withLock { $0.append(event) } }

    var kinds: [String] {
        events.withLock { events in
            events.compactMap { event in
                switch event {
                case .initialising: "initialising"
                case .stoppingLeftover: "stoppingLeftover"
                case .starting: "starting"
                case .ready: "ready"
                case .crashed: "crashed"
                case .stopping: "stopping"
                case .stopped: "stopped"
                case .logged: nil
                }
            }
        }
    }
}
