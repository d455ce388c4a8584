// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import Postgres
package import Primitives

/// What `atoll rest` is told, in PostgREST's keys: the service's own configuration, and all around it.
package struct StandaloneConfiguration: Sendable {
    /// What is logged: from only what ends the server to every request and what the server does for it.
    package enum LogLevel: String, Sendable, CaseIterable {
        case crit, error, warn, info, debug
    }

    /// The secret as it was configured, and the keys read from it.
    package struct JWTSecret: Sendable {
        package var text: SecretString
        package var keys: VerificationKeys
    }

    /// The service's part.
    package var service = RESTConfiguration()

    // The database.
    /// A connection string in one of libpq's forms.
    package var databaseURI = SecretString("postgresql://")
    package var poolSize = 10
    /// How long a request waits for a connection.
    package var poolWait: Duration = .seconds(10)
    package var maxConnectionAge: Duration = .seconds(1800)
    package var maxConnectionIdleTime: Duration = .seconds(30)
    /// Whether a lost database is waited for; otherwise the server ends.
    package var recoversAutomatically = true
    package var preparesStatements = true
    package var channel = "pgrst"
    package var isChannelEnabled = true
    /// Whether settings are read from the database, too.
    package var readsDatabase = true
    /// A function that sets `pgrst.*` before they are read.
    package var preConfigFunction: String?

    // Who requests run as.
    /// Nil refuses requests without a token.
    package var anonymousRole: String?
    /// The secret, JSON Web Key or set; nil refuses tokens.
    package var jwtSecret: JWTSecret?
    package var isJWTSecretBase64 = false
    /// What `aud` must hold where a token has one.
    package var audience: String?
    package var roleClaim = ClaimPath.role
    /// Verified tokens that are remembered; 0 remembers none.
    package var tokenCacheEntries = 1000

    // The server.
    package var host = "!4"
    package var port: UInt16 = 3000
    package var unixSocket: String?
    package var unixSocketMode: UInt32 = 0o660
    package var sharesPort = false
    /// Threads that serve requests; 0 for as many as there are processors, and never more than connections.
    package var threads = 0
    package var adminHost: String?
    package var adminPort: UInt16?
    package var adminUnixSocket: String?
    package var adminUnixSocketMode: UInt32 = 0o660
    /// Empty allows every origin.
    package var allowedOrigins: [String] = []
    /// The field that answers repeat as the request had it.
    package var traceField: String?
    package var logLevel = LogLevel.error
    package var logsQueries = false

    package init() {
        service.schemas = ["public"]
        service.extraSearchPath = ["public"]
        service.maxRows = nil
        service.showsConnectionErrors = true
    }

    /// The least secret there may be, in bytes.
    package static let minSecretBytes = 32
    /// The most `app.settings.*`: a unit of work carries them all, beside ours and the role's.
    package static let maxApplicationSettings = 48
}

extension StandaloneConfiguration {
    /// How connections are made and kept on each of `loops` loops.
    ///
    /// - Throws: ``PostgresError`` where the connection string is none.
    package func database(loops: Int, version: String) throws(PostgresError) -> DatabaseConfiguration {
        var database = DatabaseConfiguration(
            address: try PostgresAddress(connectionString: databaseURI.reveal()))
        database.applicationName = "atoll \(version) (PostgREST 14)"
        // Those that reads share count too.
        let connections = max(1, poolSize / max(loops, 1))
        database.lanesPerLoop = connections >= 4 ? 2 : connections / 2
        database.connectionsPerLoop = connections - database.lanesPerLoop
        database.waitTimeout = poolWait
        database.connectTimeout = max(.seconds(1), poolWait)
        // What is said in the database for the role that logs in holds.
        database.statementTimeout = nil
        database.idleTransactionTimeout = nil
        database.maxConnectionAge = maxConnectionAge
        database.maxConnectionIdleTime = maxConnectionIdleTime
        database.preparesStatements = preparesStatements
        database.maxReconnectDelay = .seconds(32)
        return database
    }
}
