// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import REST

struct PreferencesTests {
    @Test func keepsWhatIsUnknownForStrictHandling() {
        let preferences = Preferences(headers: ["return=all, handling=strict", "nonsense,count=none, max-affected=-1"])
        #expect(preferences.invalid == ["return=all", "nonsense", "count=none", "max-affected=-1"])
    }

    @Test func firstOfOneKindWins() {
        let preferences = Preferences(headers: ["return=minimal", "return=representation, count=exact"])
        #expect(preferences.return == .minimal)
        #expect(preferences.applied(.representation, allowsTransactionOverride: false) == "return=minimal, count=exact")
    }

    @Test func appliesOnlyWhatTheActionHeeds() {
        let preferences = Preferences(headers: [
            "max-affected=2, timezone=UTC, tx=rollback, missing=default, resolution=merge-duplicates, handling=strict"
        ])
        #expect(preferences.applied([], allowsTransactionOverride: false) == "handling=strict, timezone=UTC")
        #expect(
            preferences.applied([.resolution, .missing, .maxAffected], allowsTransactionOverride: true)
                == "resolution=merge-duplicates, missing=default, tx=rollback, handling=strict, timezone=UTC, max-affected=2"
        )
        #expect(Preferences(headers: []).applied(.representation, allowsTransactionOverride: true) == nil)
    }
}

struct RowRangeTests {
    @Test(arguments: [
        ("0-9", RowRange.Header.range(RowRange(offset: 0, limit: 10))),
        ("items=5-", .range(RowRange(offset: 5))),
        ("9-3", .reversed), ("-5", .absent), ("bytes", .absent), ("1-x", .absent), ("99999999999999999999-", .absent),
        ("0-9223372036854775807", .range(RowRange(offset: 0))),
    ])
    func readsHeaders(_ text: String, _ header: RowRange.Header) {
        #expect(RowRange.header(text) == header)
    }

    @Test func intersects() {
        let asked = RowRange(offset: 2, limit: 10)
        #expect(asked.intersection(.all) == asked)
        #expect(asked.intersection(RowRange(offset: 5, limit: 100)) == RowRange(offset: 5, limit: 7))
        #expect(asked.intersection(RowRange(offset: 50, limit: 1)) == RowRange(offset: 50, limit: 0))
        #expect(RowRange(offset: .max, limit: .max).intersection(asked).limit == 0)
    }
}

struct MediaTypeTests {
    @Test func ordersByQuality() {
        #expect(MediaType.accepted("text/csv;q=0.5, application/json, */*;q=0") == [.json, .csv])
        #expect(MediaType.accepted(nil) == [.any])
        #expect(MediaType.accepted("application/vnd.pgrst.object+json; nulls=stripped") == [.object(stripsNulls: true)])
        #expect(MediaType.accepted("application/vnd.pgrst.array+json") == [.json])
    }
}

struct CSVTests {
    @Test(arguments: ["\"a", "\"a\"b,c", "x\n\"y"])
    func refusesOpenQuotes(_ text: String) {
        #expect(CSV.parse(Array(text.utf8)) == nil)
    }

    @Test func readsQuotedFieldsAndLineEnds() {
        #expect(CSV.parse(Array("a,b\r\n\"x,\"\"y\",\n".utf8)) == [["a", "b"], ["x,\"y", ""]])
    }
}

struct SimilarityTests {
    @Test func suggestsOnlyWhatIsClose() {
        let names = ["projects", "clients"]
        #expect(Similarity.best(of: names, to: "projectx", threshold: Similarity.nameThreshold) == "projects")
        #expect(Similarity.best(of: names, to: "projxxxx", threshold: Similarity.nameThreshold) == nil)
        #expect(Similarity.best(of: names, to: "projxxxx", threshold: Similarity.looseThreshold) == "projects")
        #expect(Similarity.best(of: names, to: "Clients", threshold: 1) == "clients")
        // As far apart, and without two letters in a row in common.
        #expect(Similarity.best(of: ["axbxcx"], to: "zbzczz", threshold: Similarity.looseThreshold) == nil)
        #expect(Similarity.best(of: [], to: "a", threshold: 0) == nil)
    }
}

struct DatabaseRefusalTests {
    @Test(arguments: [
        ("23505", false, 409), ("42501", true, 401), ("42501", false, 403), ("42P01", false, 404),
        ("22P02", false, 400),
        ("25006", false, 405), ("P0001", false, 400), ("P0002", false, 500), ("PT418", false, 418),
        ("PTabc", false, 500),
        ("PT999999", false, 500), ("21000", false, 500), ("40001", false, 500), ("57014", false, 500),
        ("08006", false, 503),
    ])
    func mapsStates(_ state: String, _ isAnonymous: Bool, _ status: Int) {
        let refusal = RESTError.DatabaseRefusal(
            sqlState: state, message: "", details: nil, hint: nil, isAnonymous: isAnonymous)
        #expect(refusal.status == status)
    }
}
