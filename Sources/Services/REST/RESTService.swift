// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Platform
package import Postgres
package import Primitives

/// PostgREST's protocol over one database: parse, authorise, plan, write SQL, run, respond. Only `run` touches the database.
package struct RESTService: Sendable {
    /// Says who a request runs as, or throws; the service's way of answering errors then applies.
    package typealias Identify = @Sendable (HTTPRequest) throws -> RESTIdentity

    let configuration: RESTConfiguration
    let database: Database
    private let store: SchemaCacheStore
    private let identify: Identify
    private let tenants: TenantDirectory?
    /// By schema.
    private let searchPaths: [String: String]
    private let reads = PlannedReads()
    private let largeAnswers = LargeAnswers()
    private let log: Log

    /// - Parameters:
    ///   - database: logs in as a role that may switch to those that `identify` names.
    ///   - store: the schema cache of the same database; whoever composes the server runs it.
    ///   - tenants: says which tenants have a schema of their own; asked only where there is a shape for them.
    package init(
        _ configuration: RESTConfiguration, database: Database, store: SchemaCacheStore,
        tenants: TenantDirectory? = nil, log: Log,
        identify: @escaping Identify
    ) {
        self.configuration = configuration
        searchPaths = Dictionary(
            configuration.schemas.map { ($0, Self.searchPath($0, configuration)) },
            uniquingKeysWith: { first, _ in first })
        self.database = database
        self.store = store
        self.identify = identify
        self.tenants = configuration.servesTenantSchemas ? tenants : nil
        self.log = log
    }

    /// Adds the service's routes under `prefix`, such as `/rest/v1`.
    package func register(on router: inout Router, prefix: String = "/rest/v1") {
        router.group(
            prefix, errors: { error, request in response(to: error, request) },
            { router in
                let handler: HTTPHandler = { request in try await respond(to: request, prefix: prefix) }
                let methods: [HTTPMethod] = [.get, .head, .post, .patch, .put, .delete, .options]
                let patterns = prefix.isEmpty ? ["/", "/*path"] : [prefix, "\(prefix)/", "\(prefix)/*path"]
                for pattern in patterns {
                    for method in methods {
                        router.on(method, pattern, maxBodyBytes: configuration.maxBodyBytes, handler)
                    }
                }
            })
    }

    /// Answers a request whose path begins with `prefix`.
    ///
    /// - Parameter observe: told what the request turns out to be, as it does.
    /// - Throws: ``RESTError``, or what the identity or the body's reading threw.
    package func respond(
        to request: HTTPRequest, prefix: String, observe: (RESTObservation) -> Void = { _ in }
    ) async throws -> HTTPResponse {
        var timing = ServerTiming(isOn: configuration.showsTiming)
        // The gateway's refusals go first: who may not come in learns nothing of the schema.
        var identity = try identify(request)
        observe(.identified(identity))
        if let tenants, let principal = identity.principal, store.loaded?.hasTenantShape ?? true {
            identity.hasSchema = try await hasSchema(principal, tenants)
        }
        timing.mark("jwt")
        let path = String(Substring(request.path.utf8.dropFirst(prefix.utf8.count)))
        let form = ReadForm(
            request, path: path, configuration: configuration, hasSchema: identity.hasSchema)
        var isWanted = false
        if let form, let cache = store.loaded {
            switch reads.find(form, cache) {
            case .planned(let read):
                timing.mark("parse")
                timing.mark("plan")
                return try await answer(
                    request, read.request(form.values), read.plan, read.statement(form.values),
                    identity, cache, observe, &timing)
            case .wanted: isWanted = true
            case .unknown: break
            }
        }
        var parsed = try APIRequest(
            method: request.method, path: path, query: request.query, headers: request.headers,
            configuration: configuration, hasSchema: identity.hasSchema)
        timing.mark("parse")
        let cache = try await store.cache()
        parsed.settleSchema(cache, configuration)
        if parsed.action == .inspect { return try Self.inspection(request, parsed, cache) }
        if parsed.target == .root {
            guard let function = configuration.rootFunction else {
                return try await description(request, parsed, identity, cache, prefix: prefix, &timing)
            }
            parsed.target = .function(function)
            parsed.action = .call(readOnly: true)
        }
        let payload = try await payload(of: request, parsed)
        let plan = try Self.plan(parsed, payload, cache, configuration)
        var statement = Statement(plan)
        statement.addGuard(plan, maxBytes: configuration.maxHeldBytes)
        timing.mark("plan")
        if isWanted, let form {
            reads.learn(
                form, PlannedRead(form, request, path: path, parsed, plan, statement, cache, configuration), cache)
        }
        return try await answer(request, parsed, plan, statement, identity, cache, observe, &timing)
    }

    /// Runs what was planned and makes the response.
    private func answer(
        _ request: HTTPRequest, _ parsed: APIRequest, _ plan: Plan, _ statement: Statement, _ identity: RESTIdentity,
        _ cache: SchemaCache, _ observe: (RESTObservation) -> Void, _ timing: inout ServerTiming
    ) async throws -> HTTPResponse {
        observe(.planned(sql: statement.query.sql))
        let execution = Execution(
            request: parsed, plan: plan, statement: statement, identity: identity,
            role: cache.roles[identity.role] ?? RoleSettings(entries: []), configuration: configuration,
            largeAnswers: largeAnswers)
        let outcome: Outcome
        do {
            outcome = try await execution.run(on: database, settings: settings(request, parsed, identity, plan))
        } catch let error as PostgresError {
            throw RESTError(
                error, isAnonymous: identity.isAnonymous, showsConnectionErrors: configuration.showsConnectionErrors)
        }
        timing.mark("transaction")
        var response = try Answer(request: parsed, plan: plan, configuration: configuration).response(outcome)
        timing.add(to: &response)
        return response
    }

    private func hasSchema(_ principal: Principal, _ tenants: TenantDirectory) async throws -> Bool {
        do throws(PostgresError) {
            return try await tenants.hasSchema(principal)
        } catch {
            throw RESTError(error, isAnonymous: false, showsConnectionErrors: configuration.showsConnectionErrors)
        }
    }

    private func payload(of request: HTTPRequest, _ parsed: APIRequest) async throws -> Payload? {
        switch parsed.action {
        case .read, .delete, .inspect, .call(readOnly: true): return nil
        case .create, .update, .upsert, .call(readOnly: false):
            let body = try await request.body.collect(upTo: configuration.maxBodyBytes)
            return try Payload(
                body, contentType: parsed.contentType,
                columns: parsed.action == .upsert ? nil : parsed.query.columns,
                isCall: parsed.action == .call(readOnly: false))
        }
    }

    static func plan(
        _ request: APIRequest, _ payload: Payload?, _ cache: SchemaCache, _ configuration: RESTConfiguration
    ) throws(RESTError) -> Plan {
        var planner = Planner(cache: cache, configuration: configuration, request: request)
        var plan: Plan
        switch (request.target, request.action) {
        case (.root, _): throw .rootDisabled
        case (.function(let name), _): plan = try planner.call(name, payload: payload)
        case (.relation(let name), .read): plan = try planner.read(name)
        case (.relation(let name), _): plan = try planner.mutation(name, payload: payload)
        }
        plan.formerNames = planner.formerNames
        try planner.checkGeometry(plan)
        return plan
    }

    /// What the transaction's functions and policies can ask for.
    func settings(
        _ request: HTTPRequest, _ parsed: APIRequest, _ identity: RESTIdentity, _ plan: Plan?
    ) -> [(name: String, value: String)] {
        var settings = configuration.settings
        settings.append(("search_path", searchPaths[parsed.schema] ?? Self.searchPath(parsed.schema, configuration)))
        settings.append(("request.jwt.claims", identity.claims ?? ""))
        if let sealed = identity.sealed { settings.append(("request.identity", sealed)) }
        settings += RequestSettings.settings(of: request, path: parsed.path)
        if let timezone = parsed.preferences.timezone { settings.append(("timezone", timezone)) }
        if case .call(let call)? = plan?.source {
            for setting in call.function.settings where setting.name != Execution.isolationSetting {
                settings.append((setting.name, setting.value))
            }
        }
        return settings
    }

    private static func searchPath(_ schema: String, _ configuration: RESTConfiguration) -> String {
        ([schema] + configuration.extraSearchPath).map(quoteIdentifier).joined(separator: ", ")
    }

    /// The answer to OPTIONS: what the target allows.
    private static func inspection(
        _ http: HTTPRequest, _ request: APIRequest, _ cache: SchemaCache
    ) throws(RESTError) -> HTTPResponse {
        var methods = "OPTIONS,GET,HEAD"
        switch request.target {
        case .root: break
        case .relation(let name):
            guard let relation = cache.relations[QualifiedName(schema: request.schema, name: name)] else {
                throw .noRelation(
                    schema: request.schema, name: name,
                    suggestion: cache.similarRelation(to: name, in: request.schema))
            }
            if relation.isInsertable { methods += ",POST" }
            if relation.isInsertable, relation.isUpdatable, !relation.primaryKey.isEmpty { methods += ",PUT" }
            if relation.isUpdatable { methods += ",PATCH" }
            if relation.isDeletable { methods += ",DELETE" }
        case .function(let name):
            let overloads = cache.functions[QualifiedName(schema: request.schema, name: name)] ?? []
            guard !overloads.isEmpty else {
                throw .noFunction(
                    RESTError.FunctionMismatch(
                        schema: request.schema, name: name, arguments: [], unnamedType: nil, onlyUnnamed: false,
                        suggestion: cache.similarFunction(to: name, in: request.schema)))
            }
            methods = overloads.allSatisfy { $0.volatility == .volatile } ? "OPTIONS,POST" : "OPTIONS,GET,HEAD,POST"
        }
        var response = HTTPResponse(.ok, headers: ["Allow": methods])
        // Where no browser asks for its page, no page's origin is to be weighed.
        if !http.headers.contains("origin") { response.headers.append("Access-Control-Allow-Origin", "*") }
        return response
    }

    /// One place for every error: what is not ours to tell is a plain 500.
    package func response(to error: any Error, _ request: HTTPRequest) -> HTTPResponse {
        if let error = error as? RESTError {
            if error.status >= 500 {
                log.error("rest.failed", .field("code", error.code), .field("request", request.id))
            }
            return error.response(showsDetails: configuration.showsErrorDetails)
        }
        if let error = error as? AccessError { return error.response }
        if let error = error as? HTTPError {
            if error.status == .methodNotAllowed {
                return self.response(to: RESTError.methodNotAllowed(request.method.rawValue), request)
            }
            var response = HTTPResponse.json(
                ["code": "PGRST\(error.status.code)", "details": nil, "hint": nil, "message": .string(error.message)],
                status: error.status)
            for field in error.headers.fields { response.headers.append(field.name, field.value) }
            return response
        }
        log.error("rest.failed", .field("error", "\(error)"), .field("request", request.id))
        return RESTError.internalError.response()
    }
}
