// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Platform
package import Primitives

extension StandaloneConfiguration {
    /// Where settings come from; of one that several name, what the database says counts, then the environment, then the file.
    package struct Sources: Sendable {
        /// `pgrst.*` of the database, without the prefix.
        package var database: [String: String] = [:]
        package var environment: [String: String] = [:]
        package var file = ConfigurationFile()

        package init() {}
    }

    /// Reads all keys.
    ///
    /// - Parameters:
    ///   - kept: the connection string of a server that runs already, which stays with it.
    ///   - readFile: the content of a file that a value names by `@path`.
    /// - Throws: ``StandaloneConfigurationError``, which names the key; what `readFile` throws.
    package init(
        _ sources: Sources, databaseURI kept: SecretString? = nil, readFile: (String) throws -> String
    ) throws {
        self.init()
        for key in Self.keys {
            guard var setting = sources.setting(of: key) else { continue }
            let mayBeFile = key.name == "jwt-secret" || key.name == "db-uri" && kept == nil
            if mayBeFile, setting.text.hasPrefix("@") {
                let content = try readFile(String(setting.text.dropFirst()))
                // A line's end is none of the value.
                setting = Setting(
                    name: key.name, value: .string(content.hasSuffix("\n") ? String(content.dropLast()) : content))
            }
            try key.read(&self, setting)
        }
        if let kept { databaseURI = kept }
        service.settings = try sources.applicationSettings()
        service.appliesRoleSettings = readsDatabase
        if let adminPort, adminPort == port, adminPort != 0, unixSocket == nil, adminUnixSocket == nil {
            throw StandaloneConfigurationError("admin-server-port cannot be the same as server-port")
        }
    }

    /// A text secret, or a JSON Web Key or set of them.
    static func secret(
        _ text: String, isBase64: Bool, _ setting: Setting
    ) throws(StandaloneConfigurationError) -> JWTSecret {
        var bytes = Array(text.utf8)
        if isBase64 {
            // Both alphabets, with dots for the padding, too.
            let standard = text.trimmingSpaces.replacing("-", with: "+").replacing("_", with: "/")
                .replacing(".", with: "=")
            guard let decoded = Base64.decode(String(standard)) else {
                throw setting.refusal("the secret is not base64")
            }
            bytes = decoded
        }
        if let json = try? JSON(parsing: bytes), json["kty"] != nil || json["keys"] != nil {
            do throws(CryptographyError) {
                return JWTSecret(text: SecretString(text), keys: try VerificationKeys(jwk: json))
            } catch {
                throw setting.refusal("the JSON Web Key, or one of the set, is not whole or of no kind that is known")
            }
        }
        guard bytes.count >= minSecretBytes else {
            throw setting.refusal("The JWT secret must be at least 32 characters long.")
        }
        return JWTSecret(text: SecretString(text), keys: VerificationKeys(sharedSecret: bytes))
    }

    /// All settings in force as a file has them, in the order of their names.
    ///
    /// - Parameter masksSecrets: leaves out what is secret: the connection string, the keys, and the application's settings.
    package func text(masksSecrets: Bool = false) -> String {
        let mask = "\"(secret)\""
        var lines = Self.keys.map { key in
            let isSecret = key.name == "jwt-secret" && jwtSecret != nil || key.name == "db-uri"
            return "\(key.name) = \(masksSecrets && isSecret ? mask : key.written(self))"
        }
        lines += service.settings.map { "\($0.name) = \(masksSecrets ? mask : Self.quoted($0.value))" }
        return lines.sorted().joined(separator: "\n") + "\n"
    }
}

extension StandaloneConfiguration.Sources {
    fileprivate func setting(of key: StandaloneConfiguration.Key) -> Setting? {
        if key.isInDatabase, let value = database[key.name.replacing("-", with: "_")] {
            return Setting(name: key.name, value: .string(value))
        }
        for name in [key.name] + key.aliases {
            if let value = environment["PGRST_" + name.uppercased().replacing("-", with: "_")] {
                return Setting(name: key.name, value: .string(value))
            }
            if let value = file.values[name] { return Setting(name: key.name, value: value) }
        }
        return nil
    }

    /// `app.settings.*`: PostgreSQL compares the names of settings without regard to case, so that those of the environment, in upper
    /// case, replace the file's.
    fileprivate func applicationSettings() throws(StandaloneConfigurationError) -> [(name: String, value: String)] {
        let prefix = "app.settings."
        let environmentPrefix = "PGRST_APP_SETTINGS_"
        var found: [String: (name: String, value: String)] = [:]
        for (name, value) in file.values where name.hasPrefix(prefix) {
            found[name.lowercased()] = (name, Setting(name: name, value: value).text)
        }
        for (variable, value) in environment where variable.hasPrefix(environmentPrefix) {
            let name = prefix + variable.dropFirst(environmentPrefix.count)
            found[name.lowercased()] = (name, value)
        }
        guard found.count <= StandaloneConfiguration.maxApplicationSettings else {
            throw StandaloneConfigurationError(
                "app.settings: there are more than \(StandaloneConfiguration.maxApplicationSettings)")
        }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    /// What names no key, each with what it may have meant. Such things are passed over, as PostgREST does it.
    package var warnings: [String] {
        let names = StandaloneConfiguration.keys.flatMap { [$0.name] + $0.aliases }
        func warning(_ name: String, shown: String) -> String? {
            if names.contains(name) || name.hasPrefix("app.settings.") { return nil }
            if let reason = StandaloneConfiguration.retiredKeys[name] { return "\(shown) has no effect: \(reason)" }
            let meant = suggestion(for: name, among: names).map { "; did you mean \($0)?" } ?? ""
            return "\(shown) is no setting and has no effect\(meant)"
        }
        let variables = environment.keys.filter { $0.hasPrefix("PGRST_") && !$0.hasPrefix("PGRST_APP_SETTINGS_") }
        return file.values.keys.sorted().compactMap { warning($0, shown: $0) }
            + variables.sorted().compactMap { variable in
                warning(variable.dropFirst(6).lowercased().replacing("_", with: "-"), shown: variable)
            }
    }
}
