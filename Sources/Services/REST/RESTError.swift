// SPDX-License-Identifier: Apache-2.0
package import HTTP
internal import Postgres
internal import Primitives

/// Everything the REST service can refuse. The wire code, status, message, details and hint of each stand side by side below, each
/// one switch without a default; `docs/errors.md` lists them.
package enum RESTError: Error, Sendable {
    // The request.
    case syntax(message: String, details: String)
    case invalidBody(String)
    case rangeNotSatisfiable(details: String, total: Int?)
    case upsertNeedsKeyFilters
    case upsertTakesNoRange
    case upsertKeyMismatch
    case unknownSchema(String, exposed: [String])
    case mediaTypesUnavailable([String])
    case notEmbedded(String)
    /// An embedded relation named by its own name although it is renamed, where that is not taken.
    case formerName(String, current: String)
    case methodNotAllowed(String)
    case callMethodNotAllowed(String)
    case invalidPreferences([String])
    case invalidPath
    case rootDisabled
    case notImplemented(String)
    // The plan.
    case relatedOrder(parent: String, relation: String)
    case aggregatesDisabled
    case noRelationship(MissingRelationship)
    case ambiguousRelationship(parent: String, child: String, candidates: [AmbiguousRelationship])
    case noFunction(FunctionMismatch)
    case ambiguousFunction([String])
    case noColumn(String, relation: String)
    case noRelation(schema: String, name: String, suggestion: String?)
    case callAffectedNeedsSet
    // The result.
    case notSingular(rowCount: Int)
    case tooManyAffected(rowCount: Int)
    case invalidHeadersSetting
    case invalidStatusSetting
    case invalidRaise(details: String, hint: String)
    // Identity: what the gateway or the token's verification refused.
    case unauthorized(code: String, message: String, details: String? = nil)
    // The database.
    case raised(RaisedError)
    case database(DatabaseRefusal)
    case schemaCacheUnavailable
    /// No connection could be made.
    case connectionFailed(details: String?)
    /// The connection broke while the request was under way.
    case connectionLost(details: String?)
    case poolExhausted
    case internalError

    /// What was searched when no relationship was found.
    package struct MissingRelationship: Sendable, Hashable {
        var parent: String
        var child: String
        /// What was written after `!`.
        var hint: String?
        var schema: String
        var suggestion: Suggestion?

        /// A name that is known, and the parent's or child's that it is like.
        package struct Suggestion: Sendable, Hashable {
            var similar: String
            var mistaken: String
        }
    }

    /// A relationship that could have been meant, as PGRST201 lists it.
    package struct AmbiguousRelationship: Sendable, Hashable {
        var cardinality: String
        var relationship: String
        var embedding: String
        var suggestion: String
    }

    /// What was searched when no function matched.
    package struct FunctionMismatch: Sendable, Hashable {
        var schema: String
        var name: String
        var arguments: [String]
        /// The type of the single unnamed parameter that the body could have been, such as `text`.
        var unnamedType: String?
        /// Whether only the unnamed parameter was possible.
        var onlyUnnamed: Bool
        var suggestion: String?
    }

    /// What a function asked for by `raise sqlstate 'PGRST'`.
    package struct RaisedError: Sendable {
        var code: String
        var message: String
        var details: String?
        var hint: String?
        var status: Int
        var statusText: String?
        var headers: [(name: String, value: String)]
    }

    /// An error of PostgreSQL's own.
    package struct DatabaseRefusal: Sendable, Hashable {
        var sqlState: String
        var message: String
        var details: String?
        var hint: String?
        /// Whether the request came without an identity: then missing privileges are 401, not 403.
        var isAnonymous: Bool
    }
}

extension RESTError {
    /// The wire code. Never rename one.
    var code: String {
        switch self {
        case .syntax: "PGRST100"
        case .callMethodNotAllowed: "PGRST101"
        case .invalidBody: "PGRST102"
        case .rangeNotSatisfiable: "PGRST103"
        case .upsertNeedsKeyFilters: "PGRST105"
        case .unknownSchema: "PGRST106"
        case .mediaTypesUnavailable: "PGRST107"
        case .notEmbedded, .formerName: "PGRST108"
        case .invalidHeadersSetting: "PGRST111"
        case .invalidStatusSetting: "PGRST112"
        case .upsertTakesNoRange: "PGRST114"
        case .upsertKeyMismatch: "PGRST115"
        case .notSingular: "PGRST116"
        case .methodNotAllowed: "PGRST117"
        case .relatedOrder: "PGRST118"
        case .invalidRaise: "PGRST121"
        case .invalidPreferences: "PGRST122"
        case .aggregatesDisabled: "PGRST123"
        case .tooManyAffected: "PGRST124"
        case .invalidPath: "PGRST125"
        case .rootDisabled: "PGRST126"
        case .notImplemented: "PGRST127"
        case .callAffectedNeedsSet: "PGRST128"
        case .noRelationship: "PGRST200"
        case .ambiguousRelationship: "PGRST201"
        case .noFunction: "PGRST202"
        case .ambiguousFunction: "PGRST203"
        case .noColumn: "PGRST204"
        case .noRelation: "PGRST205"
        case .unauthorized(let code, _, _): code
        case .raised(let raised): raised.code
        case .database(let refusal): refusal.sqlState
        case .connectionFailed: "PGRST000"
        case .connectionLost: "PGRST001"
        case .schemaCacheUnavailable: "PGRST002"
        case .poolExhausted: "PGRST003"
        case .internalError: "PGRSTX00"
        }
    }

    /// The HTTP status.
    var status: Int {
        switch self {
        case .syntax, .invalidBody, .upsertTakesNoRange, .upsertKeyMismatch, .notEmbedded, .formerName,
            .invalidPreferences,
            .notImplemented, .relatedOrder, .aggregatesDisabled, .noRelationship, .noColumn, .callAffectedNeedsSet,
            .tooManyAffected:
            400
        case .unauthorized(let code, _, _): code == "PGRST300" ? 500 : 401
        case .invalidPath, .rootDisabled, .noFunction, .noRelation: 404
        case .upsertNeedsKeyFilters, .methodNotAllowed, .callMethodNotAllowed: 405
        case .unknownSchema, .mediaTypesUnavailable, .notSingular: 406
        case .rangeNotSatisfiable: 416
        case .ambiguousRelationship, .ambiguousFunction: 300
        case .invalidHeadersSetting, .invalidStatusSetting, .invalidRaise, .internalError: 500
        case .raised(let raised): raised.status
        case .database(let refusal): refusal.status
        case .connectionFailed, .connectionLost, .schemaCacheUnavailable: 503
        case .poolExhausted: 504
        }
    }

    /// Fit for the client.
    var message: String {
        switch self {
        case .syntax(let message, _): message
        case .invalidBody(let message): message
        case .rangeNotSatisfiable: "Requested range not satisfiable"
        case .upsertNeedsKeyFilters:
            "Filters must include all and only primary key columns with 'eq' operators"
        case .upsertTakesNoRange: "limit/offset querystring parameters are not allowed for PUT"
        case .upsertKeyMismatch: "Payload values do not match URL in primary key column(s)"
        case .unknownSchema(let schema, _): "Invalid schema: \(schema)"
        case .mediaTypesUnavailable(let types):
            "None of these media types are available: \(types.joined(separator: ", "))"
        case .notEmbedded(let name), .formerName(let name, _): "'\(name)' is not an embedded resource in this request"
        case .methodNotAllowed(let method): "Unsupported HTTP method: \(method)"
        case .callMethodNotAllowed(let method): "Cannot use the \(method) method on RPC"
        case .invalidPreferences: "Invalid preferences given with handling=strict"
        case .invalidPath: "Invalid path specified in request URL"
        case .rootDisabled: "Root endpoint metadata is disabled"
        case .notImplemented: "Feature not implemented"
        case .relatedOrder(_, let relation): "A related order on '\(relation)' is not possible"
        case .aggregatesDisabled: "Use of aggregate functions is not allowed"
        case .noRelationship(let missing):
            "Could not find a relationship between '\(missing.parent)' and '\(missing.child)' in the schema cache"
        case .ambiguousRelationship(let parent, let child, _):
            "Could not embed because more than one relationship was found for '\(parent)' and '\(child)'"
        case .noFunction(let mismatch): "Could not find the function \(mismatch.signature) in the schema cache"
        case .ambiguousFunction(let candidates):
            "Could not choose the best candidate function between: \(candidates.joined(separator: ", "))"
        case .noColumn(let column, let relation):
            "Could not find the '\(column)' column of '\(relation)' in the schema cache"
        case .noRelation(let schema, let name, _): "Could not find the table '\(schema).\(name)' in the schema cache"
        case .callAffectedNeedsSet:
            "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
        case .notSingular: "Cannot coerce the result to a single JSON object"
        case .tooManyAffected: "Query result exceeds max-affected preference constraint"
        case .invalidHeadersSetting:
            "response.headers guc must be a JSON array composed of objects with a single key and a string value"
        case .invalidStatusSetting: "response.status guc must be a valid status code"
        case .invalidRaise: "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
        case .unauthorized(_, let message, _): message
        case .raised(let raised): raised.message
        case .database(let refusal): refusal.message
        case .schemaCacheUnavailable: "Could not query the database for the schema cache. Retrying."
        case .connectionFailed: "Database connection error. Retrying the connection."
        case .connectionLost: "Database client error. Retrying the connection."
        case .poolExhausted: "Timed out acquiring connection from connection pool."
        case .internalError: "Something went wrong"
        }
    }

    /// What exactly, where there is more to say.
    var details: JSON {
        switch self {
        case .syntax(_, let details): .string(details)
        case .rangeNotSatisfiable(let details, _): .string(details)
        case .invalidPreferences(let names): "Invalid preferences: \(names.joined(separator: ", "))"
        case .notImplemented(let details): .string(details)
        case .relatedOrder(let parent, let relation):
            "'\(parent)' and '\(relation)' do not form a many-to-one or one-to-one relationship"
        case .noRelationship(let missing):
            "Searched for a foreign key relationship between '\(missing.parent)' and '\(missing.child)'\(missing.hint.map { " using the hint '\($0)'" } ?? "") in the schema '\(missing.schema)', but no matches were found."
        case .ambiguousRelationship(_, _, let candidates):
            .array(
                candidates.map {
                    [
                        "cardinality": .string($0.cardinality), "embedding": .string($0.embedding),
                        "relationship": .string($0.relationship),
                    ]
                })
        case .noFunction(let mismatch): .string(mismatch.details)
        case .notSingular(let rowCount): "The result contains \(rowCount) rows"
        case .tooManyAffected(let rowCount): "The query affects \(rowCount) rows"
        case .invalidRaise(let details, _): .string(details)
        case .unauthorized(_, _, let details): JSON(details)
        case .connectionFailed(let details), .connectionLost(let details): JSON(details)
        case .formerName: "Target names are not allowed in filters if they have an alias"
        case .raised(let raised): JSON(raised.details)
        case .database(let refusal): JSON(refusal.details)
        case .invalidBody, .upsertNeedsKeyFilters, .upsertTakesNoRange, .upsertKeyMismatch, .unknownSchema,
            .mediaTypesUnavailable, .notEmbedded, .methodNotAllowed, .callMethodNotAllowed, .invalidPath, .rootDisabled,
            .aggregatesDisabled,
            .ambiguousFunction, .noColumn, .noRelation, .callAffectedNeedsSet, .invalidHeadersSetting,
            .invalidStatusSetting, .schemaCacheUnavailable, .poolExhausted, .internalError:
            .null
        }
    }

    /// What to do about it.
    var hint: String? {
        switch self {
        case .unknownSchema(_, let exposed):
            "Only the following schemas are exposed: \(exposed.joined(separator: ", "))"
        case .formerName(let name, let current): "Change '\(name)' to '\(current)' in filters, orders or limits."
        case .notEmbedded(let name): "Verify that '\(name)' is included in the 'select' query parameter."
        case .noRelationship(let missing):
            missing.suggestion.map { "Perhaps you meant '\($0.similar)' instead of '\($0.mistaken)'." }
        case .ambiguousRelationship(_, let child, let candidates):
            "Try changing '\(child)' to one of the following: \(candidates.map { "'\($0.suggestion)'" }.joined(separator: ", ")). Find the desired relationship in the 'details' key."
        case .noFunction(let mismatch): mismatch.suggestion.map { "Perhaps you meant to call the function \($0)" }
        case .ambiguousFunction:
            "Try renaming the parameters or the function itself in the database so function overloading can be resolved"
        case .noRelation(let schema, _, let suggestion):
            suggestion.map { "Perhaps you meant the table '\(schema).\($0)'" }
        case .invalidRaise(_, let hint): hint
        case .raised(let raised): raised.hint
        case .database(let refusal): refusal.hint
        case .syntax, .invalidBody, .rangeNotSatisfiable, .upsertNeedsKeyFilters, .upsertTakesNoRange,
            .upsertKeyMismatch, .mediaTypesUnavailable, .methodNotAllowed, .callMethodNotAllowed, .invalidPreferences,
            .invalidPath,
            .rootDisabled, .notImplemented, .relatedOrder, .aggregatesDisabled, .noColumn, .callAffectedNeedsSet,
            .notSingular, .tooManyAffected, .invalidHeadersSetting, .invalidStatusSetting, .unauthorized,
            .schemaCacheUnavailable, .connectionFailed, .connectionLost, .poolExhausted, .internalError:
            nil
        }
    }
}

extension RESTError.FunctionMismatch {
    var signature: String {
        if onlyUnnamed { return "\(schema).\(name)" }
        return arguments.isEmpty
            ? "\(schema).\(name) without parameters" : "\(schema).\(name)(\(arguments.joined(separator: ", ")))"
    }

    var details: String {
        let searched = "Searched for the function \(schema).\(name)"
        let unnamed = unnamedType.map { "with a single unnamed \($0) parameter" }
        if onlyUnnamed, let unnamed { return "\(searched) \(unnamed), but no matches were found in the schema cache." }
        let named =
            switch arguments.count {
            case 0: "without parameters"
            case 1: "with parameter \(arguments[0])"
            default: "with parameters \(arguments.joined(separator: ", "))"
            }
        let either = unnamed.map { "\(named) or \($0)" } ?? named
        return "\(searched) \(either), but no matches were found in the schema cache."
    }
}

extension RESTError {
    /// The response: the body of four keys, and the fields that go with the status.
    ///
    /// - Parameter showsDetails: without, the body has two keys: code and message.
    package func response(showsDetails: Bool = true) -> HTTPResponse {
        let body: JSON =
            showsDetails
            ? ["code": .string(code), "details": details, "hint": JSON(hint), "message": .string(message)]
            : ["code": .string(code), "message": .string(message)]
        var response = HTTPResponse.json(body, status: HTTPStatus(code: status))
        response.headers.append("Proxy-Status", "PostgREST; error=\(code)")
        switch self {
        case .rangeNotSatisfiable(_, let total?): response.headers.append("Content-Range", "*/\(total)")
        case .unauthorized(let code, let message, _):
            if status == 401 {
                response.headers.append(
                    "WWW-Authenticate",
                    code == "PGRST302"
                        ? "Bearer" : "Bearer error=\"invalid_token\", error_description=\"\(message)\"")
            }
        case .database(let refusal) where refusal.chosenStatus != nil: response.reason = refusal.message
        case .database where status == 401: response.headers.append("WWW-Authenticate", "Bearer")
        case .raised(let raised):
            response.reason = raised.statusText
            for field in raised.headers { response.headers.set(field.name, field.value) }
        case .poolExhausted, .connectionFailed, .connectionLost, .schemaCacheUnavailable:
            response.headers.append("Retry-After", "1")
        default: break
        }
        return response
    }
}
