// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Primitives

/// Where `env(NAME)` and the overriding variables are looked up: the process's environment, then the project's `.env` files.
package struct ConfigurationEnvironment: Sendable {
    /// The process's own variables.
    package var process: [String: String]
    /// The variables of `.env` files; those of the process come first.
    package var files: [String: String] = [:]
    /// Lines that could not be read, as `file:line`.
    package private(set) var malformedLines: [String] = []

    package init(process: [String: String]) {
        self.process = process
    }

    /// The environment of this process.
    package static var current: ConfigurationEnvironment {
        var variables: [String: String] = [:]
        var entry = environ
        while let pointer = entry.pointee {
            let text = String(cString: pointer)
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            entry += 1
        }
        return ConfigurationEnvironment(process: variables)
    }

    /// A variable that is set and not empty, as the Supabase CLI sees it.
    package subscript(name: String) -> String? {
        if let value = process[name], !value.isEmpty { return value }
        if let value = files[name], !value.isEmpty { return value }
        return nil
    }

    /// Adds the variables of an `.env` file; what is already there stays.
    package mutating func add(dotEnv text: String, file: String) {
        let known = self
        let parsed = DotEnv(text) { known[$0] }
        files.merge(parsed.variables) { earlier, _ in earlier }
        malformedLines += parsed.malformedLines.map { "\(file):\($0)" }
    }
}
