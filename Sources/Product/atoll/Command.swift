// SPDX-License-Identifier: Apache-2.0

/// A command, or a group of them: all that parsing, help, completion and `docs/cli.md` need to know.
struct Command: Sendable {
    let name: String
    let summary: String
    /// Paragraphs below the summary.
    var discussion = ""
    var arguments: [Argument] = []
    var options: [Option] = []
    var commands: [Command] = []
    /// Not in help, completion and docs.
    var isHidden = false
    /// nil for a group.
    var run: (@Sendable (Invocation) throws -> Int32)?

    /// A word that a command takes by its place.
    struct Argument: Sendable {
        let name: String
        let summary: String
        var isOptional = false
        /// All the words it may be; nil for any.
        var choices: [String]?
    }

    /// A flag.
    struct Option: Sendable {
        let name: String
        var letter: Character?
        /// What stands for its value in help; nil for a switch.
        var value: String?
        let summary: String
        var choices: [String]?
        var isRepeatable = false
        var isHidden = false

        /// "-o, --output FORMAT"
        var usage: String {
            (letter.map { "-\($0), " } ?? "    ") + "--\(name)" + (value.map { " \($0)" } ?? "")
        }
    }
}
