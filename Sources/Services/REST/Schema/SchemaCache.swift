// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// What the service knows of the exposed schemas: a value made by one load, shared by the requests that began under it.
package struct SchemaCache: Sendable {
    /// Relations by schema and name.
    var relations: [QualifiedName: Relation]
    /// Overloads by schema and name.
    var functions: [QualifiedName: [Function]]
    /// Relationships by the relation they start from.
    var relationships: [QualifiedName: [Relationship]]
    /// Makers of bodies of media types that are not ours.
    var handlers: [MediaHandler.Key: MediaHandler] = [:]
    /// Settings of the roles that requests run as.
    var roles: [String: RoleSettings] = [:]
    /// Whether there is anything in the shape that tenants with a schema of their own have in common.
    var hasTenantShape = false
    /// Tells what was loaded later from what was loaded before.
    let generation = SchemaCache.generations.wrappingAdd(1, ordering: .relaxed).newValue

    private static let generations = Atomic<UInt64>(0)

    static let empty = SchemaCache(relations: [:], functions: [:], relationships: [:])

    /// The name of a relation of the schema that is close to `name`.
    func similarRelation(to name: String, in schema: String) -> String? {
        Similarity.best(
            of: relations.keys.lazy.filter { $0.schema == schema }.map(\.name), to: name,
            threshold: Similarity.nameThreshold)
    }

    /// The name of a function of the schema that is close to `name`.
    func similarFunction(to name: String, in schema: String) -> String? {
        Similarity.best(
            of: functions.keys.lazy.filter { $0.schema == schema }.map(\.name), to: name,
            threshold: Similarity.nameThreshold)
    }
}

/// A name in a schema.
struct QualifiedName: Sendable, Hashable {
    var schema: String
    var name: String
}

/// A table, view, materialized view, foreign table or partitioned table.
struct Relation: Sendable, Hashable {
    var name: QualifiedName
    var columns: [Column]
    /// In the order of the key.
    var primaryKey: [String]
    var isInsertable: Bool
    var isUpdatable: Bool
    var isDeletable: Bool
    /// Whether it is a table of any kind, not a view.
    var isTable: Bool

    func column(_ name: String) -> Column? { columns.first { $0.name == name } }
}

struct Column: Sendable, Hashable {
    var name: String
    /// As `format_type` writes it with an empty search path: fit for SQL as it is.
    var type: String
    /// The type under a domain, however deep; `type` itself where it is none.
    var baseType: String
    /// The expression of the default, from the catalog: fit for SQL as it is.
    var defaultExpression: String?
    /// How values of the column's domain are shown and read, where the domain says so.
    var representation = Representation()

    var isJSON: Bool { baseType == "json" || baseType == "jsonb" }
}

/// Functions behind the implicit casts between a domain and `json` or `text`: the domain's own form in requests and answers.
struct Representation: Sendable, Hashable {
    /// From the domain to `json`.
    var formatter: QualifiedName?
    /// From `json`, for bodies.
    var parser: QualifiedName?
    /// From `text`, for filters.
    var textParser: QualifiedName?
}

/// A function that can be called by `/rpc/`.
struct Function: Sendable, Hashable {
    enum Volatility: String, Sendable { case immutable = "i", stable = "s", volatile = "v" }

    enum Result: Sendable, Hashable {
        case void
        case scalar
        /// A composite type, of a relation where it is one, `record` or `table (...)`.
        case composite(relation: QualifiedName?)
    }

    struct Parameter: Sendable, Hashable {
        var name: String
        var type: String
        var hasDefault: Bool
        var isVariadic: Bool
    }

    var name: QualifiedName
    var parameters: [Parameter]
    var result: Result
    var returnsSet: Bool
    var volatility: Volatility
    /// Settings of the function that hold for the whole transaction when it is called by request, such as `statement_timeout`.
    var settings: [Setting]

    struct Setting: Sendable, Hashable {
        var name: String
        var value: String
    }

    /// Whether a function with these parameters can be called at all: arguments go by name, but for a single one that takes a whole body.
    static func isCallable(_ parameters: [(name: String, type: String)]) -> Bool {
        guard parameters.contains(where: { $0.name.isEmpty }) else { return true }
        return parameters.count == 1 && ["bytea", "json", "jsonb", "text", "xml"].contains(parameters[0].type)
    }

    /// The only parameter, when it has no name: it takes the whole request body.
    var unnamedParameter: Parameter? {
        parameters.count == 1 && parameters[0].name.isEmpty ? parameters[0] : nil
    }
}

/// How one relation leads to another.
struct Relationship: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case manyToOne(Link)
        case oneToOne(Link, isParent: Bool)
        case oneToMany(Link)
        case manyToMany(junction: QualifiedName, source: Link, target: Link)
        /// A function of the source's row that returns rows of the target.
        case computed(function: QualifiedName, isToOne: Bool)
    }

    /// A foreign key's columns as pairs, from the relation the relationship starts at (for a junction: from the end to the junction).
    struct Link: Sendable, Hashable {
        var constraint: String
        var pairs: [Pair]
    }

    struct Pair: Sendable, Hashable {
        var from: String
        var to: String
    }

    var source: QualifiedName
    var target: QualifiedName
    var kind: Kind

    /// Whether the foreign key is in the relation the relationship starts at.
    var refersToTarget: Bool {
        switch kind {
        case .manyToOne, .oneToOne(_, isParent: false): true
        case .oneToOne(_, isParent: true), .oneToMany, .manyToMany, .computed: false
        }
    }

    /// Whether other rows refer to the one the relationship starts at.
    var startsAtKeyTarget: Bool {
        switch kind {
        case .oneToOne(_, isParent: true), .oneToMany: true
        case .oneToOne(_, isParent: false), .manyToOne, .manyToMany, .computed: false
        }
    }

    func isComputed(named name: String) -> Bool {
        if case .computed(let function, _) = kind { function.name == name } else { false }
    }

    var isToOne: Bool {
        switch kind {
        case .manyToOne, .oneToOne, .computed(_, isToOne: true): true
        case .oneToMany, .manyToMany, .computed(_, isToOne: false): false
        }
    }
}
