// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Console

@Suite struct MarkupTests {
    @Test(arguments: ["javascript:alert(1)", "java\tscript:x", " javascript:x", "data:text/html,x", "vbscript:x", "x"])
    func addressesThatRunAreNotLinked(_ address: String) {
        #expect(Markup(.a, .href(address)) { .data("x") }.html(in: .english) == ##"<a href="#">x</a>"##)
    }

    @Test func textsAndAttributesAreEscaped() {
        let markup = Markup(.p, .title(.words(#"a"b'<"#))) { .data("<&>\"'") }
        #expect(markup.html(in: .english) == "<p title=\"a&quot;b&#39;&lt;\">&lt;&amp;&gt;&quot;&#39;</p>")
    }

    @Test func voidElementsHaveNoEnd() {
        #expect(
            Markup(.input, .name("a"), .required(), .checked(false)).html(in: .english) == #"<input name="a" required>"#
        )
    }
}
