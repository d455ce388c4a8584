// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// A configuration and what should be said about it.
package struct LoadedConfiguration: Sendable {
    package var configuration: ProjectConfiguration
    package var warnings: [ConfigurationDiagnostic]
}

extension ProjectConfiguration {
    /// A key set on the command line: `--set auth.jwt_expiry=600`, or a flag of its own.
    package struct Override: Sendable {
        /// The dotted key.
        package var key: String
        package var value: String
        /// The flag, for messages.
        package var flag: String

        package init(key: String, value: String, flag: String) {
            self.key = key
            self.value = value
            self.flag = flag
        }
    }

    /// Reads a configuration. What the command line says counts most, then the environment, then the `.env` files, then the file.
    ///
    /// - Parameters:
    ///   - toml: the file's bytes; empty for the defaults.
    ///   - file: its name in messages.
    /// - Throws: ``ConfigurationError`` with every error and warning.
    package static func load(
        toml: [UInt8], file: String, environment: ConfigurationEnvironment = ConfigurationEnvironment(process: [:]),
        overrides: [Override] = []
    ) throws(ConfigurationError) -> LoadedConfiguration {
        var tree: ConfigurationNode
        do {
            tree = try ConfigurationNode(toml: toml, file: file)
        } catch {
            throw ConfigurationError(diagnostics: [error])
        }
        applyVariables(of: environment, to: &tree)
        for item in overrides {
            tree.set(
                item.key.split(separator: ".").map(String.init)[...],
                to: ConfigurationNode(value: .text(item.value), origin: .option(item.flag), isLoose: true))
        }

        var reader = ConfigurationReader(file: file, environment: { environment[$0] })
        var configuration = ProjectConfiguration()
        reader.read(tree, into: &configuration)
        let diagnostics =
            reader.diagnostics + unknownVariables(of: environment, file: file)
            + configuration.inconsistencies(in: tree, file: file)
        guard !diagnostics.contains(where: { $0.severity == .error }) else {
            throw ConfigurationError(diagnostics: diagnostics)
        }
        return LoadedConfiguration(configuration: configuration, warnings: diagnostics)
    }

    private static func applyVariables(of environment: ConfigurationEnvironment, to tree: inout ConfigurationNode) {
        for entry in ConfigurationReference.entries
        where entry.type != nil && !entry.path.contains(where: isPlaceholder) {
            for name in [entry.overridingVariable] + entry.variables {
                // In an `.env` file DATABASE_URL is made for the programs that connect to this project's database.
                let value = name == "DATABASE_URL" ? environment.process[name] : environment[name]
                guard let value, !value.isEmpty else { continue }
                tree.set(
                    entry.path[...],
                    to: ConfigurationNode(value: .text(value), origin: .environment(name), isLoose: true))
                break
            }
        }
    }

    private static func isPlaceholder(_ part: String) -> Bool { part.hasPrefix("<") || part.hasPrefix("[") }

    /// A mistyped `ATOLL_...` would otherwise change nothing without a word.
    private static func unknownVariables(
        of environment: ConfigurationEnvironment, file: String
    ) -> [ConfigurationDiagnostic] {
        let known = ConfigurationReference.entries.flatMap { [$0.overridingVariable] + $0.variables }
            .filter { $0.hasPrefix("ATOLL_") }
        return environment.process.keys.sorted().compactMap { name in
            guard name.hasPrefix("ATOLL_"), !known.contains(name), let meant = suggestion(for: name, among: known)
            else {
                return nil
            }
            return ConfigurationDiagnostic(
                severity: .warning, file: file, origin: .environment(name), key: nil,
                message: "no such key; did you mean `\(meant)`?")
        }
    }

    /// What single keys cannot tell.
    private func inconsistencies(in tree: ConfigurationNode, file: String) -> [ConfigurationDiagnostic] {
        func remark(
            _ severity: ConfigurationDiagnostic.Severity, _ key: String, _ message: String
        ) -> ConfigurationDiagnostic {
            var node: ConfigurationNode? = tree
            for part in key.split(separator: ".") { node = node?[String(part)] }
            return ConfigurationDiagnostic(
                severity: severity, file: file, origin: node?.origin ?? .file(line: 0, column: 0), key: key,
                message: message)
        }
        var remarks: [ConfigurationDiagnostic] = []
        if api.tls.enabled {
            if api.tls.certificatePath == nil {
                remarks.append(remark(.error, "api.tls.cert_path", "needed while api.tls.enabled is true"))
            }
            if api.tls.keyPath == nil {
                remarks.append(remark(.error, "api.tls.key_path", "needed while api.tls.enabled is true"))
            }
        }
        if atoll.database.url == nil, api.port == database.port {
            remarks.append(remark(.error, "db.port", "the same port as api.port, \(api.port)"))
        }
        if let smtp = auth.email.smtp, smtp.enabled {
            if smtp.host.isEmpty {
                remarks.append(remark(.error, "auth.email.smtp.host", "needed while auth.email.smtp is enabled"))
            }
            if !smtp.adminEmail.contains("@") {
                remarks.append(
                    remark(
                        .error, "auth.email.smtp.admin_email",
                        "needed while auth.email.smtp is enabled: the sender's address"))
            }
        }
        if atoll.database.minReconnectDelay > atoll.database.maxReconnectDelay {
            remarks.append(remark(.error, "atoll.database.min_reconnect_delay", "longer than max_reconnect_delay"))
        }
        for (index, key) in atoll.previousEncryptionKeys.enumerated() where EncryptionKey.bytes(key.reveal()) == nil {
            remarks.append(
                remark(
                    .error, "atoll.previous_encryption_keys",
                    "expected 32 characters, or 32 bytes in base64 or hexadecimal, at position \(index + 1)"))
        }
        if let secret = auth.jwtSecret, secret.bytes.count < 32 {
            remarks.append(
                remark(
                    .warning, "auth.jwt_secret", "shorter than 32 bytes, which HS256 asks for (RFC 7518, section 3.2)"))
        }
        if auth.jwtSecret?.matches(Self.publishedSecret) == true {
            remarks.append(
                remark(
                    .warning, "auth.jwt_secret",
                    "everyone knows this secret of the Supabase CLI's documentation, so anyone can sign tokens with it")
            )
        }
        return remarks
    }

    /// What the Supabase CLI signs with on a developer's machine.
    private static let publishedSecret = "super-secret-jwt-token-with-at-least-32-characters-long"
}
