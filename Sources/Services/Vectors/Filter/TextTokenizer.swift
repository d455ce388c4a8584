// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// How a full-text index takes a text apart; PostgreSQL does it for payloads and queries alike.
struct TextTokenizer: Sendable, Hashable {
    private enum Kind: String, CaseIterable { case word, whitespace, prefix, multilingual }

    /// What `tokenizer` of an index may be.
    static let names = Kind.allCases.map(\.rawValue)

    private var kind = Kind.word
    private var isLowercased = true
    private var minLength: Int?
    private var maxLength: Int?

    init() {}

    /// - Parameter settings: of a payload index of type `text`.
    init(_ settings: JSON) {
        kind = settings["tokenizer"]?.stringValue.flatMap(Kind.init) ?? .word
        isLowercased = settings["lowercase"]?.boolValue ?? true
        minLength = settings["min_token_len"]?.intValue
        maxLength = settings["max_token_len"]?.intValue
    }

    /// Whether a token of a query stands for every word that begins with it.
    var matchesPrefixes: Bool { kind == .prefix }

    /// The tokens of a text as a `text[]`.
    func tokensExpression(_ text: PostgresQuery) -> PostgresQuery {
        let cased: PostgresQuery = isLowercased ? "lower(\(text))" : text
        let split: PostgresQuery =
            kind == .whitespace
            ? "regexp_split_to_array(\(cased), '\\s+')" : "regexp_split_to_array(\(cased), '[^[:alnum:]]+')"
        guard minLength != nil || maxLength != nil else { return "array_remove(\(split), '')" }
        return """
            array(
                select t.token from unnest(\(split)) with ordinality as t (token, place)
                where char_length(t.token) between \(max(minLength ?? 1, 1))::integer and \(maxLength ?? 1_000_000)::integer
                order by t.place)
            """
    }

    /// Whether each token of `wanted` begins a token of `text`.
    func prefixCondition(_ text: PostgresQuery, _ wanted: PostgresQuery) -> PostgresQuery {
        """
        not exists (
            select from unnest(\(tokensExpression(wanted))) as w (token)
            where not exists (
                select from unnest(\(tokensExpression(text))) as t (token) where starts_with(t.token, w.token)))
        """
    }
}
