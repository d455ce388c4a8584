// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Postgres
import Primitives
import REST

/// The service alone, over HTTP, set up as one configuration of the conformance cases asks.
struct ConformanceServer: Sendable {
    let server: HTTPServer
    let database: Database

    /// - Parameters:
    ///   - address: the loaded fixtures, as the role that the cases' server logs in as.
    ///   - settings: the configuration's settings by PostgREST's names.
    init(_ address: PostgresAddress, settings: JSON, port: UInt16 = 0, loop: Loop) throws {
        database = try Database(DatabaseConfiguration(address: address), loops: [loop], log: .disabled)
        let configuration = Self.configuration(settings)
        let store = SchemaCacheStore(database: database, configuration: configuration, log: .disabled)
        let tokens = JWTCodec(
            keys: KeySet(signingKey: JWTKey(sharedSecret: Array("reallyreallyreallyreallyverysafe".utf8))),
            clockSkew: .seconds(30))
        let anonymousRole = settings["db-anon-role"]?.stringValue ?? ""
        let service = RESTService(configuration, database: database, store: store, log: .disabled) { request in
            try Self.identity(of: request, tokens, anonymousRole)
        }
        var router = Router()
        let origins = settings["server-cors-allowed-origins"]?.arrayValue?.compactMap(\.stringValue) ?? []
        router.cors = CORSPolicy(allowedOrigins: origins.isEmpty ? nil : origins)
        service.register(on: &router, prefix: "")
        var http = HTTPServerConfiguration()
        http.port = port
        server = try HTTPServer(http, router: router, loops: [loop])
    }

    private static func configuration(_ settings: JSON) -> RESTConfiguration {
        var configuration = RESTConfiguration()
        configuration.schemas = settings["db-schemas"]?.arrayValue?.compactMap(\.stringValue) ?? []
        configuration.extraSearchPath =
            settings["db-extra-search-path"]?.arrayValue?.compactMap(\.stringValue) ?? []
        configuration.maxRows = settings["db-max-rows"]?.intValue
        configuration.preRequest = settings["db-pre-request"]?.stringValue
        configuration.transactionEnd =
            switch settings["db-tx-end"]?.stringValue {
            case "commit": .commit
            case "commit-allow-override": .commitAllowingOverride
            case "rollback": .rollback
            default: .rollbackAllowingOverride
            }
        configuration.allowsAggregates = settings["db-aggregates"]?.boolValue ?? false
        configuration.showsPlans = settings["db-plan-enabled"]?.boolValue ?? false
        configuration.showsTiming = settings["server-timing-enabled"]?.boolValue ?? false
        configuration.description =
            switch settings["openapi-mode"]?.stringValue {
            case "disabled": .disabled
            case "ignore-privileges": .everything
            default: .followingPrivileges
            }
        configuration.showsErrorDetails = settings["client-error-verbosity"]?.stringValue != "minimal"
        configuration.publicAddress = settings["openapi-server-proxy-uri"]?.stringValue
        configuration.rootFunction = settings["db-root-spec"]?.stringValue
        for member in settings.objectValue ?? JSONObject() where member.name.hasPrefix("app.") {
            configuration.settings.append((member.name, member.value.stringValue ?? ""))
        }
        return configuration
    }

    private static func identity(
        of request: HTTPRequest, _ tokens: JWTCodec, _ anonymous: String
    ) throws -> RESTIdentity {
        guard let field = request.headers["authorization"] else {
            return RESTIdentity(role: anonymous, claims: #"{"role":"\#(anonymous)"}"#, isAnonymous: true)
        }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.first?.lowercased() == "bearer" else {
            return RESTIdentity(role: anonymous, claims: #"{"role":"\#(anonymous)"}"#, isAnonymous: true)
        }
        guard parts.count == 2 else {
            throw RESTError.unauthorized(code: "PGRST301", message: "Empty JWT is sent in Authorization header")
        }
        do throws(JWTError) {
            let claims = try tokens.verify(String(parts[1]))
            guard let role = claims.role else {
                var members = claims.members
                members["role"] = .string(anonymous)
                return RESTIdentity(role: anonymous, claims: JSON.object(members).text, isAnonymous: true)
            }
            return RESTIdentity(role: role, claims: claims.text, isAnonymous: false)
        } catch {
            throw RESTError(error, partCount: parts[1].split(separator: ".", omittingEmptySubsequences: false).count)
        }
    }
}
