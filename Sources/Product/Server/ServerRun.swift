// SPDX-License-Identifier: Apache-2.0
internal import Auth
internal import Cryptography
internal import EmbeddedPostgres
internal import EventLoop
internal import Glibc
internal import HTTP
package import Platform
internal import Postgres
package import Primitives

/// The composition root: starts PostgreSQL, makes the project's database ready, builds the services and serves.
///
/// Everything that lives long is started here and ends with ``run(ready:)``.
package struct ServerRun: Sendable {
    /// Where a running server answers.
    package struct Addresses: Sendable {
        /// The API's port.
        package var apiPort: Int
    }

    let project: Project
    let log: Log
    /// The latest events, for operators' pages.
    let logs: LogRing
    let metrics = Metrics()
    private let progress: @Sendable (String) -> Void

    /// - Parameter progress: told each step in a few words before it begins.
    package init(project: Project, log: Log, progress: @escaping @Sendable (String) -> Void = { _ in }) {
        self.project = project
        logs = LogRing()
        self.log = log.kept(in: logs)
        self.progress = progress
    }

    /// Serves until SIGTERM or SIGINT, then lets requests in hand finish and stops what it started. A second signal ends the
    /// process at once. Called on the first loop, before other threads that handle signals exist.
    ///
    /// - Parameter ready: called once the API answers.
    /// - Throws: what keeps the server from starting, fit to be shown to the operator.
    package func run(ready: @escaping @Sendable (Addresses) -> Void = { _ in }) async throws {
        guard let loop = Loop.current else { preconditionFailure("a server runs on a loop") }
        let stop = Gate()
        let signals = try SignalSource([SIGTERM, SIGINT], on: loop) { signal in
            if stop.isOpen { _exit(128 + signal) }
            log.info("stopping", .field("signal", Int(signal)))
            stop.open()
        }
        defer { signals.close(on: loop) }
        for warning in project.warnings { log.warning("configuration", .field("message", "\(warning)")) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { try await start(on: loop, ready) }
            group.addTask(executorPreference: loop) {
                await stop.wait()
                // Also where this task was cancelled: that is a stop like a signal's.
                stop.open()
                throw CancellationError()
            }
            do {
                try await group.next()
                stop.open()
                group.cancelAll()
            } catch is CancellationError where stop.isOpen {
                group.cancelAll()
            }
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
    }

    /// PostgreSQL first and last: everything else needs it.
    private func start(on loop: Loop, _ ready: @escaping @Sendable (Addresses) -> Void) async throws {
        guard let external = project.configuration.atoll.database.url else {
            let postgres = try embeddedPostgres()
            try await postgres.start { [progress] event in
                switch event {
                case .logged(let line): if let step = line.recoveryStep { progress("PostgreSQL recovers: \(step)") }
                default: progress("\(event)")
                }
            }
            do {
                try await serve(on: loop, DatabaseLogins(project, embedded: postgres), ready)
            } catch {
                try await postgres.stop()
                throw error
            }
            try await postgres.stop()
            return
        }
        let address = try PostgresAddress(url: external.reveal())
        try await serve(on: loop, DatabaseLogins(project, external: address), ready)
    }

    private func serve(
        on loop: Loop, _ logins: DatabaseLogins, _ ready: @escaping @Sendable (Addresses) -> Void
    ) async throws {
        let configuration = project.configuration.atoll
        let report = try await Bootstrap(bootstrapSettings, log: log, progress: progress).run(on: logins.administrator)
        if !report.projectMigrations.isEmpty {
            log.info("migrations applied", .field("count", report.projectMigrations.count))
        }
        let group = try LoopGroup(first: loop, count: loopCount)
        defer { group.stop() }
        let workers = try WorkerPool(
            threads: workerCount, maxQueued: configuration.maxQueuedWork, niceness: Self.workerNiceness)
        defer { workers.shutdown() }
        let services = try Services(
            project, logins, loops: group.loops, workers: workers, log: log, logs: logs,
            metrics: metrics)
        let observer = RequestObserver(
            log: log, metrics: metrics, trustsProxies: !configuration.trustedProxies.isEmpty)
        let server: HTTPServer
        do {
            server = try HTTPServer(
                httpConfiguration(), router: services.router, loops: group.loops,
                observe: { observer.observe($0) }, observeRefusal: { observer.observe($0) })
        } catch let error as SystemError where error.code == EADDRINUSE {
            let port = project.configuration.api.port
            throw ProjectError(
                "port \(port) is in use by another program",
                next: "stop that program, or set another `port` under [api] in supabase/config.toml")
        }
        let vectorsServer = try vectorsServer(services, group.loops, observer)
        try await services.prepare()
        await services.seeds?.run()
        progress("Listening on \(project.apiURL)")
        try await withThrowingTaskGroup(of: Void.self) { running in
            for task in services.longLived { running.addTask(executorPreference: loop) { try await task() } }
            if let vectorsServer { running.addTask(executorPreference: loop) { await vectorsServer.run() } }
            running.addTask(executorPreference: loop) {
                ready(Addresses(apiPort: Int(server.port)))
                log.info("ready", .field("url", project.apiURL))
                await server.run()
                throw CancellationError()
            }
            // The server ends when it is told to; anything else that ends takes it along.
            do { while try await running.next() != nil {} } catch is CancellationError {}
            running.cancelAll()
            vectorsServer?.stop()
            server.stop()
        }
        await services.shutdown()
    }

    /// Qdrant's API on the port where its clients look for it.
    private func vectorsServer(
        _ services: Services, _ loops: [Loop], _ observer: RequestObserver
    ) throws -> HTTPServer? {
        guard let router = services.vectorsRouter else { return nil }
        let port = project.configuration.atoll.vectors.port
        var configuration = try httpConfiguration()
        configuration.port = UInt16(port)
        do {
            return try HTTPServer(
                configuration, router: router, loops: loops, observe: { observer.observe($0) },
                observeRefusal: { observer.observe($0) })
        } catch let error as SystemError where error.code == EADDRINUSE {
            throw ProjectError(
                "port \(port) is in use by another program",
                next:
                    "stop that program, or set another `port` under [atoll.vectors] in supabase/config.toml (0 for none)"
            )
        }
    }

    // MARK: Derived values

    private var loopCount: Int {
        let configured = project.configuration.atoll.loops
        if configured > 0 { return configured }
        // An embedded PostgreSQL shares the processors with the loops.
        let isEmbedded = project.configuration.atoll.database.url == nil
        return max(1, isEmbedded ? processorCount - 1 : processorCount)
    }

    /// Hashing passwords fills every processor; loops and PostgreSQL go first.
    private static let workerNiceness: Int32 = 10

    private var workerCount: Int {
        let configured = project.configuration.atoll.workerThreads
        return configured > 0 ? configured : processorCount
    }

    private var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    private var bootstrapSettings: Bootstrap.Settings {
        var settings = Bootstrap.Settings(projectFolder: project.folder)
        let database = project.configuration.database
        if !database.migrations.enabled { settings.migrationsFolder = nil }
        settings.seedPatterns = database.seed.enabled ? database.seed.sqlPaths.map(seedPattern) : []
        for role in Bootstrap.loginRoles { settings.passwords[role] = project.secrets.databasePassword(for: role) }
        return settings
    }

    /// The configuration's patterns are relative to `supabase/`, those of the bootstrap to the project.
    private func seedPattern(_ configured: String) -> String {
        if configured.hasPrefix("/") { return configured }
        return "supabase/" + (configured.hasPrefix("./") ? configured.dropFirst(2) : configured[...])
    }

    private func embeddedPostgres() throws -> EmbeddedPostgres {
        let configured = project.configuration.atoll.postgres
        var embedded = try EmbeddedPostgresConfiguration.ofProject(
            folder: project.folder, stateFolder: project.stateFolder, port: project.configuration.database.port,
            superuserPassword: project.secrets.databasePassword(for: "supabase_admin"),
            installation: configured.programs, owner: configured.user, settings: project.configuration.database.settings
        )
        embedded.listenAddresses = configured.listenAddresses
        embedded.startTimeout = project.configuration.database.healthTimeout
        embedded.stopTimeout = configured.stopTimeout
        embedded.observer = { [log] event in event.write(to: log) }
        return try EmbeddedPostgres(embedded)
    }

    private func httpConfiguration() throws -> HTTPServerConfiguration {
        let atoll = project.configuration.atoll
        var http = HTTPServerConfiguration()
        http.host = atoll.host
        http.port = UInt16(project.configuration.api.port)
        http.backlog = atoll.http.backlog
        http.maxConnections = atoll.http.maxConnections
        http.maxRequestLineBytes = atoll.http.maxRequestLineBytes
        http.maxHeaderBytes = atoll.http.maxHeaderBytes
        http.maxFieldCount = atoll.http.maxFieldCount
        http.maxBodyBytes = atoll.http.maxBodyBytes
        http.maxUnsentBytes = atoll.http.maxUnsentBytes
        http.headerTimeout = atoll.http.headerTimeout
        http.bodyTimeout = atoll.http.bodyTimeout
        http.idleTimeout = atoll.http.idleTimeout
        http.writeTimeout = atoll.http.writeTimeout
        http.halfCloseGrace = atoll.http.halfCloseGrace
        http.lingerTimeout = atoll.http.lingerTimeout
        http.drainTimeout = atoll.http.drainTimeout
        let trust = try ProxyTrust(networks: atoll.trustedProxies)
        http.proxyTrust = trust.isEmpty ? nil : trust
        let tls = project.configuration.api.tls
        if tls.enabled {
            guard let certificate = tls.certificatePath, let key = tls.keyPath else {
                throw ProjectError(
                    "TLS is enabled without a certificate",
                    next: "set `cert_path` and `key_path` under [api.tls] in supabase/config.toml")
            }
            http.tls = TLSConfiguration(certificatePath: project.path(certificate), keyPath: project.path(key))
        }
        return http
    }
}
