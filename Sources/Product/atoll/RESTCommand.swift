// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Primitives
internal import REST
internal import Server

/// `atoll rest`
enum RESTCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        if invocation.has("example") {
            Output.write(StandaloneConfiguration.example, to: 1)
            return 0
        }
        let sources = StandaloneSources(path: try path(invocation))
        let configuration: StandaloneConfiguration
        do {
            configuration = try sources.configuration()
        } catch let error as StandaloneConfigurationError {
            throw CommandFailure(
                error.description, next: "correct it; `atoll rest --example` shows every key with its default")
        }
        let log = Log(level: configuration.logLevel == .debug ? .debug : .info, format: .text)
        defer { log.flush() }
        if invocation.has("ready") { return try ReadinessProbe(configuration).run() }
        let inspection = StandaloneInspection(sources, configuration, log: log)
        if invocation.has("dump-config") {
            Output.write(try Loop.runMain { _ in try await inspection.effective() }.text(), to: 1)
            return 0
        }
        if invocation.has("dump-schema") {
            Output.print(try Loop.runMain { _ in try await inspection.schema() })
            return 0
        }
        let server = StandaloneServer(sources, configuration, log: log)
        try Loop.runMain { _ in try await server.run() }
        return 0
    }

    /// The file, by flag or by place.
    private static func path(_ invocation: Invocation) throws(UsageError) -> String? {
        if let flag = invocation.value("config"), let word = invocation.argument(0), flag != word {
            throw UsageError(message: "two configuration files are named", next: "keep \(flag) or \(word)")
        }
        return invocation.value("config") ?? invocation.argument(0)
    }
}
