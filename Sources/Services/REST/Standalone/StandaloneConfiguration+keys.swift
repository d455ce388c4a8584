// SPDX-License-Identifier: Apache-2.0
internal import Primitives

extension StandaloneConfiguration {
    /// A key: its names, where it may stand, how it is read and written.
    package struct Key: Sendable {
        typealias Read = @Sendable (inout StandaloneConfiguration, Setting) throws -> Void

        /// As in a file; upper-case with `PGRST_` and underscores in the environment.
        package let name: String
        /// Older or other names that mean the same.
        package let aliases: [String]
        /// Whether the database may say it: as `pgrst.` and the name with underscores.
        package let isInDatabase: Bool
        /// Whether a reload of the configuration changes it in a running server.
        package let isReloadable: Bool
        let read: Read
        /// The value as a file has it.
        let written: @Sendable (StandaloneConfiguration) -> String

        package var environmentName: String { "PGRST_" + name.uppercased().replacing("-", with: "_") }
        package var databaseName: String { "pgrst." + name.replacing("-", with: "_") }

        /// One that may stand everywhere and is reloaded.
        static func everywhere(
            _ name: String, _ aliases: [String] = [], written: @escaping @Sendable (StandaloneConfiguration) -> String,
            read: @escaping Read
        ) -> Key {
            Key(
                name: name, aliases: aliases, isInDatabase: true, isReloadable: true, read: read, written: written)
        }

        /// One of the process alone.
        static func process(
            _ name: String, _ aliases: [String] = [], isInDatabase: Bool = false, isReloadable: Bool = false,
            written: @escaping @Sendable (StandaloneConfiguration) -> String, read: @escaping Read
        ) -> Key {
            Key(
                name: name, aliases: aliases, isInDatabase: isInDatabase, isReloadable: isReloadable, read: read,
                written: written)
        }
    }

    /// All keys but `app.settings.*`, in the order they are read. The one table of them.
    package static let keys: [Key] = databaseKeys + identityKeys + serverKeys

    private static let databaseKeys: [Key] = [
        .everywhere("db-aggregates-enabled", ["db-aggregates"], written: { "\($0.service.allowsAggregates)" }) {
            if let value = try $1.boolean() { $0.service.allowsAggregates = value }
        },
        .everywhere("db-anon-role", written: { quoted($0.anonymousRole) }) { $0.anonymousRole = $1.nonEmpty },
        .process("db-channel", written: { quoted($0.channel) }) {
            if let value = $1.nonEmpty { $0.channel = value }
            if $0.channel.utf8.count > 63 { throw $1.refusal("a channel's name has at most 63 bytes") }
        },
        .process("db-channel-enabled", written: { "\($0.isChannelEnabled)" }) {
            if let value = try $1.boolean() { $0.isChannelEnabled = value }
        },
        .process("db-config", written: { "\($0.readsDatabase)" }) {
            if let value = try $1.boolean() { $0.readsDatabase = value }
        },
        .everywhere("db-extra-search-path", written: { quoted($0.service.extraSearchPath.joined(separator: ",")) }) {
            $0.service.extraSearchPath = $1.text.isEmpty ? [] : $1.items
        },
        .everywhere("db-hoisted-tx-settings", written: { quoted($0.service.hoistedSettings.joined(separator: ",")) }) {
            if $1.nonEmpty != nil { $0.service.hoistedSettings = $1.items.map { $0.lowercased() } }
        },
        .everywhere("db-max-rows", ["max-rows"], written: { $0.service.maxRows.map { "\($0)" } ?? "\"\"" }) {
            if let value = try $1.integer(in: anyCount) { $0.service.maxRows = value }
        },
        .everywhere("db-plan-enabled", written: { "\($0.service.showsPlans)" }) {
            if let value = try $1.boolean() { $0.service.showsPlans = value }
        },
        .process("db-pool", ["db-pool-size"], written: { "\($0.poolSize)" }) {
            if let value = try $1.integer(in: 1...10_000) { $0.poolSize = value }
        },
        .process("db-pool-acquisition-timeout", written: { seconds($0.poolWait) }) {
            if let value = try $1.integer(in: 1...86_400) { $0.poolWait = .seconds(value) }
        },
        .process("db-pool-automatic-recovery", isReloadable: true, written: { "\($0.recoversAutomatically)" }) {
            if let value = try $1.boolean() { $0.recoversAutomatically = value }
        },
        .process("db-pool-max-idletime", ["db-pool-timeout"], written: { seconds($0.maxConnectionIdleTime) }) {
            if let value = try $1.integer(in: anyCount) { $0.maxConnectionIdleTime = .seconds(value) }
        },
        .process("db-pool-max-lifetime", written: { seconds($0.maxConnectionAge) }) {
            if let value = try $1.integer(in: anyCount) { $0.maxConnectionAge = .seconds(value) }
        },
        .everywhere("db-pre-config", written: { quoted($0.preConfigFunction) }) { $0.preConfigFunction = $1.nonEmpty },
        .everywhere("db-pre-request", ["pre-request"], written: { quoted($0.service.preRequest) }) {
            $0.service.preRequest = $1.nonEmpty
        },
        .process("db-prepared-statements", isInDatabase: true, written: { "\($0.preparesStatements)" }) {
            if let value = try $1.boolean() { $0.preparesStatements = value }
        },
        .everywhere("db-root-spec", ["root-spec"], written: { quoted($0.service.rootFunction) }) {
            $0.service.rootFunction = $1.nonEmpty
        },
        .everywhere("db-schemas", ["db-schema"], written: { quoted($0.service.schemas.joined(separator: ",")) }) {
            guard $1.nonEmpty != nil else { return }
            $0.service.schemas = $1.items
            for schema in $1.items where schema.isEmpty || ["pg_catalog", "information_schema"].contains(schema) {
                throw $1.refusal("db-schemas does not allow schema: '\(schema)'")
            }
        },
        .everywhere("db-timezone-enabled", written: { "\($0.service.takesTimezones)" }) {
            if let value = try $1.boolean() { $0.service.takesTimezones = value }
        },
        .everywhere("db-tx-end", written: { name(of: $0.service.transactionEnd, in: transactionEnds) }) {
            if let value = try $1.choice(transactionEnds, "Invalid transaction termination.") {
                $0.service.transactionEnd = value
            }
        },
        .process("db-uri", written: { quoted($0.databaseURI.reveal()) }) {
            if let value = $1.nonEmpty { $0.databaseURI = SecretString(value) }
        },
    ]

    private static let identityKeys: [Key] = [
        .everywhere("jwt-aud", ["jwt-audience"], written: { quoted($0.audience) }) {
            // RFC 7519 section 2: a value with a colon in it is a URI.
            if $1.text.contains(":"), !URIForm.isURI($1.text) {
                throw $1.refusal("jwt-aud should be a string or a valid URI")
            }
            $0.audience = $1.nonEmpty
        },
        .everywhere("jwt-cache-max-entries", written: { "\($0.tokenCacheEntries)" }) {
            if let value = try $1.integer(in: 0...10_000_000) { $0.tokenCacheEntries = value }
        },
        .everywhere("jwt-role-claim-key", ["role-claim-key"], written: { quoted($0.roleClaim.description) }) {
            guard let value = $1.nonEmpty else { return }
            guard let path = ClaimPath(value) else {
                throw $1.refusal("failed to parse role-claim-key value (\(value))")
            }
            $0.roleClaim = path
        },
        // Before jwt-secret, for it says how to read that.
        .everywhere("jwt-secret-is-base64", ["secret-is-base64"], written: { "\($0.isJWTSecretBase64)" }) {
            if let value = try $1.boolean() { $0.isJWTSecretBase64 = value }
        },
        .everywhere("jwt-secret", written: { quoted($0.jwtSecret?.text.reveal()) }) {
            $0.jwtSecret = try $1.nonEmpty.map { [isBase64 = $0.isJWTSecretBase64, setting = $1] value in
                try secret(value, isBase64: isBase64, setting)
            }
        },
    ]

    private static let serverKeys: [Key] = [
        .process("admin-server-host", written: { quoted($0.adminHost ?? $0.host) }) { $0.adminHost = $1.nonEmpty },
        .process("admin-server-port", written: { $0.adminPort.map { "\($0)" } ?? "\"\"" }) {
            if let value = try $1.integer(in: 0...65_535) { $0.adminPort = UInt16(value) }
        },
        .process("admin-server-unix-socket", written: { quoted($0.adminUnixSocket) }) {
            $0.adminUnixSocket = $1.nonEmpty
        },
        .process("admin-server-unix-socket-mode", written: { quoted(String($0.adminUnixSocketMode, radix: 8)) }) {
            if let value = try $1.fileMode() { $0.adminUnixSocketMode = value }
        },
        .everywhere("client-error-verbosity", written: { name(of: $0.service.showsErrorDetails, in: verbosities) }) {
            if let value = try $1.choice(verbosities, "Invalid client-error-verbosity. Check your configuration.") {
                $0.service.showsErrorDetails = value
            }
        },
        .process("log-level", isReloadable: true, written: { quoted($0.logLevel.rawValue) }) {
            let levels = LogLevel.allCases.map { ($0.rawValue, $0) }
            if let value = try $1.choice(levels, "Invalid logging level. Check your configuration.") {
                $0.logLevel = value
            }
        },
        .process("log-query", isReloadable: true, written: { "\($0.logsQueries)" }) {
            // The word that a former form of the key had.
            if $1.text == "disabled" { return }
            if let value = try $1.boolean() { $0.logsQueries = value }
        },
        .everywhere("openapi-mode", written: { name(of: $0.service.description, in: descriptions) }) {
            if let value = try $1.choice(descriptions, "Invalid openapi-mode. Check your configuration.") {
                $0.service.description = value
            }
        },
        .everywhere("openapi-security-active", written: { "\($0.service.describesSecurity)" }) {
            if let value = try $1.boolean() { $0.service.describesSecurity = value }
        },
        .everywhere("openapi-server-proxy-uri", written: { quoted($0.service.publicAddress) }) {
            guard let value = $1.nonEmpty else { return }
            guard URIForm.isWebAddress(value) else {
                throw $1.refusal("Malformed proxy uri, a correct example: https://example.com:8443/basePath")
            }
            $0.service.publicAddress = value
        },
        .everywhere("server-cors-allowed-origins", written: { quoted($0.allowedOrigins.joined(separator: ",")) }) {
            $0.allowedOrigins = $1.nonEmpty == nil ? [] : $1.items
        },
        .process("server-host", written: { quoted($0.host) }) { if let value = $1.nonEmpty { $0.host = value } },
        .process("server-port", written: { "\($0.port)" }) {
            if let value = try $1.integer(in: 0...65_535) { $0.port = UInt16(value) }
        },
        .process("server-reuseport", ["server-reuse-port"], written: { "\($0.sharesPort)" }) {
            if let value = try $1.boolean() { $0.sharesPort = value }
        },
        .process("server-threads", written: { "\($0.threads)" }) {
            if let value = try $1.integer(in: 0...256) { $0.threads = value }
        },
        .everywhere("server-timing-enabled", written: { "\($0.service.showsTiming)" }) {
            if let value = try $1.boolean() { $0.service.showsTiming = value }
        },
        .everywhere("server-trace-header", written: { quoted($0.traceField) }) {
            guard let value = $1.nonEmpty else { return }
            guard URIForm.isToken(value) else { throw $1.refusal("\"\(value)\" is no name of a header") }
            $0.traceField = value
        },
        .process("server-unix-socket", written: { quoted($0.unixSocket) }) { $0.unixSocket = $1.nonEmpty },
        .process("server-unix-socket-mode", written: { quoted(String($0.unixSocketMode, radix: 8)) }) {
            if let value = try $1.fileMode() { $0.unixSocketMode = value }
        },
        .everywhere("url-use-legacy-target-names", written: { "\($0.service.takesFormerNames)" }) {
            if let value = try $1.boolean() { $0.service.takesFormerNames = value }
        },
    ]

    /// Keys of PostgREST's other versions that mean nothing here, and why.
    package static let retiredKeys: [String: String] = [
        "db-use-legacy-gucs": "settings of requests are JSON alone",
        "jwt-cache-max-lifetime": "tokens are remembered by number, see jwt-cache-max-entries",
        "jwt-cache-max-size": "tokens are remembered by number, see jwt-cache-max-entries",
        "raw-media-types": "media types are made by handlers in the database",
        "server-otel-enabled": "traces are not exported",
    ]

    private static let transactionEnds: [(String, RESTConfiguration.TransactionEnd)] = [
        ("commit", .commit), ("commit-allow-override", .commitAllowingOverride), ("rollback", .rollback),
        ("rollback-allow-override", .rollbackAllowingOverride),
    ]

    private static let descriptions: [(String, RESTConfiguration.Description)] = [
        ("follow-privileges", .followingPrivileges), ("ignore-privileges", .everything), ("disabled", .disabled),
    ]

    private static let verbosities = [("verbose", true), ("minimal", false)]

    /// Whole numbers as large as any key takes.
    private static let anyCount = 0...2_000_000_000

    // MARK: Forms

    /// A text as a file has it.
    static func quoted(_ text: String?) -> String {
        let escaped = (text ?? "").replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n").replacing("$", with: "$$")
        return "\"\(escaped)\""
    }

    private static func seconds(_ duration: Duration) -> String { "\(duration.components.seconds)" }

    private static func name<Choice: Equatable>(of choice: Choice, in choices: [(String, Choice)]) -> String {
        quoted(choices.first { $0.1 == choice }?.0)
    }
}
