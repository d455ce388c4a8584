// SPDX-License-Identifier: Apache-2.0
internal import CTOML

/// A value of a configuration with the place it came from.
struct ConfigurationNode: Sendable {
    indirect enum Value: Sendable {
        case boolean(Bool)
        case integer(Int)
        case float(Double)
        case text(String)
        case dateTime(String)
        case array([ConfigurationNode])
        case table([(key: String, node: ConfigurationNode)])
    }

    /// Who said so.
    enum Origin: Sendable, Hashable {
        /// A line and column of the file, from 1; 0 where unknown.
        case file(line: Int, column: Int)
        /// An environment variable or a line of an `.env` file.
        case environment(String)
        /// A flag of the command line.
        case option(String)
    }

    var value: Value
    var origin: Origin
    /// Whether text may stand for a number, a boolean or a list, as it must where only text can be written.
    var isLoose = false

    static func emptyTable(_ origin: Origin) -> ConfigurationNode {
        ConfigurationNode(value: .table([]), origin: origin)
    }

    /// What kind of value this is, for a message; never the value itself, which may be a secret.
    var kind: String {
        switch value {
        case .boolean: "a boolean"
        case .integer: "an integer"
        case .float: "a number"
        case .text: "a string"
        case .dateTime: "a date or time"
        case .array: "an array"
        case .table: "a table"
        }
    }

    /// The value of a key of this table.
    subscript(key: String) -> ConfigurationNode? {
        guard case .table(let entries) = value else { return nil }
        return entries.first { $0.key == key }?.node
    }

    /// Puts a node at a path, over what is there, making the tables on the way.
    mutating func set(_ path: ArraySlice<String>, to node: ConfigurationNode) {
        guard let key = path.first else {
            self = node
            return
        }
        var entries: [(key: String, node: ConfigurationNode)] = []
        if case .table(let present) = value { entries = present }
        if let index = entries.firstIndex(where: { $0.key == key }) {
            entries[index].node.set(path.dropFirst(), to: node)
        } else {
            var child = ConfigurationNode.emptyTable(node.origin)
            child.set(path.dropFirst(), to: node)
            entries.append((key, child))
        }
        value = .table(entries)
    }
}

extension ConfigurationNode {
    /// Longer files are refused; real ones have some 15 KiB.
    static let maxDocumentBytes = 1 << 20
    /// Tables and arrays inside one another; real files reach 5.
    static let maxDepth = 32

    /// Parses a TOML 1.0 document.
    ///
    /// - Throws: ``ConfigurationDiagnostic`` with the place of the first error.
    init(toml text: [UInt8], file: String) throws(ConfigurationDiagnostic) {
        func refuse(_ message: String, line: Int = 0, column: Int = 0) -> ConfigurationDiagnostic {
            ConfigurationDiagnostic(
                severity: .error, file: file, origin: .file(line: line, column: column), key: nil, message: message)
        }
        guard String(validating: text, as: UTF8.self) != nil else { throw refuse("not UTF-8") }
        var error = ctoml_error()
        let document = text.withUnsafeBytes { bytes in
            ctoml_parse(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, Self.maxDocumentBytes,
                Self.maxDepth, &error)
        }
        guard let document else {
            let message = withUnsafeBytes(of: error.message) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            throw refuse(message, line: Int(error.line), column: Int(error.column))
        }
        defer { ctoml_free(document) }
        self.init(ctoml_root(document))
    }

    private init(_ node: OpaquePointer) {
        let children = (0..<ctoml_node_count(node)).map { index in
            (key: Self.text(ctoml_node_key(node, index)), node: ConfigurationNode(child: ctoml_node_child(node, index)))
        }
        value =
            switch ctoml_node_kind(node) {
            case CTOML_BOOLEAN: .boolean(ctoml_node_boolean(node) != 0)
            case CTOML_INTEGER: .integer(Int(ctoml_node_integer(node)))
            case CTOML_FLOAT: .float(ctoml_node_float(node))
            case CTOML_STRING: .text(Self.text(ctoml_node_text(node)))
            case CTOML_DATETIME: .dateTime(Self.text(ctoml_node_text(node)))
            case CTOML_ARRAY: .array(children.map(\.node))
            default: .table(children)
            }
        origin = .file(line: Int(ctoml_node_line(node)), column: Int(ctoml_node_column(node)))
    }

    private init(child: OpaquePointer?) {
        self = child.map { ConfigurationNode($0) } ?? .emptyTable(.file(line: 0, column: 0))
    }

    private static func text(_ text: ctoml_text) -> String {
        String(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.count), as: UTF8.self)
    }
}
