// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives
internal import Synchronization

// An answer is one cell, and a cell is held in memory whole. So a read's body comes only while it is small; one that is not is asked for
// again in pieces, which are sent on as they come.
extension Statement {
    /// The statement without a body beyond `maxBytes`, which a last column then says.
    func guarded(maxBytes: Int) -> PostgresQuery {
        let body = Self.name(Self.bodyColumn)
        var columns = names
        columns[Self.bodyColumn] = "case when pg_column_size(\(body)) <= \(maxBytes) then \(body) end"
        return PostgresQuery(
            sql:
                "select \(columns.joined(separator: ", ")), pg_column_size(\(body)) > \(maxBytes) from (\(query.sql)) as \(answer)",
            parameters: query.parameters)
    }

    /// The statement with a piece of the body in each row; the last column is how many bytes the whole has. For results in binary form, where
    /// text is bytes in the client's encoding.
    func sliced(bytes: Int) -> PostgresQuery {
        var outer = names.map { "\($0)::text" }
        outer[Self.bodyColumn] = "substr(\"_bytes\", \"_piece\" * \(bytes) + 1, \(bytes))"
        var inner = names
        inner[Self.bodyColumn] = "convert_to(\(Self.name(Self.bodyColumn))::text, 'UTF8') as \"_bytes\""
        // Without the fence each piece would convert the whole anew.
        return PostgresQuery(
            sql: """
                select \(outer.joined(separator: ", ")), octet_length("_bytes")::text \
                from (select \(inner.joined(separator: ", ")) from (\(query.sql)) as \(answer) offset 0) as "_whole" \
                cross join lateral generate_series(0, (octet_length("_bytes") - 1) / \(bytes)) as "_pieces"("_piece")
                """,
            parameters: query.parameters)
    }

    /// The column behind all of the statement's own: what ``guarded(maxBytes:)`` and ``sliced(bytes:)`` add.
    var addedColumn: Int { names.count }

    /// Where the body stands in what is read.
    static let bodyColumn = 2

    private static func name(_ column: Int) -> String { "\"_\(column)\"" }

    private var names: [String] {
        let count =
            ColumnIndex.firstOptional + [hasTotal, hasLocation, countsUpdates].count(where: { $0 })
        return (0..<count).map(Self.name)
    }

    private var answer: String { "\"_answer\"(\(names.joined(separator: ", ")))" }
}

/// The statements whose last answer was too large to hold, bounded: those begin with pieces.
final class LargeAnswers: Sendable {
    private let statements = Mutex(RecentlyUsed<Int, Bool>(maxEntries: 2048))

    func contains(_ query: PostgresQuery) -> Bool {
        statements.withLock { $0.value(for: query.sqlHash, cost: 1) ?? false }
    }

    /// Notes whether the query's answer was large. Most never are, and take no room.
    func note(_ query: PostgresQuery, isLarge: Bool) {
        statements.withLock { $0.insert(isLarge, for: query.sqlHash, cost: 1) }
    }
}

/// A body in pieces.
struct LargeBody: Sendable {
    /// Of all pieces together.
    var byteCount: Int
    var first: PostgresResult
    var rest: PostgresRows

    /// Bytes of a piece.
    static let pieceBytes = 128 << 10

    /// Hands each piece on; `write` returns when more may come.
    func forEachPiece(_ write: ([UInt8]) async throws -> Void) async throws {
        var row: PostgresResult? = first
        while let piece = row {
            try await write(piece.withBytes(0, Statement.bodyColumn) { Array($0) })
            row = try await rest.next()
        }
    }
}
