// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Postgres
import Primitives
import TestSupport

@testable import REST

/// The whole pipeline on a real database, with a principal given by headers in place of the gateway.
struct RESTFixture: Sendable {
    let service: RESTService
    let store: SchemaCacheStore
    let server: TestDatabase
    let loop: Loop

    func send(
        _ method: HTTPMethod, _ target: String, as user: String? = nil, headers: HTTPHeaders = HTTPHeaders(),
        body: String = ""
    ) async throws -> (response: HTTPResponse, body: String) {
        var headers = headers
        if let user { headers.append("x-user", user) }
        let request = HTTPRequest(method, target, headers: headers, body: Array(body.utf8), loop: loop)
        let response: HTTPResponse
        do { response = try await service.respond(to: request, prefix: "") } catch let error as RESTError {
            response = error.response()
        }
        switch response.body {
        case .bytes(let bytes): return (response, String(decoding: bytes, as: UTF8.self))
        case .lent(let owner): return (response, owner.withBytes { String(decoding: $0, as: UTF8.self) })
        case .stream(_, let produce): return (response, try await StreamedBody.text(produce))
        case .empty, .file: return (response, "")
        }
    }

    private static let roles = """
        do $$ begin
            create role rest_anon nologin;
            create role rest_user nologin;
            create role rest_login login noinherit password 'rest';
            grant rest_anon, rest_user to rest_login;
        exception when duplicate_object then null;
        end $$;
        grant usage on schema public to rest_anon, rest_user;

        """

    /// Runs the body on a fresh database with the schema, and the roles `rest_anon` and `rest_user`: the latter where `x-user` says who.
    static func run(
        schema: String, named name: String, _ configuration: RESTConfiguration = RESTConfiguration(),
        _ body: @Sendable @escaping (RESTFixture) async throws -> Void
    ) async throws {
        let cluster = try await TestCluster.shared
        let template = try await cluster.template(named: name) { try await $0.exec(Self.roles + schema) }
        let server = try await cluster.makeDatabase(template: template)
        let address = PostgresAddress(
            host: server.socketFolder, port: server.port, user: "rest_login", password: SecretString("rest"),
            database: server.name)
        let outcome: Result<Void, any Error>
        do {
            try await Loop.withLoop { loop in
                let database = try Database(DatabaseConfiguration(address: address), loops: [loop], log: .disabled)
                let store = SchemaCacheStore(database: database, configuration: configuration, log: .disabled)
                let service = RESTService(configuration, database: database, store: store, log: .disabled) {
                    let user = $0.headers["x-user"]
                    return RESTIdentity(
                        role: user == nil ? "rest_anon" : "rest_user", claims: user.map { #"{"sub":"\#($0)"}"# },
                        isAnonymous: user == nil)
                }
                let fixture = RESTFixture(service: service, store: store, server: server, loop: loop)
                let result: Result<Void, any Error>
                do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                await database.shutdown(grace: .seconds(1))
                try result.get()
            }
            outcome = .success(())
        } catch { outcome = .failure(error) }
        try await server.drop()
        try outcome.get()
    }
}
