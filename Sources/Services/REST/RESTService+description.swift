// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension RESTService {
    /// The description of the schema at the service's root, for the role that asks.
    ///
    /// - Throws: ``RESTError``, or `PostgresError`.
    func description(
        _ request: HTTPRequest, _ parsed: APIRequest, _ identity: RESTIdentity, _ cache: SchemaCache, prefix: String,
        _ timing: inout ServerTiming
    ) async throws -> HTTPResponse {
        guard configuration.description != .disabled else { throw RESTError.rootDisabled }
        guard parsed.accepts.contains(where: { [.any, .json, .openAPI].contains($0) }) else {
            throw RESTError.mediaTypesUnavailable(parsed.accepts.map(\.name))
        }
        var queries: [PostgresQuery] = []
        if let function = configuration.preRequest { queries.append(Execution.preRequest(function)) }
        // With an empty path every type that is not PostgreSQL's own is written with its schema.
        queries.append("select set_config('search_path', '', true)")
        let position = queries.count
        queries += APIDescription.queries(
            schema: parsed.schema,
            // The shape belongs to nobody: what its tenants may use, they may use all of.
            followsPrivileges: configuration.description == .followingPrivileges
                && parsed.schema != TenantDirectory.template)
        timing.mark("plan")
        let results: [PostgresResult]
        do throws(PostgresError) {
            var unit = WorkUnit(
                role: identity.role, settings: settings(request, parsed, identity, nil), readOnly: true,
                queries: queries)
            unit.loginSettings = (cache.roles[identity.role]?.settings ?? []).map { ($0.name, $0.value) }
            results = try await database.run(unit)
        } catch {
            throw RESTError(
                error, isAnonymous: identity.isAnonymous, showsConnectionErrors: configuration.showsConnectionErrors)
        }
        timing.mark("transaction")
        var response = HTTPResponse(.ok)
        response.headers.append("Content-Type", MediaType.openAPI.contentType)
        if parsed.namesSchema { response.headers.append("Content-Profile", parsed.profileName) }
        if !parsed.isHead {
            let document = OpenAPIDocument(
                schema: parsed.schema, description: APIDescription(results[position...]), cache: cache,
                server: server(of: request, prefix),
                describesSecurity: configuration.describesSecurity)
            response.body = .bytes(document.json.encoded())
        }
        timing.add(to: &response)
        return response
    }

    private func server(of request: HTTPRequest, _ prefix: String) -> OpenAPIDocument.Server {
        let path = prefix.isEmpty ? "/" : prefix
        guard let address = configuration.publicAddress, let mark = address.firstRange(of: "://") else {
            return OpenAPIDocument.Server(scheme: "http", host: request.headers["host"] ?? "localhost", path: path)
        }
        let rest = address[mark.upperBound...]
        let host = rest.prefix { $0 != "/" }
        let own = rest.dropFirst(host.count)
        return OpenAPIDocument.Server(
            scheme: String(address[..<mark.lowerBound]), host: String(host), path: own.isEmpty ? path : String(own))
    }
}
