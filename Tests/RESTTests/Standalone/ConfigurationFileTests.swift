// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import REST

@Suite struct ConfigurationFileTests {
    private static func parse(_ text: String) throws -> [String: ConfigurationFile.Value] {
        try ConfigurationFile(text: text, variable: { $0 == "NAME" ? "value" : nil }).values
    }

    @Test(arguments: [
        ("a", 1, 2), ("a =", 1, 4), ("= 1", 1, 1), ("\n  a = b", 2, 8), (#"a = "b"#, 1, 7), ("a = \"b\nc\"", 1, 7),
        (#"a = "\x""#, 1, 8), (#"a = "\u12""#, 1, 10), (#"a = "$b""#, 1, 7), (#"a = "$(b""#, 1, 9),
        (#"a = "$()""#, 1, 8),
        (#"a = "$(OTHER)""#, 1, 14), ("a = 1.2.3", 1, 10), ("a = [1", 1, 7), ("a = [1 2]", 1, 8), ("a {", 1, 4),
        ("}", 1, 1),
        ("1a = 2", 1, 3),
    ])
    func refusesWithThePlace(_ text: String, _ line: Int, _ column: Int) {
        var message = ""
        do { _ = try Self.parse(text) } catch { message = "\(error)" }
        #expect(message.hasPrefix("configuration file, line \(line), column \(column): "), "\(message)")
    }

    @Test func refusesEndlessNesting() {
        for text in [String(repeating: "a {", count: 100), "a = " + String(repeating: "[", count: 100)] {
            #expect(throws: StandaloneConfigurationError.self) { try Self.parse(text) }
        }
        #expect(throws: StandaloneConfigurationError.self) {
            try ConfigurationFile(text: #"import "a""#, variable: { _ in nil }, load: { _ in #"import "a""# })
        }
        #expect(throws: (any Error).self) { try Self.parse(#"import "a""#) }
    }

    @Test func readsValuesOfEveryKind() throws {
        let values = try Self.parse(
            #"""
            # a comment
            text = "a \"b\" \\ \n\t\u0041 $$ $(NAME)"   # another
            number = -1.5e3  flag = off
            list = ["a", 1, true,]
            app { settings { name = "x" } }
            app.settings.other="y"
            text2 = ""
            number = 2
            """#)
        #expect(
            values == [
                "text": .string("a \"b\" \\ \n\tA $ value"), "number": .number("2"), "flag": .boolean(false),
                "list": .list([.string("a"), .number("1"), .boolean(true)]), "app.settings.name": .string("x"),
                "app.settings.other": .string("y"), "text2": .string(""),
            ])
    }

    @Test func readsWhatItImportsInItsPlace() throws {
        let file = try ConfigurationFile(
            text: #"a = 1 group { import "other" }"#, variable: { _ in nil },
            load: { $0 == "other" ? "b = 2" : "" })
        #expect(file.values == ["a": .number("1"), "group.b": .number("2")])
    }
}
