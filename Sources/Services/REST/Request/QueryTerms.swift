// SPDX-License-Identifier: Apache-2.0

/// A column and the path into its JSON value: `data->a->>0`.
struct FieldPath: Sendable, Hashable {
    var name: String
    var steps: [JSONStep] = []

    var isWholeRow: Bool { name == "*" && steps.isEmpty }
}

/// One step into a JSON value: `->key`, `->>key`, `->0`.
struct JSONStep: Sendable, Hashable {
    enum Operand: Sendable, Hashable {
        case key(String)
        case index(Int32)
    }

    /// True for `->>`.
    var asText: Bool
    var operand: Operand
}

/// An item of `select=`.
indirect enum SelectItem: Sendable, Hashable {
    case field(SelectField)
    case relation(SelectRelation)
}

/// A column of `select=`, or an aggregate of one; `count()` has no field.
struct SelectField: Sendable, Hashable {
    var field: FieldPath?
    var alias: String?
    var cast: String?
    var aggregate: Aggregate?
    var aggregateCast: String?
}

enum Aggregate: String, Sendable, Hashable, CaseIterable {
    case sum, avg, count, max, min
}

/// An embedded relation of `select=`: `alias:name!hint!inner(items)`, or spread with `...`.
struct SelectRelation: Sendable, Hashable {
    enum Join: String, Sendable, Hashable {
        case left, inner
    }

    var name: String
    var alias: String?
    var hint: String?
    var join: Join?
    var isSpread: Bool
    var items: [SelectItem]
}

/// `not.` and an operation on a field.
struct Filter: Sendable, Hashable {
    var field: FieldPath
    var isNegated: Bool
    var operation: Operation
}

/// What a filter compares with.
enum Operation: Sendable, Hashable {
    case simple(SimpleOperator, String)
    case quantified(QuantifiedOperator, Quantifier?, String)
    case isIn([String])
    case `is`(IsValue)
    case isDistinct(String)
    case fullText(FullTextOperator, language: String?, String)
}

/// Operators that compare with one value. The raw value is the wire name.
enum SimpleOperator: String, Sendable, Hashable, CaseIterable {
    case neq, cs, cd, ov, sl, sr, nxr, nxl, adj
}

/// Operators that may be followed by `(any)` or `(all)`. The raw value is the wire name.
enum QuantifiedOperator: String, Sendable, Hashable, CaseIterable {
    case eq, gte, gt, lte, lt, like, ilike, match, imatch
}

enum Quantifier: String, Sendable, Hashable {
    case any, all
}

enum IsValue: String, Sendable, Hashable, CaseIterable {
    case null
    case notNull = "not_null"
    case `true`, `false`, unknown
}

/// Full-text operators. The raw value is the wire name.
enum FullTextOperator: String, Sendable, Hashable, CaseIterable {
    case fts, plfts, phfts, wfts
}

/// A tree of filters joined by `and` and `or`.
indirect enum LogicTree: Sendable, Hashable {
    enum Connective: String, Sendable, Hashable {
        case and, or
    }

    case filter(Filter)
    case group(isNegated: Bool, Connective, [LogicTree])
}

/// A term of `order=`: a field of the relation, or of an embedded one.
struct OrderTerm: Sendable, Hashable {
    enum Direction: String, Sendable, Hashable {
        case asc, desc
    }

    enum Nulls: String, Sendable, Hashable {
        case first = "nullsfirst"
        case last = "nullslast"
    }

    /// The embedded relation whose field it is, in `order=relation(field)`.
    var relation: String?
    var field: FieldPath
    var direction: Direction?
    var nulls: Nulls?
}

/// Something that belongs to the embedded relation at `path`; an empty path is the target itself.
struct AtPath<Value: Sendable & Hashable>: Sendable, Hashable {
    var path: [String]
    var value: Value
}
