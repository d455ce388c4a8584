// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// How results are printed, and the printing of JSON values in each form.
enum OutputFormat: String, CaseIterable {
    case pretty, env, json, toml, yaml

    init(_ invocation: Invocation) {
        self = invocation.value("output").flatMap(OutputFormat.init(rawValue:)) ?? .pretty
    }

    /// The text of an object in a form; `pretty` is TOML, the form configurations are written in.
    func text(_ object: JSONObject) -> String {
        let lines: [String] =
            switch self {
            case .json: Self.json(.object(object), indent: "")
            case .env: Self.environment(object, prefix: [])
            case .yaml: Self.yaml(object, indent: "")
            case .toml, .pretty: Self.toml(object, path: [])
            }
        return lines.joined(separator: "\n")
    }

    // MARK: JSON

    private static func json(_ value: JSON, indent: String) -> [String] {
        func block(_ open: String, _ close: String, _ items: [[String]]) -> [String] {
            guard !items.isEmpty else { return [open + close] }
            var lines = [open]
            for (index, item) in items.enumerated() {
                lines += item.map { "  " + $0 }
                if index < items.count - 1 { lines[lines.count - 1] += "," }
            }
            return lines + [close]
        }
        switch value {
        case .object(let object):
            return block(
                "{", "}",
                object.map { name, value in
                    var lines = json(value, indent: indent)
                    lines[0] = JSON.string(name).text + ": " + lines[0]
                    return lines
                })
        case .array(let elements): return block("[", "]", elements.map { json($0, indent: indent) })
        default: return [value.text]
        }
    }

    // MARK: Variables of a shell

    private static func environment(_ object: JSONObject, prefix: [String]) -> [String] {
        object.flatMap { name, value -> [String] in
            if let child = value.objectValue { return environment(child, prefix: prefix + [name]) }
            let variable = (prefix + [name]).joined(separator: "_")
                .map { $0.isASCII && ($0.isLetter || $0.isNumber) ? String($0) : "_" }.joined()
            return ["\(prefix.isEmpty ? variable : variable.uppercased())=\(quoted(value.stringValue ?? value.text))"]
        }
    }

    /// In double quotes, such that a shell and dotenv libraries read the same.
    private static func quoted(_ text: String) -> String {
        "\"" + text.map { "\"\\$`".contains($0) ? "\\\($0)" : String($0) }.joined() + "\""
    }

    // MARK: TOML

    private static func toml(_ object: JSONObject, path: [String]) -> [String] {
        var lines: [String] = []
        for (name, value) in object where !isTable(value) { lines.append("\(tomlKey(name)) = \(tomlValue(value))") }
        for (name, value) in object where isTable(value) {
            let path = path + [name]
            let title = path.map(tomlKey).joined(separator: ".")
            for (table, header) in tables(value, title) {
                let block = toml(table, path: path)
                let hasOwnKeys = table.isEmpty || table.contains { !isTable($0.value) }
                if hasOwnKeys {
                    lines += (lines.isEmpty ? [] : [""]) + [header]
                } else if !lines.isEmpty, block.first?.hasPrefix("[") == true {
                    lines.append("")
                }
                lines += block
            }
        }
        return lines
    }

    private static func isTable(_ value: JSON) -> Bool {
        if value.objectValue != nil { return true }
        guard let elements = value.arrayValue else { return false }
        return !elements.isEmpty && elements.allSatisfy { $0.objectValue != nil }
    }

    private static func tables(_ value: JSON, _ title: String) -> [(JSONObject, String)] {
        if let object = value.objectValue { return [(object, "[\(title)]")] }
        return (value.arrayValue ?? []).compactMap(\.objectValue).map { ($0, "[[\(title)]]") }
    }

    private static func tomlKey(_ name: String) -> String {
        let isBare =
            !name.isEmpty && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
        return isBare ? name : JSON.string(name).text
    }

    private static func tomlValue(_ value: JSON) -> String {
        guard let elements = value.arrayValue else { return value.text }
        return "[" + elements.map(tomlValue).joined(separator: ", ") + "]"
    }

    // MARK: YAML

    private static func yaml(_ object: JSONObject, indent: String) -> [String] {
        object.flatMap { name, value -> [String] in
            let key = indent + tomlKey(name) + ":"
            if let child = value.objectValue {
                return child.isEmpty ? ["\(key) {}"] : [key] + yaml(child, indent: indent + "  ")
            }
            guard let elements = value.arrayValue else { return ["\(key) \(value.text)"] }
            if elements.isEmpty { return ["\(key) []"] }
            return [key]
                + elements.flatMap { element -> [String] in
                    guard let child = element.objectValue else { return ["\(indent)  - \(element.text)"] }
                    var lines = yaml(child, indent: indent + "    ")
                    guard !lines.isEmpty else { return ["\(indent)  - {}"] }
                    lines[0] = "\(indent)  - " + lines[0].dropFirst(indent.count + 4)
                    return lines
                }
        }
    }
}
