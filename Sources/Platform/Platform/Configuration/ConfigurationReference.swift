// SPDX-License-Identifier: Apache-2.0

/// The reference of all keys, made of the tables that read them.
package enum ConfigurationReference {
    /// A key, or with `type` nil the section its followers belong to.
    package struct Entry: Sendable {
        package let path: [String]
        package let type: String?
        /// The default as TOML writes it; nil when the key is unset by default.
        package let defaultText: String?
        package let summary: String
        package let variables: [String]

        static func section(_ path: [String], _ summary: String) -> Entry {
            Entry(path: path, type: nil, defaultText: nil, summary: summary, variables: [])
        }

        static func key<Section>(
            _ field: ConfigurationField<Section>, _ parent: [String], type: String, defaultText: String?
        ) -> Entry {
            Entry(
                path: parent + [field.name], type: type, defaultText: defaultText, summary: field.summary,
                variables: field.variables)
        }

        /// The variable made of the path: `ATOLL_` and what follows `[atoll]`, or `SUPABASE_` and the whole path.
        package var overridingVariable: String {
            let own = path.first == "atoll"
            return (own ? "ATOLL_" : "SUPABASE_")
                + (own ? path.dropFirst() : path[...]).joined(separator: "_").uppercased()
        }
    }

    /// All keys in the order of their tables.
    package static var entries: [Entry] { entries(ProjectConfiguration.self, []) }

    static func entries<Section: ConfigurationSection>(_ type: Section.Type, _ path: [String]) -> [Entry] {
        let described = Section.fields.map { $0.describe($0, path) }
        // A table's own keys come before the tables in it, as they must in the file.
        return described.filter { $0.first?.type != nil }.flatMap { $0 }
            + described.filter { $0.first?.type == nil }.flatMap { $0 }
    }

    /// The reference as Markdown: one table for each section.
    package static var markdown: String {
        var text = ""
        var tableIsOpen = false
        for entry in entries {
            guard let type = entry.type else {
                text += "\n### `[\(heading(entry.path))]`\n\n\(entry.summary)\n"
                tableIsOpen = false
                continue
            }
            if !tableIsOpen {
                text += "\n| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n"
                tableIsOpen = true
            }
            let variables =
                entry.variables.isEmpty
                ? "" : " Environment: " + entry.variables.map { "`\($0)`" }.joined(separator: ", ") + "."
            let value = entry.defaultText.map { $0 == "\"\"" ? "empty" : "`\(cell($0))`" } ?? "unset"
            text += "| `\(entry.path.last ?? "")` | \(cell(type)) | \(value) | \(cell(entry.summary + variables)) |\n"
        }
        return text
    }

    private static func heading(_ path: [String]) -> String {
        guard let last = path.last, last.hasPrefix("[") else { return path.joined(separator: ".") }
        return "[\((path.dropLast() + [String(last.dropFirst().dropLast())]).joined(separator: "."))]"
    }

    private static func cell(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }
}
