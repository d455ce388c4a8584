// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc
internal import HTTP
internal import Platform
internal import Postgres
package import Primitives
package import REST
internal import Synchronization

/// `atoll rest`: PostgREST's protocol and configuration over any PostgreSQL from 15 on, without a project, an embedded PostgreSQL or Auth.
///
/// Everything that lives long is started here and ends with ``run(ready:)``.
package struct StandaloneServer: Sendable {
    /// What is read anew, by whom it was asked.
    private enum Reload: Sendable {
        case schema
        case configuration
    }

    private let sources: StandaloneSources
    private let configuration: StandaloneConfiguration
    private let log: Log
    private let metrics = Metrics()

    /// - Parameters:
    ///   - sources: where reloads look.
    ///   - configuration: what they say now.
    package init(_ sources: StandaloneSources, _ configuration: StandaloneConfiguration, log: Log) {
        self.sources = sources
        self.configuration = configuration
        self.log = log
    }

    /// Serves until SIGTERM or SIGINT; SIGUSR1 reads the schema anew, SIGUSR2 the configuration. Called on the first loop, before other
    /// threads that handle signals exist.
    ///
    /// - Parameter ready: called with the place that is listened at, once requests are taken.
    /// - Throws: what keeps the server from going on, fit to be shown to the operator.
    package func run(ready: @escaping @Sendable (String) -> Void = { _ in }) async throws {
        guard let loop = Loop.current else { preconditionFailure("a server runs on a loop") }
        let stop = Gate()
        let (reloads, asked) = AsyncStream.makeStream(of: Reload.self, bufferingPolicy: .bufferingNewest(8))
        let signals = try SignalSource([SIGTERM, SIGINT, SIGUSR1, SIGUSR2], on: loop) { signal in
            switch signal {
            case SIGUSR1: asked.yield(.schema)
            case SIGUSR2: asked.yield(.configuration)
            default:
                if stop.isOpen { _exit(128 + signal) }
                log.info("stopping", .field("signal", Int(signal)))
                stop.open()
            }
        }
        defer { signals.close(on: loop) }
        for warning in (try? sources.warnings()) ?? [] { log.warning("configuration", .field("message", warning)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) {
                try await serve(on: loop, reloads, ask: { asked.yield($0) }, ready)
            }
            group.addTask(executorPreference: loop) {
                await stop.wait()
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

    private func serve(
        on loop: Loop, _ reloads: AsyncStream<Reload>, ask: @escaping @Sendable (Reload) -> Void,
        _ ready: @escaping @Sendable (String) -> Void
    ) async throws {
        let loopCount = min(
            configuration.threads > 0 ? configuration.threads : max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
            configuration.poolSize)
        let group = try LoopGroup(first: loop, count: loopCount)
        defer { group.stop() }
        let loss = Loss()
        var settings = try configuration.database(loops: loopCount, version: ServerVersion.current)
        settings.onConnectionFailure = { loss.happened($0) }
        let database = try Database(settings, loops: group.loops, log: log, metrics: metrics, name: "requests")
        let accessLog = LogWriter(descriptor: STDOUT_FILENO)
        let rest = StandaloneREST(configuration, metrics: metrics, log: log, accessLog: accessLog) {
            // With a channel the listener notices that the database is back; without, this does.
            if !configuration.isChannelEnabled { ask(.schema) }
        }
        let schema = StandaloneSchema(rest, database: database, sources: sources, metrics: metrics, log: log)
        let mainIsUp = Flag()
        let main = try StandaloneListening(main: configuration)
        let admin = try adminServer(
            StandaloneAdmin(
                rest: rest, schema: schema, database: database, metrics: metrics,
                isMainUp: { mainIsUp.isSet && main.isThere }), on: loop)

        try await withThrowingTaskGroup(of: Void.self) { running in
            if let admin {
                running.addTask(executorPreference: loop) {
                    await admin.run()
                    throw CancellationError()
                }
            }
            running.addTask(executorPreference: loop) {
                try await schema.load()
                for await reload in reloads {
                    switch reload {
                    case .schema: try await schema.load()
                    case .configuration: await schema.reloadConfiguration()
                    }
                }
            }
            if configuration.isChannelEnabled {
                running.addTask(executorPreference: loop) {
                    await listen(on: database, ask)
                }
            }
            if !configuration.recoversAutomatically {
                running.addTask(executorPreference: loop) {
                    await loss.gate.wait()
                    guard let error = loss.error else { return }
                    throw ProjectError(
                        "the database is lost: \(error.description)",
                        next: "db-pool-automatic-recovery is false, so start it again")
                }
            }
            running.addTask(executorPreference: loop) {
                // Before the schema is known, or is known not to be there, requests had better wait in the kernel.
                await schema.tried.wait()
                if Task.isCancelled { return }
                var http = main.configuration
                http.maxBodyBytes = configuration.service.maxBodyBytes
                let server = try main.server(
                    http, router: rest.router(maxBodyBytes: configuration.service.maxBodyBytes), loops: group.loops)
                let place = main.place(port: server.port)
                log.info("listening", .field("address", place))
                mainIsUp.isSet = true
                ready(place)
                await server.run()
                mainIsUp.isSet = false
                throw CancellationError()
            }
            var failure: (any Error)?
            do { while try await running.next() != nil {} } catch { failure = error }
            running.cancelAll()
            admin?.stop()
            while await running.nextResult() != nil {}
            if let failure, !(failure is CancellationError) {
                await database.shutdown(grace: .seconds(1))
                accessLog.flush(timeout: .seconds(2))
                throw failure
            }
        }
        main.removeSocket()
        await database.shutdown()
        accessLog.flush(timeout: .seconds(2))
    }

    /// Hands on what is asked for on the channel, until the task is cancelled or the database is shut down.
    private func listen(on database: Database, _ ask: @Sendable (Reload) -> Void) async {
        var isFirst = true
        for await event in database.notifications(on: configuration.channel) {
            switch event {
            case .gap:
                // The first is the beginning, and the schema is being read anyway.
                if !isFirst { ask(.schema) }
                isFirst = false
            case .message("", _), .message("reload schema", _): ask(.schema)
            case .message("reload config", _): ask(.configuration)
            case .message: break
            }
        }
    }

    private func adminServer(_ admin: StandaloneAdmin, on loop: Loop) throws -> HTTPServer? {
        guard let listening = try StandaloneListening(admin: configuration) else { return nil }
        let server = try listening.server(listening.configuration, router: admin.router, loops: [loop])
        log.info("admin server listening", .field("address", listening.place(port: server.port)))
        return server
    }
}

/// The connection that was lost first.
private final class Loss: Sendable {
    let gate = Gate()
    private let first = Mutex<PostgresError?>(nil)

    var error: PostgresError? { first.withLock { $0 } }

    func happened(_ error: PostgresError) {
        first.withLock { $0 = $0 ?? error }
        gate.open()
    }
}

/// Whether something is so.
private final class Flag: Sendable {
    private let value = Mutex(false)

    var isSet: Bool {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
