// SPDX-License-Identifier: Apache-2.0
import Isolation
import Testing

@Suite struct SQLExpressionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var text: String
        var alwaysTrue = false
        var perRow: [String] = []
        var identity = false
        var unknown = false
        var testDescription: String { text }
    }

    static let cases: [Case] = [
        Case(text: "true", alwaysTrue: true),
        Case(text: "(1 = 1)", alwaysTrue: true),
        Case(text: "('a'::text = 'a'::text)", alwaysTrue: true),
        Case(text: "(user_id = user_id)", alwaysTrue: true),
        Case(text: "(NOT false)", alwaysTrue: true),
        Case(text: "((user_id = auth.uid()) OR true)", alwaysTrue: true, perRow: ["uid"], identity: true),
        Case(text: "((a = 1) AND true)"),
        Case(text: "false"),
        Case(text: "(1 = 2)"),
        Case(text: "(user_id = auth.uid())", perRow: ["uid"], identity: true),
        Case(text: "(user_id = ( SELECT auth.uid() AS uid))", identity: true),
        Case(
            text:
                "(tenant_id = ( SELECT (((auth.jwt() -> 'app_metadata'::text) ->> 'tenant_id'::text))::uuid AS uuid))",
            identity: true),
        Case(
            text: "(EXISTS ( SELECT 1 FROM public.members m WHERE ((m.team = t.team) AND (m.user_id = auth.uid()))))",
            perRow: ["uid"], identity: true),
        Case(
            text: "(EXISTS ( SELECT 1 FROM public.members m WHERE (m.user_id = ( SELECT auth.uid() AS uid))))",
            identity: true),
        Case(text: "(owner = current_setting('app.user'::text))", perRow: ["current_setting"], identity: true),
        Case(text: "public.is_member(team_id)", unknown: true),
        Case(text: "(lower(email) = 'auth.uid()'::text)"),
    ]

    @Test(arguments: cases) func isRead(_ example: Case) {
        let expression = SQLExpression(example.text)
        #expect(expression.isAlwaysTrue == example.alwaysTrue)
        #expect(expression.callsPerRow.map(\.name) == example.perRow)
        #expect(expression.asksForIdentity == example.identity)
        #expect(expression.callsUnknownFunction == example.unknown)
    }

    @Test func namesInStringsAndAliasesAreNotMentioned() {
        let expression = SQLExpression(#"((kind = 'tenant_id'::text) AND ("Team" = ( SELECT x.y AS user_id FROM x)))"#)
        #expect(!expression.mentions("tenant_id"))
        #expect(!expression.mentions("user_id"))
        #expect(expression.mentions("Team"))
        #expect(expression.strings == ["tenant_id"])
    }
}
