// SPDX-License-Identifier: Apache-2.0

/// What is read of one relation, with what is embedded in it: names resolved, nothing yet in SQL.
struct ReadPlan: Sendable, Hashable {
    /// Nil where the rows are those of a statement before: a mutation's or a function's.
    var relation: QualifiedName?
    /// What the relation is called in SQL.
    var alias: String
    /// What is known of its columns; empty for a function's free result.
    var columns: [Column]
    var fields: [SelectField]
    var filters: [LogicTree] = []
    var order: [OrderTerm] = []
    var range = RowRange.all
    var embeds: [Embed] = []

    /// An embedded relation.
    struct Embed: Sendable, Hashable {
        /// The key of the embedded value in the row.
        var name: String
        var relationship: Relationship
        /// What the joined value is called in SQL.
        var alias: String
        /// What the junction of a many-to-many relationship is called in SQL.
        var junctionAlias: String
        var isInner: Bool
        var isSpread: Bool
        /// Nothing selected: it filters, and the row does not show it.
        var isHidden: Bool
        var plan: ReadPlan
    }

    /// The embedded relation that a field of a filter names, where `name.is.null` asks whether there are embedded rows.
    func embed(named name: String) -> Embed? { embeds.first { $0.name == name } }

    /// Whether rows are aggregated, by a field of its own or by one that a spread to-one relation lifts into it.
    var aggregates: Bool {
        fields.contains { $0.aggregate != nil }
            || embeds.contains { $0.isSpread && $0.relationship.isToOne && $0.plan.aggregates }
    }

    var hasInnerEmbeds: Bool { embeds.contains { $0.isInner || $0.plan.hasInnerEmbeds } }
}

/// What a request does to a relation before its rows are read back.
struct MutationPlan: Sendable {
    enum Kind: Sendable {
        case insert(Rows, Conflict?, keyFilters: [Filter])
        case update(Rows)
        case delete
    }

    /// The rows of the request's body.
    struct Rows: Sendable {
        var bytes: [UInt8]
        var isArray: Bool
        /// The columns set, as the relation has them.
        var columns: [Column]
        var count: Int
        /// Whether a column missing in a row takes its default rather than null.
        var usesDefaults: Bool
    }

    /// What an insert does with rows that exist.
    struct Conflict: Sendable {
        var columns: [String]
        var merges: Bool
    }

    var relation: Relation
    var kind: Kind
    var filters: [LogicTree]
    /// What the statement returns: nil for no columns at all, so that no right to read them is needed.
    var returning: Returning

    enum Returning: Sendable {
        case nothing
        case columns([String])
        case everything(and: [String])
    }

    /// Whether the answer tells inserted rows from updated ones.
    var countsUpdates: Bool {
        if case .insert(_, let conflict?, _) = kind { conflict.merges } else { false }
    }
}

/// A function with what it is called with.
struct CallPlan: Sendable {
    enum Arguments: Sendable {
        /// Each a text form, cast to the parameter's type; several for a variadic one.
        case texts([(parameter: Function.Parameter, values: [String])])
        /// Members of the JSON object in the body, or of the first object of its array.
        case members(bytes: [UInt8], isArray: Bool, [Function.Parameter])
        /// The body as it is.
        case whole(bytes: [UInt8], Function.Parameter)
    }

    var function: Function
    var arguments: Arguments
}

/// Everything about a request that is decided before there is SQL.
struct Plan: Sendable {
    enum Source: Sendable {
        case relation
        case mutation(MutationPlan)
        case call(CallPlan)
    }

    var source: Source
    var read: ReadPlan
    var body: Body
    /// The answer's media type, and what makes the body where that is the database's.
    var media: MediaType
    var handler: MediaHandler?
    var count: Preferences.Count?
    var maxRows: Int?
    /// Primary key columns shown in `Location`; nil where there is none.
    var locationKey: [String]?
    /// Relations called by their own name though they are renamed, with the name they have.
    var formerNames: [String: String] = [:]

    var isMutation: Bool {
        if case .mutation = source { true } else { false }
    }

    /// The form of the answer's body.
    enum Body: Sendable, Hashable {
        case none
        case array(stripsNulls: Bool)
        case object(stripsNulls: Bool)
        /// A function's scalar result, or list of them.
        case scalar(isSet: Bool)
        /// A function's composite result that is no set.
        case composite(stripsNulls: Bool)
        case csv
        case geoJSON
        /// What an aggregate of the database's own makes of the rows.
        case handled(MediaHandler)
        /// A function's scalar as it is.
        case raw
    }
}
