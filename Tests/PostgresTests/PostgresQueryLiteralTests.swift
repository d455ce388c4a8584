// SPDX-License-Identifier: Apache-2.0
import Postgres
import Primitives
import TestSupport
import Testing

/// Statements whose values are written into their text say what they say with binds.
@Suite struct PostgresQueryLiteralTests {
    @Test func refusesWhatHasNoConstant() {
        #expect(throws: PostgresError.self) {
            try PostgresQuery(sql: "select $1", parameters: [PostgresParameter(binary: [0, 0, 0, 1], type: 23)])
                .inlined()
        }
        #expect(throws: PostgresError.self) { try PostgresQuery(sql: "select $2", parameters: [.null]).inlined() }
    }

    @Test(arguments: [
        "", "plain", "it's", "''", "\\", "\\'", "'; drop table t; --", "$1", "$$ $1 $$", "/* $1 */", "E'\\n'", "ü\n\t",
        "\\x41", "a\\", "\\\\'\\'", "{\"a\": \"b\\\"c\"}",
    ])
    func aTextIsItself(_ text: String) async throws {
        try await DatabaseFixture.run { fixture in
            let bytes = Array(text.utf8)
            let query: PostgresQuery = """
                select \(text) as "a $1", length(\(text)) /* $1 */, '$1', $q$ $1 $q$, \(bytes), \(String?.none)
                """
            let bound = try await fixture.database.query(query)
            let written = try await fixture.database.query(PostgresQuery(sql: try query.inlined()))
            for column in 0..<6 { #expect(written.string(0, column) == bound.string(0, column)) }
            #expect(written.string(0, 0) == text)
        }
    }

    @Test func typesAreInferredAsForBinds() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.query("create table t (id bigint, tags text[], at timestamptz, data jsonb)")
            let insertion: PostgresQuery =
                "insert into t values (\(7), \(["a'b", "c\\d"]), \("2026-01-01T00:00:00Z"), \(["a": [1]] as JSON))"
            try await fixture.database.query(PostgresQuery(sql: try insertion.inlined()))
            let selection: PostgresQuery = """
                select count(*) from t
                where id = \(7) and tags = \(["a'b", "c\\d"]) and at > \("2025-01-01") and data @> \(["a": [1]] as JSON)
                    and 10 between \(1) and \(20)
                limit \(5)
                """
            #expect(try await fixture.database.query(PostgresQuery(sql: try selection.inlined()))[0][0].int == 1)
        }
    }
}
