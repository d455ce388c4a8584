// SPDX-License-Identifier: Apache-2.0

/// A remark on the configuration: what, where, and what would be right. Never holds a value that may be a secret.
package struct ConfigurationDiagnostic: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Severity: String, Sendable {
        /// The configuration is used all the same.
        case warning
        /// The configuration is refused.
        case error
    }

    package let severity: Severity
    /// The file's path as the user knows it.
    package let file: String
    /// The dotted key, where one is meant.
    package let key: String?
    package let message: String
    let origin: ConfigurationNode.Origin

    init(severity: Severity, file: String, origin: ConfigurationNode.Origin, key: String?, message: String) {
        self.severity = severity
        self.file = file
        self.origin = origin
        self.key = key
        self.message = message
    }

    /// The line, from 1, when the remark is on a line of the file.
    package var line: Int? {
        if case .file(let line, _) = origin, line > 0 { return line }
        return nil
    }

    /// The column, from 1, when the remark is on a line of the file.
    package var column: Int? {
        if case .file(_, let column) = origin, column > 0 { return column }
        return nil
    }

    /// `file:line:column: severity: key: message`, as compilers and editors write and read it.
    package var description: String {
        let place =
            switch origin {
            case .file: ([file] + [line, column].compactMap { $0.map(String.init) }).joined(separator: ":")
            case .environment(let name): "environment variable \(name)"
            case .option(let flag): flag
            }
        return [place, severity.rawValue, key, message].compactMap { $0 }.joined(separator: ": ")
    }
}

/// A configuration that cannot be used: all its errors, and the warnings beside them.
package struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    package let diagnostics: [ConfigurationDiagnostic]

    package var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}
