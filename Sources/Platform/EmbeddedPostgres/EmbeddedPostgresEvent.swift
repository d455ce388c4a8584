// SPDX-License-Identifier: Apache-2.0
package import Primitives
package import Processes

/// What happens to the private server.
package enum EmbeddedPostgresEvent: Sendable, Hashable, CustomStringConvertible {
    /// A new cluster is made.
    case initialising(version: String, folder: String)
    /// A server that an earlier Atoll left behind is stopped first.
    case stoppingLeftover(process: Int32)
    case starting(version: String, port: Int)
    case ready(after: Duration)
    /// The server ended by itself; it is started again.
    case crashed(ExitStatus)
    case stopping
    case stopped
    /// A line of its log.
    case logged(ServerLogLine)

    package var description: String {
        switch self {
        case .initialising(let version, let folder): return "initialising PostgreSQL \(version) in \(folder)"
        case .stoppingLeftover(let process):
            return "stopping the PostgreSQL that an earlier run left behind (process \(process))"
        case .starting(let version, let port): return "starting PostgreSQL \(version) on port \(port)"
        case .ready(let after):
            let (seconds, attoseconds) = after.components
            return "PostgreSQL is ready after \(seconds * 1000 + attoseconds / 1_000_000_000_000_000) ms"
        case .crashed(let status): return "PostgreSQL ended with \(status); starting it again"
        case .stopping: return "stopping PostgreSQL"
        case .stopped: return "PostgreSQL has stopped"
        case .logged(let line): return line.text
        }
    }
}

extension EmbeddedPostgresEvent {
    /// Writes the event to a log: a crash and the server's own complaints stand out, its routine lines are for debugging.
    package func write(to log: Log) {
        switch self {
        case .crashed: log.error("postgres", .field("message", description))
        case .logged(let line):
            switch line.severity {
            case .routine: log.debug("postgres", .field("line", line.text))
            case .warning: log.warning("postgres", .field("line", line.text))
            case .severe: log.error("postgres", .field("line", line.text))
            }
        case .stoppingLeftover: log.warning("postgres", .field("message", description))
        case .initialising, .starting, .ready, .stopping, .stopped: log.info("postgres", .field("message", description))
        }
    }
}
