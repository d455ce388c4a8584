// SPDX-License-Identifier: Apache-2.0

/// The SQL files a project's schema comes from, in the order they are applied.
package struct SchemaSources: Sendable {
    /// Where something stands.
    package struct Place: Sendable, Equatable {
        /// Relative to the project's folder, with slashes.
        package var file: String
        /// From 1.
        package var line: Int

        package init(file: String, line: Int) {
            self.file = file
            self.line = line
        }
    }

    private let files: [(path: String, lines: [[String]])]

    /// - Parameter files: paths relative to the project's folder, and what they hold.
    package init(_ files: [(path: String, text: String)] = []) {
        self.files = files.map { path, text in
            (path, text.split(separator: "\n", omittingEmptySubsequences: false).map { Self.words(String($0)) })
        }
    }

    /// The last line that makes or changes an object of this name, as that is what it is now; otherwise the last that names it.
    /// Without any, the beginning of the last file, and of the project's configuration where there is none.
    ///
    /// - Parameter object: its name, with or without its schema and what stands behind it in parentheses.
    package func place(of object: String) -> Place {
        let name = Self.words(object.split(separator: "(").first.map(String.init) ?? object).last ?? ""
        var naming: Place?
        for (path, lines) in files.reversed() {
            for (number, words) in lines.enumerated().reversed() where !name.isEmpty && words.contains(name) {
                let place = Place(file: path, line: number + 1)
                if words.contains("create") || words.contains("alter") { return place }
                if naming == nil { naming = place }
            }
        }
        return naming ?? Place(file: files.last?.path ?? "supabase/config.toml", line: 1)
    }

    /// The names and keywords of a line, without its comment.
    private static func words(_ line: String) -> [String] {
        let code = line.firstRange(of: "--").map { line[..<$0.lowerBound] } ?? line[...]
        return code.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map { $0.lowercased() }
    }
}
