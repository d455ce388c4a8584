// SPDX-License-Identifier: Apache-2.0
internal import Primitives

extension SchemaCache {
    /// What is known of the schemas, for people who wonder why a request is answered as it is.
    var json: JSON {
        [
            "dbTables": .array(relations.values.sorted { $0.name < $1.name }.map(\.json)),
            "dbRoutines": .array(
                functions.sorted { $0.key < $1.key }.flatMap(\.value).map(\.json)),
            "dbRelationships": .array(
                relationships.sorted { $0.key < $1.key }.flatMap(\.value).map(\.json)),
            "dbMediaHandlers": JSON(handlers.count),
            "dbRoleSettings": .object(
                JSONObject(
                    roles.sorted { $0.key < $1.key }.map { role, found in
                        (role, .array(found.settings.map { .string("\($0.name)=\($0.value)") }))
                    })),
        ]
    }
}

extension QualifiedName: Comparable {
    static func < (first: QualifiedName, second: QualifiedName) -> Bool {
        (first.schema, first.name) < (second.schema, second.name)
    }

    fileprivate var json: JSON { ["schema": .string(schema), "name": .string(name)] }
}

extension Relation {
    fileprivate var json: JSON {
        [
            "name": name.json, "isTable": .bool(isTable), "isInsertable": .bool(isInsertable),
            "isUpdatable": .bool(isUpdatable), "isDeletable": .bool(isDeletable),
            "primaryKey": .array(primaryKey.map { .string($0) }),
            "columns": .array(
                columns.map {
                    ["name": .string($0.name), "type": .string($0.type), "default": JSON($0.defaultExpression)]
                }),
        ]
    }
}

extension Function {
    fileprivate var json: JSON {
        let kind: JSON =
            switch result {
            case .void: "void"
            case .scalar: "scalar"
            case .composite(let relation): ["composite": relation?.json ?? .null]
            }
        return [
            "name": name.json, "returns": kind, "returnsSet": .bool(returnsSet),
            "volatility": .string(volatility.rawValue),
            "parameters": .array(
                parameters.map {
                    [
                        "name": .string($0.name), "type": .string($0.type), "hasDefault": .bool($0.hasDefault),
                        "isVariadic": .bool($0.isVariadic),
                    ]
                }),
            "settings": .array(settings.map { .string("\($0.name)=\($0.value)") }),
        ]
    }
}

extension Relationship {
    fileprivate var json: JSON {
        ["source": source.json, "target": target.json, "isToOne": .bool(isToOne), "by": .string(origin)]
    }

    /// The key, junction or function behind it.
    private var origin: String {
        switch kind {
        case .manyToOne(let link), .oneToOne(let link, _), .oneToMany(let link): link.constraint
        case .manyToMany(let junction, let source, let target):
            "\(junction.name) using \(source.constraint) and \(target.constraint)"
        case .computed(let function, _): "\(function.schema).\(function.name)"
        }
    }
}
