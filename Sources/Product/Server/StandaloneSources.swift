// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Platform
package import Primitives
internal import Processes
package import REST
internal import Synchronization

/// Where `atoll rest` finds its configuration outside of the database; read anew at each reload.
package final class StandaloneSources: Sendable {
    /// The configuration file; nil for the environment alone.
    package let path: String?
    /// What standard input held: it can be read once.
    private let standardInput = Mutex<String?>(nil)
    private static let maxFileBytes = 1 << 20

    package init(path: String?) { self.path = path }

    /// - Parameters:
    ///   - database: what the database says.
    ///   - kept: the connection string of a server that runs.
    /// - Throws: ``StandaloneConfigurationError``.
    package func configuration(
        database: [String: String] = [:], databaseURI kept: SecretString? = nil
    ) throws -> StandaloneConfiguration {
        try StandaloneConfiguration(try sources(database), databaseURI: kept, readFile: read)
    }

    /// What the file and the environment name that is no setting.
    package func warnings() throws -> [String] { try sources([:]).warnings }

    private func sources(_ database: [String: String]) throws -> StandaloneConfiguration.Sources {
        var sources = StandaloneConfiguration.Sources()
        sources.database = database
        let environment = ConfigurationEnvironment.current.process
        sources.environment = environment
        if let path {
            sources.file = try ConfigurationFile(
                text: try read(path), variable: { environment[$0] }, load: read)
        }
        return sources
    }

    /// A pipe or a terminal, which has no size to begin with.
    private static func standardInputText() -> String? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count <= maxFileBytes {
            let count = Glibc.read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        return bytes.count > maxFileBytes ? nil : String(validating: bytes, as: UTF8.self)
    }

    private func read(_ path: String) throws -> String {
        let isStandardInput = path == "/dev/stdin"
        if isStandardInput, let known = standardInput.withLock({ $0 }) { return known }
        guard let text = isStandardInput ? Self.standardInputText() : FileSystem.read(path, maxBytes: Self.maxFileBytes)
        else {
            throw StandaloneConfigurationError("\(path): cannot be read, or is no text of at most 1 MiB")
        }
        if isStandardInput { standardInput.withLock { $0 = text } }
        return text
    }
}
