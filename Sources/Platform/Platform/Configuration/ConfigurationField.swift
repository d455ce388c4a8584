// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// A table of the configuration: a value type whose `fields` say everything about its keys. Reading a file, showing what is in
/// force and the reference page all come from that one table.
protocol ConfigurationSection: Sendable {
    /// The section with every key at its default.
    init()
    @ConfigurationFields<Self> static var fields: [ConfigurationField<Self>] { get }
}

extension ConfigurationSection {
    typealias Field = ConfigurationField<Self>
}

/// One key of a section.
struct ConfigurationField<Section: Sendable>: Sendable {
    let name: String
    /// What the key means, in a sentence or two of Markdown.
    let summary: String
    /// Environment variables that set the key besides the one made of its path.
    var variables: [String] = []
    let read: @Sendable (ConfigurationNode, inout Section, inout ConfigurationReader) -> Void
    /// The value in force with secrets masked; nil when it is unset or an empty table.
    let dump: @Sendable (Section) -> JSON?
    /// The key's lines of the reference, given the path of the section.
    let describe: @Sendable (_ field: ConfigurationField<Section>, _ path: [String]) -> [ConfigurationReference.Entry]
}

/// Builds the table of a section line by line; one array literal of them would take the type checker minutes.
@resultBuilder
struct ConfigurationFields<Section: Sendable> {
    static func buildExpression(_ field: ConfigurationField<Section>) -> ConfigurationField<Section> { field }
    static func buildBlock(_ fields: ConfigurationField<Section>...) -> [ConfigurationField<Section>] { fields }
}

extension ConfigurationField where Section: ConfigurationSection {
    /// A key that always has a value.
    static func key<Value>(
        _ name: String, _ path: any WritableKeyPath<Section, Value> & Sendable, _ type: ConfigurationType<Value>,
        _ summary: String, variables: [String] = []
    ) -> Self {
        ConfigurationField(
            name: name, summary: summary, variables: variables,
            read: { node, section, reader in
                if let value = reader.value(node, type) { section[keyPath: path] = value }
            },
            dump: { type.dump($0[keyPath: path]) },
            describe: { field, parent in
                [.key(field, parent, type: type.name, defaultText: type.dump(Section()[keyPath: path]).text)]
            })
    }

    /// A key that may be unset.
    static func optional<Value>(
        _ name: String, _ path: any WritableKeyPath<Section, Value?> & Sendable, _ type: ConfigurationType<Value>,
        _ summary: String, variables: [String] = []
    ) -> Self {
        ConfigurationField(
            name: name, summary: summary, variables: variables,
            read: { node, section, reader in
                if let value = reader.value(node, type) { section[keyPath: path] = value }
            },
            dump: { $0[keyPath: path].map(type.dump) },
            describe: { field, parent in [.key(field, parent, type: type.name, defaultText: nil)] })
    }

    /// A table that is always there.
    static func section<Child: ConfigurationSection>(
        _ name: String, _ path: any WritableKeyPath<Section, Child> & Sendable, _ summary: String
    ) -> Self {
        ConfigurationField(
            name: name, summary: summary,
            read: { node, section, reader in reader.read(node, into: &section[keyPath: path]) },
            dump: { ConfigurationDump.table($0[keyPath: path]) },
            describe: { field, parent in
                [.section(parent + [field.name], field.summary)]
                    + ConfigurationReference.entries(Child.self, parent + [field.name])
            })
    }

    /// A table that may be missing, which says something by itself.
    static func section<Child: ConfigurationSection>(
        _ name: String, _ path: any WritableKeyPath<Section, Child?> & Sendable, _ summary: String
    ) -> Self {
        ConfigurationField(
            name: name, summary: summary,
            read: { node, section, reader in
                var child = section[keyPath: path] ?? Child()
                reader.read(node, into: &child)
                section[keyPath: path] = child
            },
            dump: { $0[keyPath: path].flatMap { ConfigurationDump.table($0) } },
            describe: { field, parent in
                [.section(parent + [field.name], field.summary)]
                    + ConfigurationReference.entries(Child.self, parent + [field.name])
            })
    }

    /// Tables with names of the user's choice, or out of `names`.
    static func sections<Child: ConfigurationSection>(
        _ name: String, _ placeholder: String, _ path: any WritableKeyPath<Section, [String: Child]> & Sendable,
        names: [String]? = nil, _ summary: String
    ) -> Self {
        ConfigurationField(
            name: name, summary: summary,
            read: { node, section, reader in
                reader.eachEntry(node, names: names) { key, child, reader in
                    var value = section[keyPath: path][key] ?? Child()
                    reader.read(child, into: &value)
                    section[keyPath: path][key] = value
                }
            },
            dump: { section in
                let children = section[keyPath: path].sorted { $0.key < $1.key }
                return children.isEmpty
                    ? nil : .object(JSONObject(children.map { ($0.key, ConfigurationDump.table($0.value) ?? [:]) }))
            },
            describe: { field, parent in
                let path = parent + [field.name, "<\(placeholder)>"]
                let known = names.map { " Names: " + $0.map { "`\($0)`" }.joined(separator: ", ") + "." } ?? ""
                return [.section(path, field.summary + known)] + ConfigurationReference.entries(Child.self, path)
            })
    }

    /// Values under names of the user's choice, or out of `names`.
    static func values<Value>(
        _ name: String, _ placeholder: String, _ path: any WritableKeyPath<Section, [String: Value]> & Sendable,
        _ type: ConfigurationType<Value>, names: [String]? = nil, _ summary: String
    ) -> Self {
        ConfigurationField(
            name: name, summary: summary,
            read: { node, section, reader in
                reader.eachEntry(node, names: names) { key, child, reader in
                    if let value = reader.value(child, type) { section[keyPath: path][key] = value }
                }
            },
            dump: { section in
                let values = section[keyPath: path].sorted { $0.key < $1.key }
                return values.isEmpty ? nil : .object(JSONObject(values.map { ($0.key, type.dump($0.value)) }))
            },
            describe: { field, parent in
                let known = names.map { " Names: " + $0.map { "`\($0)`" }.joined(separator: ", ") + "." } ?? ""
                return [
                    .section(parent + [field.name], field.summary + known),
                    ConfigurationReference.Entry(
                        path: parent + [field.name, "<\(placeholder)>"], type: type.name, defaultText: nil, summary: "",
                        variables: []),
                ]
            })
    }

    /// An array of tables.
    static func list<Child: ConfigurationSection>(
        _ name: String, _ path: any WritableKeyPath<Section, [Child]> & Sendable, _ summary: String
    ) -> Self {
        ConfigurationField(
            name: name, summary: summary,
            read: { node, section, reader in
                guard case .array(let nodes) = node.value else {
                    return reader.refuse(node, expected: "an array of tables")
                }
                section[keyPath: path] = nodes.map { node in
                    var child = Child()
                    reader.read(node, into: &child)
                    return child
                }
            },
            dump: { section in
                let children = section[keyPath: path]
                return children.isEmpty ? nil : .array(children.map { ConfigurationDump.table($0) ?? [:] })
            },
            describe: { field, parent in
                let path = parent + ["[\(field.name)]"]
                return [.section(path, field.summary)] + ConfigurationReference.entries(Child.self, path)
            })
    }
}

/// What is in force, as JSON with secrets masked.
enum ConfigurationDump {
    /// nil for a table without any value.
    static func table<Section: ConfigurationSection>(_ section: Section) -> JSON? {
        var object = JSONObject()
        for field in Section.fields {
            if let value = field.dump(section) { object[field.name] = value }
        }
        return object.isEmpty ? nil : .object(object)
    }
}
