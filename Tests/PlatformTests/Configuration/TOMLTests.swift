// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Platform

/// The parser behind the configuration.
@Suite struct TOMLTests {
    private static func parse(_ text: String) throws -> ConfigurationNode {
        try ConfigurationNode(toml: Array(text.utf8), file: "t")
    }

    @Test(arguments: [
        ("a = \n", 1, 5), ("a = 1 2\n", 1, 7), ("\n=1\n", 2, 1), ("a = \"\\q\"\n", 1, 5), ("a = [1,\n2\n", 3, 1),
        ("a.b = 1\na = 2\n", 2, 5), ("a = nope\n", 1, 5), ("a = \"open\nb = 1\n", 1, 5), ("a = 1\u{7f}", 1, 6),
    ])
    func refusesAtThePlaceOfTheError(_ text: String, line: Int, column: Int) {
        let error = #expect(throws: ConfigurationDiagnostic.self) { try Self.parse(text) }
        #expect(error?.line == line)
        #expect(error?.column == column)
        #expect(error?.message.isEmpty == false)
    }

    @Test(arguments: [
        String(repeating: "[", count: 200_000), "a = " + String(repeating: "{a=", count: 50_000),
        String(repeating: "a.", count: 100_000) + "a = 1", "[" + String(repeating: "a.", count: 100_000) + "a]",
        "a = \"\"\"\n\\\"\"\"\" # [[[\n" + "b = " + String(repeating: "[", count: 40),
    ])
    func refusesWhatIsNestedTooDeep(_ text: String) {
        let error = #expect(throws: ConfigurationDiagnostic.self) { try Self.parse(text) }
        #expect(error?.message.hasPrefix("nested deeper than 32") == true)
    }

    @Test func bracketsAndDotsInTextDoNotCount() throws {
        let brackets = String(repeating: "[.", count: 100)
        let node = try Self.parse(
            "a = \"\(brackets)\"\nb = '\(brackets)' # \(brackets)\nc = '''\n\(brackets)\n'''\nd = \"\"\"\n\(brackets)\\\n\"\"\"\n"
        )
        let entries = node.entries
        #expect(entries.map(\.key) == ["a", "b", "c", "d"])
    }

    @Test func keepsOrderPlacesAndTypes() throws {
        let node = try Self.parse("z = 1\na = 2.5\n[t.u]\nd = 2020-01-02\nb = [true, \"x\"]\n")
        let entries = node.entries
        #expect(entries.map(\.key) == ["z", "a", "t"])
        #expect(node["a"]?.origin == .file(line: 2, column: 5))
        #expect(node["a"]?.kind == "a number")
        #expect(node["t"]?["u"]?["d"]?.kind == "a date or time")
        #expect(node["t"]?["u"]?["b"]?.kind == "an array")
        #expect(node["t"]?["u"]?["b"]?.origin == .file(line: 5, column: 5))
    }

    @Test func readsALongDocumentAtOnce() throws {
        let text = (0..<20_000).map { "key\($0) = [1, 2]\n[table\($0)]\n" }.joined()
        let entries = try Self.parse(text).entries
        #expect(entries.count == 20_001)
    }
}

extension ConfigurationNode {
    /// The keys and values of a table; none of anything else.
    fileprivate var entries: [(key: String, node: ConfigurationNode)] {
        if case .table(let entries) = value { entries } else { [] }
    }
}
