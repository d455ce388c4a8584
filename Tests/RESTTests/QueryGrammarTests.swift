// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import REST

struct QueryGrammarTests {
    struct Refusal: Sendable, CustomTestStringConvertible {
        var kind: Kind
        var text: String
        var column: Int
        var details: String
        var testDescription: String { "\(kind) \(text)" }

        enum Kind: Sendable { case select, columns, order, filter, logic, key }
    }

    private static let field = "field name (* or [a..z0..9_$])"

    @Test(arguments: [
        Refusal(kind: .select, text: "data->>--34", column: 9, details: "unexpected \"-\" expecting digit"),
        Refusal(kind: .select, text: "id,", column: 4, details: "unexpected end of input expecting \(field)"),
        Refusal(kind: .select, text: "a(b", column: 4, details: "unexpected end of input expecting \",\" or \")\""),
        Refusal(
            kind: .select, text: "id.total()", column: 4,
            details: "unexpected \"t\" expecting aggregate (sum, avg, count, max, min)"),
        Refusal(
            kind: .select, text: "id::", column: 5,
            details: "unexpected end of input expecting type name ([a..z0..9_$])"),
        Refusal(kind: .columns, text: "", column: 1, details: "unexpected end of input expecting \(field)"),
        Refusal(
            kind: .order, text: "id.asc.nullslasttt", column: 17,
            details: "unexpected 't' expecting \",\" or end of input"),
        Refusal(
            kind: .filter, text: "equals.1", column: 1,
            details: "unexpected \"e\" expecting \"not\" or operator (eq, gt, ...)"),
        Refusal(kind: .filter, text: "eq", column: 3, details: "unexpected end of input expecting delimiter (.)"),
        Refusal(kind: .filter, text: "in.1,2", column: 4, details: "unexpected \"1\" expecting \"(\""),
        Refusal(kind: .filter, text: "in.(1,2", column: 8, details: "unexpected end of input expecting \",\" or \")\""),
        Refusal(
            kind: .filter, text: "is.maybe", column: 4,
            details: "unexpected \"m\" expecting isVal: (null, not_null, true, false, unknown)"),
        Refusal(
            kind: .logic, text: "or()", column: 4,
            details:
                "unexpected \")\" expecting \(field), negation operator (not) or logic operator (and, or)"),
        Refusal(kind: .key, text: "a..b", column: 3, details: "unexpected \".\" expecting \(field)"),
        Refusal(kind: .key, text: "é.\"", column: 4, details: "unexpected end of input expecting \"\\\"\""),
    ])
    func refusesWithPosition(_ refusal: Refusal) {
        #expect(throws: QuerySyntaxError(column: refusal.column, details: refusal.details)) {
            switch refusal.kind {
            case .select: _ = try QueryGrammar.select(refusal.text)
            case .columns: _ = try QueryGrammar.columns(refusal.text)
            case .order: _ = try QueryGrammar.order(refusal.text)
            case .filter: _ = try QueryGrammar.filterValue(refusal.text)
            case .logic: _ = try QueryGrammar.logicTree(refusal.text)
            case .key: _ = try QueryGrammar.filterKey(refusal.text)
            }
        }
    }

    @Test func refusesNestingWithoutEnd() {
        let deep = String(repeating: "a(", count: 10_000)
        #expect(throws: QuerySyntaxError.self) { try QueryGrammar.select(deep) }
        #expect(throws: QuerySyntaxError.self) {
            try QueryGrammar.logicTree(String(repeating: "and(", count: 10_000))
        }
        #expect(throws: QuerySyntaxError.self) {
            try QueryGrammar.filterKey("a" + String(repeating: "->b", count: 1_000))
        }
    }

    @Test func selectsFieldsWithAliasCastAndPath() throws {
        let items = try QueryGrammar.select(#"*,name:full_name::text,data->a->>0,"odd, name",x-y"#)
        #expect(
            items == [
                .field(SelectField(field: FieldPath(name: "*"))),
                .field(SelectField(field: FieldPath(name: "full_name"), alias: "name", cast: "text")),
                .field(
                    SelectField(
                        field: FieldPath(
                            name: "data",
                            steps: [
                                JSONStep(asText: false, operand: .key("a")), JSONStep(asText: true, operand: .index(0)),
                            ]))),
                .field(SelectField(field: FieldPath(name: "odd, name"))),
                .field(SelectField(field: FieldPath(name: "x-y"))),
            ])
    }

    @Test func selectsRelationsWithHintJoinAndSpread() throws {
        let items = try QueryGrammar.select("a:b!fk!inner(id,...c(*)),count(),total:price.sum()::int")
        let inner = SelectRelation(
            name: "c", alias: nil, hint: nil, join: nil, isSpread: true,
            items: [.field(SelectField(field: FieldPath(name: "*")))])
        #expect(
            items == [
                .relation(
                    SelectRelation(
                        name: "b", alias: "a", hint: "fk", join: .inner, isSpread: false,
                        items: [.field(SelectField(field: FieldPath(name: "id"))), .relation(inner)])),
                .field(SelectField(aggregate: .count)),
                .field(
                    SelectField(
                        field: FieldPath(name: "price"), alias: "total", aggregate: .sum, aggregateCast: "int")),
            ])
    }

    struct Value: Sendable {
        var text: String
        var isNegated: Bool
        var operation: Operation
    }

    @Test(arguments: [
        Value(text: "eq.a.b,c", isNegated: false, operation: .quantified(.eq, nil, "a.b,c")),
        Value(text: "not.like(any).{a*,b}", isNegated: true, operation: .quantified(.like, .any, "{a*,b}")),
        Value(text: #"in.(1,"a,\"b",c d)"#, isNegated: false, operation: .isIn(["1", "a,\"b", "c d"])),
        Value(text: #"in.("a"b,c)"#, isNegated: false, operation: .isIn(["\"a\"b", "c"])),
        Value(text: "is.NULL", isNegated: false, operation: .is(.null)),
        Value(text: "isdistinct.1", isNegated: false, operation: .isDistinct("1")),
        Value(text: "fts(english).cat", isNegated: false, operation: .fullText(.fts, language: "english", "cat")),
        Value(text: "neq.", isNegated: false, operation: .simple(.neq, "")),
    ])
    func readsOperations(_ value: Value) throws {
        let parsed = try QueryGrammar.filterValue(value.text)
        #expect(parsed.isNegated == value.isNegated)
        #expect(parsed.operation == value.operation)
    }

    @Test func readsLogicTrees() throws {
        let tree = try QueryGrammar.logicTree(#"not.or(a.eq.1,and(b.in.(1,2),c.not.is.null),d.cs.{x,y})"#)
        func filter(_ name: String, _ isNegated: Bool, _ operation: Operation) -> LogicTree {
            .filter(Filter(field: FieldPath(name: name), isNegated: isNegated, operation: operation))
        }
        #expect(
            tree
                == .group(
                    isNegated: true, .or,
                    [
                        filter("a", false, .quantified(.eq, nil, "1")),
                        .group(
                            isNegated: false, .and,
                            [filter("b", false, .isIn(["1", "2"])), filter("c", true, .is(.null))]),
                        filter("d", false, .simple(.cs, "{x,y}")),
                    ]))
    }

    /// Random texts of the grammar's own letters: every rule ends, and says where it stopped.
    @Test func survivesRandomTexts() {
        var random = SeededGenerator(seed: 20_261_121)
        let alphabet =
            Array(#"abz09_$ "\().,:->!*{}é"#)
            + ["not.", "and(", "or(", "in.(", "eq.", "::", "->>", "count()"]
            .flatMap { Array($0) }
        for _ in 0..<20_000 {
            let text = String(
                (0..<Int.random(in: 0..<40, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
            let count = text.unicodeScalars.count
            func check(_ rule: () throws -> Void) {
                do { try rule() } catch let error as QuerySyntaxError {
                    #expect(error.column >= 1 && error.column <= count + 1, "\(text)")
                    #expect(!error.details.isEmpty)
                } catch { Issue.record("\(error)") }
            }
            check { _ = try QueryGrammar.select(text) }
            check { _ = try QueryGrammar.columns(text) }
            check { _ = try QueryGrammar.order(text) }
            check { _ = try QueryGrammar.filterKey(text) }
            check { _ = try QueryGrammar.filterValue(text) }
            check { _ = try QueryGrammar.logicTree(text) }
        }
    }
}
