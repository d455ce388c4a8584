// SPDX-License-Identifier: Apache-2.0

/// The text of `--help`, and `docs/cli.md`.
enum Help {
    static func text(for commands: [Command]) -> String {
        guard let command = commands.last else { return "" }
        let path = commands.map(\.name).joined(separator: " ")
        var blocks = [command.summary]
        if !command.discussion.isEmpty { blocks.append(wrap(command.discussion, indent: "")) }
        blocks.append("Usage:\n  \(usage(path, command))")
        let visible = command.commands.filter { !$0.isHidden }
        if !visible.isEmpty { blocks.append("Commands:\n" + table(visible.map { ($0.name, $0.summary) })) }
        if !command.arguments.isEmpty {
            blocks.append("Arguments:\n" + table(command.arguments.map { ($0.name, $0.summary) }))
        }
        let own = commands.count > 1 ? command.options.filter { !$0.isHidden } : []
        if !own.isEmpty { blocks.append("Flags:\n" + table(own.map { ($0.usage, $0.summary) })) }
        let global = commands.first?.options.filter { !$0.isHidden } ?? []
        blocks.append("Flags of every command:\n" + table(global.map { ($0.usage, $0.summary) }))
        return blocks.joined(separator: "\n\n")
    }

    private static func usage(_ path: String, _ command: Command) -> String {
        var usage = path
        if !command.commands.isEmpty { usage += " COMMAND" }
        for argument in command.arguments { usage += argument.isOptional ? " [\(argument.name)]" : " \(argument.name)" }
        return usage + " [flags]"
    }

    private static func table(_ rows: [(String, String)]) -> String {
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { left, right in
            "  \(left)\(String(repeating: " ", count: width - left.count))  \(right)"
        }.joined(separator: "\n")
    }

    private static func wrap(_ text: String, indent: String) -> String {
        var lines = [indent]
        for word in text.split(separator: " ") {
            let last = lines.count - 1
            if lines[last].count + word.count >= 100 { lines.append(indent) }
            lines[lines.count - 1] += (lines[lines.count - 1] == indent ? "" : " ") + word
        }
        return lines.joined(separator: "\n")
    }

    // MARK: Markdown

    /// The commands as sections of a page.
    static var markdown: String {
        var text = "## Flags of every command\n\n" + flagTable(CommandTree.root.options)
        for command in CommandTree.root.commands where !command.isHidden {
            text += section(command, path: ["atoll"])
        }
        return text
    }

    private static func section(_ command: Command, path: [String]) -> String {
        let path = path + [command.name]
        if !command.commands.isEmpty {
            return command.commands.filter { !$0.isHidden }.map { section($0, path: path) }.joined()
        }
        let name = path.joined(separator: " ")
        var text = "\n## `\(name)`\n\n\(command.summary)"
        if !command.discussion.isEmpty { text += " \(command.discussion)" }
        text += "\n\n    \(usage(name, command))\n"
        for argument in command.arguments { text += "\n`\(argument.name)`: \(argument.summary)\n" }
        let options = command.options.filter { !$0.isHidden }
        if !options.isEmpty { text += "\n" + flagTable(options) }
        return text
    }

    private static func flagTable(_ options: [Command.Option]) -> String {
        "| Flag | Meaning |\n| --- | --- |\n"
            + options.filter { !$0.isHidden }.map { option in
                "| `\(String(option.usage.drop { $0 == " " }))` | \(option.summary)\(option.isRepeatable ? "; may be repeated" : "") |\n"
            }.joined()
    }
}
