// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What the compiler and the formatter do not check.
@Suite struct SourceTests {
    static let licenceLine = "SPDX-License-Identifier: Apache-2.0"

    @Test func everySourceNamesItsLicence() {
        let kinds: Set = ["swift", "c", "h", "cpp", "py"]
        let sources = Repository.files.filter {
            kinds.contains($0.extension) || $0.path.hasPrefix("scripts/") && $0.extension == ""
        }
        #expect(sources.count > 20)
        for file in sources {
            // The first line of a program is for the system, and Package.swift's for the package manager.
            let top = file.lines.prefix(2).map(\.text)
            #expect(top.contains { $0.contains(Self.licenceLine) }, "\(file) does not name its licence at the top")
        }
    }

    struct Forbidden: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var text: String
        /// The folders it must not appear in.
        var folders: [String]
        /// Paths that may, with a reason beside them here.
        var exceptions: [String] = []
        var instead: String
    }

    static let forbidden = [
        Forbidden(
            testDescription: "force try", text: "try!", folders: ["Sources", "Tests"], instead: "handle the error"),
        Forbidden(
            testDescription: "force cast", text: " as! ", folders: ["Sources", "Tests"], instead: "as? with a refusal"),
        Forbidden(
            testDescription: "a crash for input", text: "fatalError(", folders: ["Sources"],
            instead: "throw, or precondition with a reason for a programmer's error"),
        Forbidden(
            testDescription: "threads of the global pool for time", text: "Task.sleep", folders: ["Sources"],
            instead: "the loop's timers"),
        Forbidden(
            testDescription: "unstructured tasks", text: "Task {", folders: ["Sources"],
            instead: "a task group, or Loop.spawn: `Task {}` forgets the loop"),
        Forbidden(
            testDescription: "detached tasks", text: "Task.detached", folders: ["Sources"],
            instead: "a task group, or Loop.spawn"),
        Forbidden(
            testDescription: "printing from a library", text: " print(",
            folders: [
                "Sources/Core", "Sources/Platform", "Sources/Services", "Sources/Apps",
            ], instead: "Log"),
        Forbidden(
            testDescription: "unfinished work", text: "TODO", folders: ["Sources", "Tests", "scripts", "docs"],
            instead: "finish it, or an issue"),
        Forbidden(
            testDescription: "unfinished work", text: "FIXME", folders: ["Sources", "Tests", "scripts", "docs"],
            instead: "finish it, or an issue"),
        Forbidden(
            testDescription: "a role for the whole session", text: "set session authorization", folders: ["Sources"],
            // The runner resets what a migration may have set.
            exceptions: ["Sources/Core/Postgres/Migrations.swift"],
            instead: "set_config(..., true) in a unit of work"),
    ]

    @Test(arguments: forbidden)
    func doesNotContain(_ word: Forbidden) {
        for folder in word.folders {
            for file in Repository.files
            where file.path.hasPrefix("\(folder)/") && !file.path.hasPrefix("Tests/TidyTests/") {
                guard !word.exceptions.contains(file.path), ["swift", "sql", "md", "py", ""].contains(file.extension)
                else { continue }
                for line in file.lines where line.text.contains(word.text) && !Self.isComment(line.text) {
                    Issue.record("\(file):\(line.number) has `\(word.text)`: \(word.instead)")
                }
            }
        }
    }

    @Test func uncheckedPromisesSayWhyTheyHold() {
        for file in Repository.files(in: "Sources", extension: "swift") {
            let lines = file.lines
            for line in lines
            where line.text.contains("@unchecked Sendable") || line.text.contains("nonisolated(unsafe)") {
                guard !Self.isComment(line.text) else { continue }
                let before = lines[max(line.number - 13, 0)..<(line.number - 1)].reversed()
                // A comment right above the declaration, attributes and its documentation aside.
                let hasReason = before.prefix { Self.isComment($0.text) || $0.text.contains("@") }
                    .contains { Self.isComment($0.text) }
                #expect(hasReason, "\(file):\(line.number) promises safety without a comment that says why")
            }
        }
    }

    @Test func noSourceIsEmpty() {
        for file in Repository.files(in: "Sources", extension: "swift")
            + Repository.files(in: "Tests", extension: "swift")
        {
            let code = file.lines.contains { line in
                !Self.isComment(line.text) && line.text.contains { !$0.isWhitespace }
            }
            #expect(code, "\(file) has no code")
        }
    }

    @Test func textsEndWithOneLineBreakAndHaveNoTabs() {
        let kinds: Set = ["swift", "c", "h", "cpp", "py", "sql", "md"]
        for file in Repository.files where kinds.contains(file.extension) {
            let text = file.text
            #expect(text.hasSuffix("\n") && !text.hasSuffix("\n\n"), "\(file) does not end with one line break")
            #expect(!text.contains("\t"), "\(file) has a tab")
            #expect(!text.contains(" \n"), "\(file) has a space at a line's end")
        }
    }

    @Test func programsCanBeRun() {
        for file in Repository.files where file.path.hasPrefix("scripts/") || file.path == ".ci/run" {
            guard file.text.hasPrefix("#!") else { continue }
            #expect(
                FileManager.default.isExecutableFile(atPath: "\(Repository.root)/\(file.path)"),
                "\(file) is not executable")
        }
    }

    private static func isComment(_ line: Substring) -> Bool {
        let text = line.drop { $0 == " " }
        return text.hasPrefix("//") || text.hasPrefix("*") || text.hasPrefix("# ")
    }
}
