// SPDX-License-Identifier: Apache-2.0

/// `atoll completion`: scripts that ask the program itself what may come next, so that they never fall behind it.
enum CompletionCommand {
    static let shells = ["bash", "zsh", "fish"]

    static func run(_ invocation: Invocation) throws -> Int32 {
        switch invocation.argument(0) {
        case "bash": Output.print(bash)
        case "zsh": Output.print(zsh)
        default: Output.print(fish)
        }
        return 0
    }

    static func complete(_ invocation: Invocation) throws -> Int32 {
        for candidate in candidates(for: invocation.argument(0) ?? "") {
            Output.print("\(candidate.word)\t\(candidate.summary)")
        }
        return 0
    }

    /// What may stand where a line's last word begins. An empty last word asks for everything.
    static func candidates(for line: String) -> [(word: String, summary: String)] {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let last = words.last ?? ""
        var path = [CommandTree.root]
        var places = 0
        var awaited: Command.Option?
        for word in words.dropFirst().dropLast() where !word.isEmpty {
            if awaited != nil {
                awaited = nil
            } else if word.hasPrefix("-") {
                let option = path.flatMap(\.options).first {
                    "--\($0.name)" == word || $0.letter.map { "-\($0)" } == word
                }
                awaited = option?.value == nil ? nil : option
            } else if let found = path.last?.commands.first(where: { $0.name == word }) {
                path.append(found)
            } else {
                places += 1
            }
        }
        var all: [(word: String, summary: String)] = []
        if let awaited {
            all = (awaited.choices ?? []).map { ($0, awaited.summary) }
        } else if last.hasPrefix("-") {
            all = path.flatMap(\.options).filter { !$0.isHidden }.map { ("--\($0.name)", $0.summary) }
        } else if let command = path.last {
            if places == 0 { all = command.commands.filter { !$0.isHidden }.map { ($0.name, $0.summary) } }
            if places < command.arguments.count {
                all += (command.arguments[places].choices ?? []).map { ($0, command.arguments[places].summary) }
            }
        }
        return all.filter { $0.word.hasPrefix(last) }
    }

    private static let bash = #"""
        _atoll() {
            local IFS=$'\n' line candidates
            line="${COMP_LINE:0:COMP_POINT}"
            candidates=$(atoll complete -- "$line" 2>/dev/null | cut -f1)
            COMPREPLY=($(compgen -W "$candidates" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _atoll atoll
        """#

    private static let zsh = #"""
        #compdef atoll
        _atoll() {
            local -a candidates
            local word summary
            while IFS=$'\t' read -r word summary; do
                candidates+=("${word}:${summary//:/\\:}")
            done < <(atoll complete -- "${(j: :)words[1,CURRENT]}" 2>/dev/null)
            if (( $#candidates )); then _describe 'atoll' candidates; else _files; fi
        }
        compdef _atoll atoll
        """#

    private static let fish = #"""
        function __atoll_complete
            atoll complete -- (commandline -cp) 2>/dev/null
        end
        complete -c atoll -a '(__atoll_complete)'
        """#
}
