// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Postgres
import Primitives
import REST

/// The service alone, over HTTP, set up as the conformance cases' default configuration asks.
struct ConformanceServer: Sendable {
    let server: HTTPServer
    let database: Database

    /// - Parameter address: the loaded fixtures, as the role that the cases' server logs in as.
    init(_ address: PostgresAddress, port: UInt16 = 0, loop: Loop) throws {
        database = try Database(DatabaseConfiguration(address: address), loops: [loop], log: .disabled)
        var configuration = RESTConfiguration()
        configuration.schemas = ["test"]
        configuration.extraSearchPath = []
        configuration.maxRows = nil
        configuration.preRequest = "test.switch_role"
        configuration.transactionEnd = .rollbackAllowingOverride
        configuration.settings = [
            ("app.settings.app_host", "localhost"), ("app.settings.external_api_secret", "0123456789abcdef"),
        ]
        let store = SchemaCacheStore(database: database, configuration: configuration, log: .disabled)
        let tokens = JWTCodec(
            keys: KeySet(signingKey: JWTKey(sharedSecret: Array("reallyreallyreallyreallyverysafe".utf8))),
            clockSkew: .seconds(30))
        let service = RESTService(configuration, database: database, store: store, log: .disabled) { request in
            try Self.identity(of: request, tokens)
        }
        var router = Router()
        router.cors = CORSPolicy()
        service.register(on: &router, prefix: "")
        var http = HTTPServerConfiguration()
        http.port = port
        server = try HTTPServer(http, router: router, loops: [loop])
    }

    private static func identity(of request: HTTPRequest, _ tokens: JWTCodec) throws -> RESTIdentity {
        let anonymous = "postgrest_test_anonymous"
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
