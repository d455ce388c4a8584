// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// One SQL statement with its binds; values never become part of the text.
///
///     let query: PostgresQuery = "select * from \(identifier: table) where id = \(id)"
///
/// `\(value)` binds the next `$n`, `\(identifier: name)` quotes a name, and a query inside a query is spliced with its binds
/// renumbered.
package struct PostgresQuery: Sendable, Hashable {
    /// The statement with `$1`, `$2`, ... for the binds.
    package private(set) var sql: String
    /// The hash of the text where somebody has computed it for all the times the query is run.
    private var knownHash: Int?
    /// What is bound, in order.
    package private(set) var parameters: [PostgresParameter]
    /// Whether connections keep the statement prepared. False for what runs once (migrations, seeds).
    package var isPrepared = true

    /// A statement written out, with `$n` where the parameters belong.
    package init(sql: String, parameters: [PostgresParameter] = []) {
        self.sql = sql
        self.parameters = parameters
    }

    /// Adds another query's text and binds at the end; a literal is a query without binds.
    package mutating func append(_ other: PostgresQuery) {
        knownHash = nil
        sql += parameters.isEmpty ? other.sql : Self.renumber(other.sql, by: parameters.count)
        parameters += other.parameters
    }

    /// Adds a bind of `value`.
    package mutating func bind(_ value: some PostgresEncodable) {
        knownHash = nil
        parameters.append(value.postgresParameter)
        sql += "$"
        sql += String(parameters.count)
    }

    /// Computes the hash of the text now, for a query that is kept and run many times.
    package mutating func rememberHash() { knownHash = QuickHash.of(sql) }

    /// A hash of the text, which tells statements apart in tables in memory.
    package var sqlHash: Int { knownHash ?? QuickHash.of(sql) }

    package static func == (left: PostgresQuery, right: PostgresQuery) -> Bool {
        left.isPrepared == right.isPrepared && left.parameters == right.parameters && left.sql == right.sql
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(sqlHash)
        hasher.combine(parameters)
    }

    /// Binds other texts in place of those at `indices`.
    package mutating func replaceParameters(at indices: [Int], with texts: [String]) {
        for (index, text) in zip(indices, texts) { parameters[index] = PostgresParameter(text: text) }
    }

    package static func += (query: inout PostgresQuery, other: PostgresQuery) { query.append(other) }

    package static func + (first: PostgresQuery, second: PostgresQuery) -> PostgresQuery {
        var sum = first
        sum.append(second)
        return sum
    }

    /// The text with every `$n` raised by `offset`; dollars in strings, comments and names stay.
    private static func renumber(_ sql: String, by offset: Int) -> String {
        guard sql.utf8.contains(UInt8(ascii: "$")) else { return sql }
        var lexer = SQLLexer(sql)
        var result: [UInt8] = []
        result.reserveCapacity(lexer.bytes.count + 8)
        while let token = lexer.next() {
            if case .bind(let number) = token.kind {
                result.append(UInt8(ascii: "$"))
                result.append(contentsOf: String(number + offset).utf8)
            } else {
                result.append(contentsOf: lexer.bytes[token.range])
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

extension PostgresQuery: ExpressibleByStringInterpolation {
    package init(stringLiteral value: String) {
        self.init(sql: value)
    }

    package init(stringInterpolation: StringInterpolation) {
        self = stringInterpolation.query
    }

    /// Builds a query from a literal; see ``PostgresQuery``.
    package struct StringInterpolation: StringInterpolationProtocol {
        var query = PostgresQuery(sql: "")

        package init(literalCapacity: Int, interpolationCount: Int) {
            query.sql.reserveCapacity(literalCapacity + interpolationCount * 3)
            query.parameters.reserveCapacity(interpolationCount)
        }

        package mutating func appendLiteral(_ literal: String) {
            query.sql += literal
        }

        package mutating func appendInterpolation(_ value: some PostgresEncodable) {
            query.bind(value)
        }

        /// Binds SQL NULL for nil.
        package mutating func appendInterpolation(_ value: (some PostgresEncodable)?) {
            query.bind(value)
        }

        package mutating func appendInterpolation(identifier: String) {
            query.sql += quoteIdentifier(identifier)
        }

        /// `"schema"."name"`.
        package mutating func appendInterpolation(identifier: String, in schema: String) {
            query.sql += quoteIdentifier(schema) + "." + quoteIdentifier(identifier)
        }

        package mutating func appendInterpolation(_ other: PostgresQuery) {
            query.append(other)
        }
    }
}
