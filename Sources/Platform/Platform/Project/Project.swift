// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// One application: its folder, what it is configured to be, and its secrets. A value that is passed along, never a global.
package struct Project: Sendable {
    package let location: ProjectFolder
    package let configuration: ProjectConfiguration
    package let secrets: ProjectSecrets
    /// What should be said about the configuration once the log exists.
    package let warnings: [ConfigurationDiagnostic]

    package init(
        location: ProjectFolder, configuration: ProjectConfiguration, secrets: ProjectSecrets,
        warnings: [ConfigurationDiagnostic] = []
    ) {
        self.location = location
        self.configuration = configuration
        self.secrets = secrets
        self.warnings = warnings
    }

    /// Opens the project that `workdir` is in and makes its secrets when it has none yet.
    ///
    /// - Throws: ``ConfigurationError`` or ``ProjectError``.
    package static func open(
        workdir: String, environment: ConfigurationEnvironment? = nil, overrides: [ProjectConfiguration.Override] = []
    ) throws -> Project {
        let location = try ProjectFolder.find(from: workdir)
        let loaded = try location.loadConfiguration(environment: environment, overrides: overrides)
        let stored = try StoredSecrets.loadOrCreate(in: location.stateFolder)
        return Project(
            location: location, configuration: loaded.configuration,
            secrets: try ProjectSecrets(stored, loaded.configuration), warnings: loaded.warnings)
    }

    /// The project's folder, absolute.
    package var folder: String { location.path }
    /// `<folder>/.atoll`, mode 0700.
    package var stateFolder: String { location.stateFolder }
    package var supabaseFolder: String { location.supabaseFolder }

    /// A path of the configuration: relative ones are below `supabase/`.
    package func path(_ configured: String) -> String {
        configured.hasPrefix("/") ? configured : "\(supabaseFolder)/\(configured)"
    }

    // MARK: Addresses

    /// The API's address as clients see it, without a slash at its end.
    package var apiURL: String {
        if let external = configuration.api.externalURL {
            return external.hasSuffix("/") ? String(external.dropLast()) : external
        }
        return localURL
    }

    /// The API's address on this machine, past whatever stands before it, without a slash at its end.
    package var localURL: String {
        let scheme = configuration.api.tls.enabled ? "https" : "http"
        return "\(scheme)://\(Self.reachable(configuration.atoll.host)):\(configuration.api.port)"
    }

    /// Auth's address as clients see it, which is also the issuer of its tokens where none is configured.
    package var authURL: String { configuration.auth.externalURL ?? "\(apiURL)/auth/v1" }

    /// The `iss` claim of access tokens.
    package var tokenIssuer: String { configuration.auth.jwtIssuer ?? authURL }

    /// The database's address for programs of the user's; it holds a password.
    package var databaseURL: SecretString {
        if let external = configuration.atoll.database.url { return external }
        let password = secrets.databasePassword(for: "postgres").reveal()
        let host = Self.reachable(configuration.atoll.postgres.listenAddresses.first ?? "127.0.0.1")
        return SecretString(
            "postgresql://postgres:\(Self.percentEncoded(password))@\(host):\(configuration.database.port)/postgres")
    }

    /// The address to reach a listening one at from this machine.
    private static func reachable(_ host: String) -> String {
        switch host {
        case "0.0.0.0": "127.0.0.1"
        case "::": "[::1]"
        default: host.contains(":") ? "[\(host)]" : host
        }
    }

    private static func percentEncoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { encoded, byte in
            let character = Character(Unicode.Scalar(byte))
            if character.isASCII, character.isLetter || character.isNumber || "-._~".contains(character) {
                encoded.append(character)
            } else {
                encoded += "%" + Hex.encode([byte]).uppercased()
            }
        }
    }
}
