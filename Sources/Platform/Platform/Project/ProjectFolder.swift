// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Processes

/// Where a project lives: the folder with `supabase/` in it, or any folder, which then is a project of defaults.
package struct ProjectFolder: Sendable, Hashable {
    /// Absolute, without links.
    package let path: String

    package var supabaseFolder: String { "\(path)/supabase" }
    package var configurationFile: String { "\(supabaseFolder)/config.toml" }
    package var hasConfigurationFile: Bool { FileSystem.exists(configurationFile) }
    /// What Atoll keeps of its own: secrets, the database's cluster, the log. Never part of a repository.
    package var stateFolder: String { "\(path)/.atoll" }
    package var logFile: String { "\(stateFolder)/log" }
    package var processFile: String { "\(stateFolder)/atoll.pid" }
    package var name: String { path.split(separator: "/").last.map(String.init) ?? "atoll" }

    /// The project that `workdir` is in: the nearest folder upwards with a `supabase/config.toml`, else `workdir` itself.
    ///
    /// - Throws: ``ProjectError`` when `workdir` is no folder.
    package static func find(from workdir: String) throws(ProjectError) -> ProjectFolder {
        guard let start = FileSystem.realPath(workdir), FileSystem.attributes(start)?.isFolder == true else {
            throw ProjectError("there is no folder \(workdir)", next: "make it, or name another with --workdir")
        }
        var folder = start
        while true {
            let candidate = ProjectFolder(path: folder)
            if candidate.hasConfigurationFile { return candidate }
            guard let slash = folder.lastIndex(of: "/"), folder != "/" else { return ProjectFolder(path: start) }
            folder = slash == folder.startIndex ? "/" : String(folder[..<slash])
        }
    }

    /// The environment with the project's `.env` files: `supabase/.env.local`, `supabase/.env`, then both in the project's folder.
    package func environment(
        over process: ConfigurationEnvironment = .current
    ) -> ConfigurationEnvironment {
        var environment = process
        for name in ["supabase/.env.local", "supabase/.env", ".env.local", ".env"] {
            if let text = FileSystem.read("\(path)/\(name)", maxBytes: DotEnv.maxBytes) {
                environment.add(dotEnv: text, file: name)
            }
        }
        return environment
    }

    /// Reads the project's configuration; the defaults where it has no file.
    ///
    /// - Throws: ``ConfigurationError``, or ``ProjectError`` when the file cannot be read.
    package func loadConfiguration(
        environment: ConfigurationEnvironment? = nil, overrides: [ProjectConfiguration.Override] = []
    ) throws -> LoadedConfiguration {
        var toml: [UInt8] = []
        if hasConfigurationFile {
            guard let bytes = Self.bytes(of: configurationFile, maxBytes: ConfigurationNode.maxDocumentBytes + 1) else {
                throw ProjectError("cannot read \(configurationFile)", next: "check who may read it")
            }
            toml = bytes
        }
        let environment = environment ?? self.environment()
        var loaded = try ProjectConfiguration.load(
            toml: toml, file: "supabase/config.toml", environment: environment, overrides: overrides)
        loaded.warnings += environment.malformedLines.map { place in
            ConfigurationDiagnostic(
                severity: .warning, file: place, origin: .file(line: 0, column: 0), key: nil,
                message: "not NAME=value, ignored")
        }
        if loaded.configuration.projectID.isEmpty {
            loaded.configuration.projectID = String(
                name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "_" }.prefix(40))
        }
        return loaded
    }

    /// A file's bytes, also those that are no UTF-8; nil when it cannot be read.
    private static func bytes(of path: String, maxBytes: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while content.count < maxBytes {
            let count = read(descriptor, &chunk, min(chunk.count, maxBytes - content.count))
            guard count >= 0 else { return nil }
            if count == 0 { break }
            content.append(contentsOf: chunk.prefix(count))
        }
        return content
    }
}

/// Something about a project's folder that stops the work, and what to do about it.
package struct ProjectError: Error, Sendable, CustomStringConvertible {
    package let message: String
    /// What the user can do.
    package let next: String

    package init(_ message: String, next: String) {
        self.message = message
        self.next = next
    }

    package var description: String { "\(message); \(next)" }
}
