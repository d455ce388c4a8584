// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import Primitives

/// What a private cluster is made of and how it is run.
package struct EmbeddedPostgresConfiguration: Sendable {
    /// The programs.
    package var installation: PostgresInstallation
    /// Where the cluster lives, and as whom.
    package var folder: ClusterFolder
    /// The name of the superuser that `initdb` makes.
    package var superuser: String = "supabase_admin"
    /// That user's password. Used by `initdb` alone; an existing cluster keeps its own.
    package var superuserPassword: SecretString
    /// The TCP port, also part of the Unix socket's name.
    package var port: Int
    /// Numeric addresses to listen on; none for the Unix socket alone.
    package var listenAddresses: [String] = ["127.0.0.1"]
    /// The server's settings.
    package var settings: ClusterSettings
    /// How long the first start may go on without a word of the server's before it counts as failed. Of a recovery PostgreSQL tells
    /// every ten seconds, so that it may take as long as it needs.
    package var startTimeout: Duration = .seconds(120)
    /// How long a clean stop may take before it becomes a hard one.
    package var stopTimeout: Duration = .seconds(60)
    /// Told of everything that happens, on the supervisor's thread: it must not block.
    package var observer: @Sendable (EmbeddedPostgresEvent) -> Void = { _ in }

    package init(
        installation: PostgresInstallation, folder: ClusterFolder, superuserPassword: SecretString, port: Int,
        settings: ClusterSettings
    ) {
        self.installation = installation
        self.folder = folder
        self.superuserPassword = superuserPassword
        self.port = port
        self.settings = settings
    }
}

/// A private PostgreSQL server: made on first use, watched, started again when it crashes, stopped with Atoll.
///
/// A thread of its own does all of it, so neither loops nor the cooperative pool ever wait for a process. The server dies with
/// this process, even by `kill -9`: the kernel then sends it the signal for a fast shutdown.
package final class EmbeddedPostgres: Sendable {
    private let supervisor: Supervisor
    private let configuration: EmbeddedPostgresConfiguration

    package init(_ configuration: EmbeddedPostgresConfiguration) throws {
        self.configuration = configuration
        supervisor = try Supervisor(configuration)
    }

    /// The TCP port, also part of the Unix socket's name.
    package var port: Int { configuration.port }
    /// The folder of the Unix socket, for a connection's `host`.
    package var socketFolder: String { configuration.folder.socketFolder }
    /// The superuser's name.
    package var superuser: String { configuration.superuser }
    /// The server's process while one runs.
    package var processID: Int32? { supervisor.processID }

    /// Starts the server, making the cluster if there is none, and returns when it accepts connections.
    ///
    /// - Parameter progress: called with each step, on the supervisor's thread.
    /// - Throws: ``EmbeddedPostgresError``; then nothing runs.
    package func start(progress: @escaping @Sendable (EmbeddedPostgresEvent) -> Void = { _ in }) async throws {
        try supervisor.launch(progress: progress)
        try await withTaskCancellationHandler {
            try await supervisor.started.value()
        } onCancel: {
            supervisor.requestStop()
        }
    }

    /// Returns when the server has stopped for good: after ``requestStop()`` or when the task is cancelled.
    ///
    /// - Throws: ``EmbeddedPostgresError`` when it could not be stopped.
    package func run() async throws {
        try await withTaskCancellationHandler {
            try await supervisor.ended.value()
        } onCancel: {
            supervisor.requestStop()
        }
    }

    /// Asks the server to stop, from any thread and without waiting. Clients are disconnected, what they committed is kept.
    package func requestStop() { supervisor.requestStop() }

    /// Stops the server and returns when it has ended.
    package func stop() async throws {
        supervisor.requestStop()
        try await supervisor.ended.value()
    }

    /// ``start(progress:)`` for code outside tasks: blocks the thread.
    package func startBlocking(progress: @escaping @Sendable (EmbeddedPostgresEvent) -> Void = { _ in }) throws {
        try supervisor.launch(progress: progress)
        try supervisor.started.wait()
    }

    /// ``stop()`` for code outside tasks: blocks the thread.
    package func stopBlocking() throws {
        supervisor.requestStop()
        try supervisor.ended.wait()
    }
}
