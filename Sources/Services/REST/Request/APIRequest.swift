// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform

/// A request with everything it says parsed, and nothing looked up yet.
struct APIRequest: Sendable {
    enum Target: Sendable, Hashable {
        case root
        case relation(String)
        case function(String)
    }

    enum Action: Sendable, Hashable {
        case read
        case create
        case update
        /// PUT: one row by its primary key.
        case upsert
        case delete
        case call(readOnly: Bool)
        /// OPTIONS
        case inspect
    }

    var target: Target
    var action: Action
    /// HEAD: everything but the body.
    var isHead: Bool
    var schema: String
    /// Whether the schema was asked for by name, and the answer says which it was.
    var namesSchema: Bool
    /// Whether what the tenant's schema does not hold is looked for in the default schema.
    var fallsBack: Bool
    var query: QueryParameters
    var preferences: Preferences
    /// Best first.
    var accepts: [MediaType]
    var contentType: MediaType
    /// The rows wanted of the target.
    var range: RowRange
    /// What follows the service's prefix, percent-encoded: what SQL reads as `request.path`.
    var path: String
    /// The path and the query of this very request with its parameters in order, for `Content-Location`.
    var location: String
}

extension APIRequest {
    /// Parses a request.
    ///
    /// - Parameters:
    ///   - path: what follows the service's prefix, percent-encoded.
    ///   - query: the raw query string.
    ///   - hasSchema: whether the tenant of the request has a schema of its own.
    /// - Throws: ``RESTError``: path, method, profile, preferences, query grammar, range.
    init(
        method: HTTPMethod, path: String, query rawQuery: String?, headers: HTTPHeaders,
        configuration: RESTConfiguration, hasSchema: Bool = false
    ) throws(RESTError) {
        target = try Self.target(path)
        action = try Self.action(method, target)
        isHead = method == .head

        let profile = try Self.profile(action, headers, configuration, hasSchema)
        schema = profile.schema
        namesSchema = profile.isNamed
        fallsBack = schema == TenantDirectory.template && headers[profile.field] != RESTConfiguration.tenantProfile

        preferences = Preferences(headers: headers.values("prefer"))
        if !configuration.takesTimezones, let timezone = preferences.timezone {
            preferences.timezone = nil
            preferences.invalid.append("timezone=\(timezone)")
        }
        if preferences.handling == .strict, !preferences.invalid.isEmpty {
            throw .invalidPreferences(preferences.invalid)
        }
        self.path = path
        guard (rawQuery?.utf8.count ?? 0) <= configuration.maxQueryBytes else {
            throw .syntax(
                message: "\"failed to parse query string\" (line 1, column \(configuration.maxQueryBytes))",
                details: "longer than \(configuration.maxQueryBytes) bytes")
        }
        var takesArguments = false
        if case .call(readOnly: true) = action { takesArguments = true }
        let fields = FormFields(query: rawQuery ?? "")
        // A filter left out would let the request reach rows it was not meant for.
        guard fields.isComplete else {
            throw .syntax(
                message: "\"failed to parse query string\" (line 1, column 1)",
                details: "a parameter is not percent-encoded UTF-8")
        }
        var pairs = fields.all
        if let key = configuration.keyParameter, !headers.contains(key) { pairs.removeAll { $0.name == key } }
        query = try QueryParameters(pairs: pairs, takesArguments: takesArguments, maxTerms: configuration.maxTerms)
        accepts = MediaType.accepted(headers["accept"])
        contentType = headers["content-type"].map { MediaType($0) } ?? .json
        range = try Self.range(method, query, headers)
        location = action == .read ? Self.location(path, pairs) : ""
    }

    /// The path with the parameters sorted by name, so that one answer has one address however it was asked for.
    private static func location(_ path: String, _ pairs: [(name: String, value: String)]) -> String {
        guard !pairs.isEmpty else { return path }
        let sorted = pairs.enumerated().sorted { ($0.element.name, $0.offset) < ($1.element.name, $1.offset) }
        let query = sorted.map { "\(Answer.encoded($0.element.name))=\(Answer.encoded($0.element.value))" }
        return "\(path)?\(query.joined(separator: "&"))"
    }

    private static func target(_ path: String) throws(RESTError) -> Target {
        var segments = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if segments.first == "" { segments.removeFirst() }
        if segments.last == "" { segments.removeLast() }
        let names = segments.compactMap { percentDecode($0) }
        guard names.count == segments.count else { throw .invalidPath }
        switch names.count {
        case 0: return .root
        case 1: return .relation(names[0])
        case 2 where names[0] == "rpc": return .function(names[1])
        default: throw .invalidPath
        }
    }

    private static func action(_ method: HTTPMethod, _ target: Target) throws(RESTError) -> Action {
        switch (target, method) {
        case (_, .options): return .inspect
        case (.function, .get), (.function, .head): return .call(readOnly: true)
        case (.function, .post): return .call(readOnly: false)
        case (.function, _): throw .callMethodNotAllowed(method.rawValue)
        case (_, .get), (_, .head): return .read
        case (.relation, .post): return .create
        case (.relation, .patch): return .update
        case (.relation, .put): return .upsert
        case (.relation, .delete): return .delete
        default: throw .methodNotAllowed(method.rawValue)
        }
    }

    /// `Accept-Profile` for what reads, `Content-Profile` for what writes.
    private static func profile(
        _ action: Action, _ headers: HTTPHeaders, _ configuration: RESTConfiguration, _ hasSchema: Bool
    ) throws(RESTError) -> (schema: String, isNamed: Bool, field: String) {
        let field =
            switch action {
            case .read, .call(readOnly: true), .inspect: "accept-profile"
            case .create, .update, .upsert, .delete, .call(readOnly: false): "content-profile"
            }
        let schemas = configuration.schemas
        let standard = schemas.first ?? "public"
        guard let name = headers[field] else {
            return (hasSchema ? TenantDirectory.template : standard, schemas.count > 1, field)
        }
        if hasSchema, name == RESTConfiguration.tenantProfile { return (TenantDirectory.template, true, field) }
        guard schemas.contains(name) else { throw .unknownSchema(name, exposed: schemas) }
        // The official clients name the default schema in every request that names none.
        return (hasSchema && name == standard ? TenantDirectory.template : name, true, field)
    }

    /// What a tenant's schema does not hold is looked for in the schema that all share, unless the tenant's alone was asked for.
    mutating func settleSchema(_ cache: SchemaCache, _ configuration: RESTConfiguration) {
        guard fallsBack else { return }
        let isThere =
            switch target {
            case .root: false
            case .relation(let name): cache.relations[QualifiedName(schema: schema, name: name)] != nil
            case .function(let name): cache.functions[QualifiedName(schema: schema, name: name)] != nil
            }
        guard !isThere else { return }
        schema = configuration.schemas.first ?? "public"
        fallsBack = false
    }

    /// The schema as clients name it.
    var profileName: String { schema == TenantDirectory.template ? RESTConfiguration.tenantProfile : schema }

    /// The rows that both `Range` (which RFC 9110 section 14.2 defines for GET alone) and `limit` and `offset` leave.
    private static func range(
        _ method: HTTPMethod, _ query: QueryParameters, _ headers: HTTPHeaders
    ) throws(RESTError) -> RowRange {
        let asked = try query.range(at: [])
        guard method == .get else { return asked }
        switch RowRange.header(headers["range"]) {
        case .absent: return asked
        case .range(let range):
            let both = range.intersection(asked)
            // Rows that are in one of the two only cannot be had; none at all can be asked for by `limit=0`.
            if both.limit == 0, asked.limit != 0 {
                throw .rangeNotSatisfiable(
                    details: "Limit should be greater than or equal to zero.", total: nil)
            }
            return both
        case .reversed:
            throw .rangeNotSatisfiable(
                details: "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
                total: nil)
        }
    }
}
