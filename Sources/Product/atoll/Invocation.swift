// SPDX-License-Identifier: Apache-2.0
internal import Platform

/// A parsed command line.
struct Invocation: Sendable {
    /// From the program itself to the command that was called.
    private(set) var commands: [Command]
    private(set) var wantsHelp = false
    private var values: [String: [String]] = [:]
    private var words: [String] = []

    var command: Command { commands[commands.count - 1] }

    func has(_ option: String) -> Bool { values[option] != nil }
    func value(_ option: String) -> String? { values[option]?.last }
    func all(_ option: String) -> [String] { values[option] ?? [] }
    /// The word for the argument at a place.
    func argument(_ index: Int) -> String? { index < words.count ? words[index] : nil }

    var workdir: String { value("workdir") ?? "." }

    /// Flags may stand anywhere after the program's name, as `--name value`, `--name=value`, `-n value` or `-nvalue`; `--` ends them.
    init(parsing arguments: [String], root: Command) throws(UsageError) {
        commands = [root]
        var rest = arguments[...]
        var flagsEnded = false
        while let word = rest.popFirst() {
            if !flagsEnded, word == "--" {
                flagsEnded = true
            } else if !flagsEnded, word.hasPrefix("-"), word.count > 1 {
                try parseOption(word, &rest)
            } else if !command.commands.isEmpty, words.isEmpty {
                try enter(word)
            } else {
                words.append(word)
            }
        }
        if !wantsHelp, !has("version") { try checkArguments() }
    }

    private var path: String { commands.map(\.name).joined(separator: " ") }
    private var help: String { "`\(path) --help` lists what there is" }

    private mutating func enter(_ word: String) throws(UsageError) {
        if word == "help" {
            wantsHelp = true
            return
        }
        guard let found = command.commands.first(where: { $0.name == word }) else {
            // In help anything after a wrong word is noise.
            if wantsHelp { return }
            let meant = suggestion(for: word, among: command.commands.filter { !$0.isHidden }.map(\.name))
            throw UsageError(
                message: "there is no command `\(path) \(word)`",
                next: meant.map { "did you mean `\(path) \($0)`?" } ?? help)
        }
        commands.append(found)
    }

    private mutating func parseOption(_ word: String, _ rest: inout ArraySlice<String>) throws(UsageError) {
        // A command's own flag stands before one of the same name that all commands have.
        let known = commands.reversed().flatMap(\.options)
        var attached: String?
        let option: Command.Option?
        let shown: String
        if word.hasPrefix("--") {
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts.first.map(String.init) ?? ""
            attached = parts.count == 2 ? String(parts[1]) : nil
            option = known.first { $0.name == name }
            shown = "--\(name)"
        } else {
            let letter = word[word.index(after: word.startIndex)]
            let tail = word.dropFirst(2)
            attached = tail.isEmpty ? nil : String(tail.hasPrefix("=") ? tail.dropFirst() : tail)
            option = known.first { $0.letter == letter }
            shown = "-\(letter)"
        }
        guard let option else {
            let names = known.filter { !$0.isHidden }.map { "--\($0.name)" }
            let meant = suggestion(for: shown, among: names)
            throw UsageError(
                message: "`\(path)` has no flag \(shown)", next: meant.map { "did you mean \($0)?" } ?? help)
        }
        if option.name == "help" {
            wantsHelp = true
            return
        }
        guard let placeholder = option.value else {
            if let attached, attached != "true", attached != "false" {
                throw UsageError(message: "\(shown) takes no value", next: help)
            }
            if attached != "false" { values[option.name] = [""] }
            return
        }
        guard let value = attached ?? rest.popFirst() else {
            throw UsageError(message: "\(shown) needs a value: \(shown) \(placeholder)", next: help)
        }
        if let choices = option.choices, !choices.contains(value) {
            throw UsageError(
                message: "\(shown) cannot be \"\(value)\"", next: "use one of \(choices.joined(separator: ", "))")
        }
        guard option.isRepeatable || values[option.name] == nil else {
            throw UsageError(message: "\(shown) is given twice", next: "keep one of them")
        }
        values[option.name, default: []].append(value)
    }

    private func checkArguments() throws(UsageError) {
        guard command.run != nil else { return }
        if words.count > command.arguments.count {
            throw UsageError(message: "`\(path)` takes no \"\(words[command.arguments.count])\"", next: help)
        }
        for (index, argument) in command.arguments.enumerated() {
            guard let word = self.argument(index) else {
                if argument.isOptional { continue }
                throw UsageError(message: "`\(path)` needs \(argument.name): \(argument.summary)", next: help)
            }
            if let choices = argument.choices, !choices.contains(word) {
                throw UsageError(
                    message: "\(argument.name) cannot be \"\(word)\"",
                    next: "use one of \(choices.joined(separator: ", "))")
            }
        }
    }
}
