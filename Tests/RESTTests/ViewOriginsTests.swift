// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import REST

/// From rewrite rules to the keys that views show.
struct ViewOriginsTests {
    private func target(_ number: Int, _ relation: Int, _ column: Int, name: String = "a") -> String {
        "{TARGETENTRY :expr {VAR :varno 1 :varattno 1} :resno \(number) :resname \(name) :ressortgroupref 0 "
            + ":resorigtbl \(relation) :resorigcol \(column) :resjunk false}"
    }

    private func rule(_ targets: String, inner: String = "") -> String {
        "({QUERY :commandType 1 :rtable ({RANGETBLENTRY :rtekind 1 :subquery {QUERY :targetList (\(inner)) :limitCount <>}}) "
            + ":targetList (\(targets)) :returningList <>})"
    }

    @Test func readsTheOutermostTargetsOnly() {
        let text = rule(
            target(1, 100, 3) + " " + target(2, 0, 0) + target(3, 200, 1, name: #"a\{b\ c"#), inner: target(1, 900, 9))
        #expect(
            ViewOrigins.origins(ofRule: text) == [
                1: .init(relation: 100, column: 3), 3: .init(relation: 200, column: 1),
            ])
    }

    @Test(arguments: [
        "", "{", "}}}", "({QUERY :targetList ({TARGETENTRY :resno", ":targetList \\", "({QUERY :targetList <>})",
    ])
    func takesAnyText(_ text: String) {
        #expect(ViewOrigins.origins(ofRule: text).isEmpty)
    }

    @Test func followsViewsOfViewsToTheTable() {
        func view(_ identifier: UInt32, _ name: String, _ columns: [String], _ origins: [Int: ViewOrigins.Origin])
            -> ViewOrigins.View
        {
            ViewOrigins.View(
                identifier: identifier, name: QualifiedName(schema: "api", name: name), columns: columns,
                origins: origins)
        }
        let views = ViewOrigins(
            [
                view(10, "hidden", ["x", "y"], [1: .init(relation: 1, column: 5), 2: .init(relation: 1, column: 6)]),
                view(
                    11, "shown", ["a", "b", "again"],
                    [
                        1: .init(relation: 10, column: 2), 2: .init(relation: 10, column: 1),
                        3: .init(relation: 10, column: 2),
                    ]),
                // What no PostgreSQL would hold: it must end all the same.
                view(12, "own", ["a"], [1: .init(relation: 12, column: 1)]),
            ], isExposed: { $0.name != "hidden" })
        #expect(
            views.appearances(of: [5, 6], in: 1).map(\.columns) == [["b", "a"], ["b", "again"]])
        #expect(views.appearances(of: [5, 7], in: 1).isEmpty)
        #expect(views.appearances(of: [5], in: 10).isEmpty)
    }
}
