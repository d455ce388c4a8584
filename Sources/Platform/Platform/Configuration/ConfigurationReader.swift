// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Walks a tree of nodes into sections and collects what is wrong with it.
struct ConfigurationReader {
    /// The file's name for messages.
    let file: String
    /// The value of a variable, for `env(NAME)`.
    let environment: @Sendable (String) -> String?
    private(set) var diagnostics: [ConfigurationDiagnostic] = []
    private var path: [String] = []
    /// Whether the innermost section is switched on: a variable that is not set only matters there.
    private var isActive = true

    /// Sections Atoll keeps but does not serve; variables missing there are not worth a word.
    private static let unserved: Set<String> = ["studio", "analytics", "experimental", "remotes"]

    init(file: String, environment: @escaping @Sendable (String) -> String?) {
        self.file = file
        self.environment = environment
    }

    mutating func read<Section: ConfigurationSection>(_ node: ConfigurationNode, into section: inout Section) {
        guard case .table(let entries) = node.value else { return refuse(node, expected: "a table") }
        let wasActive = isActive
        isActive = wasActive && isEnabled(node, Section())
        defer { isActive = wasActive }
        let fields = Section.fields
        for (key, child) in entries {
            path.append(key)
            if let field = fields.first(where: { $0.name == key }) {
                field.read(child, &section, &self)
            } else {
                warnUnknown(child, among: fields.map(\.name))
            }
            path.removeLast()
        }
    }

    /// The entries of a table whose keys the user names, or that are out of `names`.
    mutating func eachEntry(
        _ node: ConfigurationNode, names: [String]?,
        _ body: (String, ConfigurationNode, inout ConfigurationReader) -> Void
    ) {
        guard case .table(let entries) = node.value else { return refuse(node, expected: "a table") }
        for (key, child) in entries {
            path.append(key)
            if let names, !names.contains(key) {
                warnUnknown(child, among: names)
            } else {
                body(key, child, &self)
            }
            path.removeLast()
        }
    }

    /// The value of a key, or nil when it is refused or a variable that is not set.
    mutating func value<Value>(_ node: ConfigurationNode, _ type: ConfigurationType<Value>) -> Value? {
        guard let node = substitute(node) else { return nil }
        if let value = type.parse(node) { return value }
        refuse(node, expected: type.name, secret: type.isSecret)
        return nil
    }

    mutating func refuse(_ node: ConfigurationNode, expected: String, secret: Bool = false) {
        let got: String =
            switch node.value {
            case .integer(let integer) where !secret: "\(integer)"
            case .text(let text) where !secret && text.count <= 60: "\"\(text)\""
            default: node.kind
            }
        report(.error, node, "expected \(expected), got \(got)")
    }

    mutating func report(_ severity: ConfigurationDiagnostic.Severity, _ node: ConfigurationNode, _ message: String) {
        diagnostics.append(
            ConfigurationDiagnostic(
                severity: severity, file: file, origin: node.origin, key: path.joined(separator: "."), message: message)
        )
    }

    private mutating func warnUnknown(_ node: ConfigurationNode, among names: [String]) {
        let meant = path.last.flatMap { suggestion(for: $0, among: names) }
        let hint = meant.map { "; did you mean `\($0)`?" } ?? ""
        // A flag that names no key is a mistake made right now; a key in a file may come from a newer version.
        let isFlag = if case .option = node.origin { true } else { false }
        report(isFlag ? .error : .warning, node, "unknown key\(isFlag ? "" : ", ignored")\(hint)")
    }

    private func isEnabled<Section: ConfigurationSection>(_ node: ConfigurationNode, _ section: Section) -> Bool {
        if let first = path.first, Self.unserved.contains(first) { return false }
        if case .boolean(let value)? = node["enabled"]?.value { return value }
        return Section.fields.first { $0.name == "enabled" }?.dump(section)?.boolValue ?? true
    }

    /// Puts the variable's value in place of `env(NAME)`, in arrays too. nil when it is not set: the key keeps its default.
    private mutating func substitute(_ node: ConfigurationNode) -> ConfigurationNode? {
        switch node.value {
        case .text(let text):
            guard let name = Self.variable(text) else { return node }
            if let value = environment(name) {
                return ConfigurationNode(value: .text(value), origin: node.origin, isLoose: true)
            }
            if isActive {
                report(.warning, node, "the environment variable \(name) is not set, so the key keeps its default")
            }
            return nil
        case .array(let elements):
            var node = node
            node.value = .array(elements.compactMap { substitute($0) })
            return node
        default:
            return node
        }
    }

    private static func variable(_ text: String) -> String? {
        guard text.hasPrefix("env("), text.hasSuffix(")") else { return nil }
        let name = text.dropFirst(4).dropLast()
        guard !name.isEmpty,
            name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") })
        else { return nil }
        return String(name)
    }
}
