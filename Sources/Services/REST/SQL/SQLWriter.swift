// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Postgres

/// Writes one statement: text of the program's own, quoted identifiers, and binds for everything a client says.
struct SQLWriter {
    private(set) var text = ""
    private(set) var parameters: [PostgresParameter] = []

    init() {
        text.reserveCapacity(512)
    }

    var query: PostgresQuery { PostgresQuery(sql: text, parameters: parameters) }

    /// Adds text of the program, or of the catalog.
    mutating func add(_ sql: String) { text += sql }

    mutating func add(identifier: String) { text += quoteIdentifier(identifier) }

    /// What has a tenant's shape is named without a schema: the search path says whose it is, so that one text serves all tenants.
    mutating func add(_ name: QualifiedName) {
        if name.schema != TenantDirectory.template {
            add(identifier: name.schema)
            text += "."
        }
        add(identifier: name.name)
    }

    /// `"alias"."column"`
    mutating func add(column: String, of alias: String) {
        add(identifier: alias)
        text += "."
        add(identifier: column)
    }

    mutating func bind(_ parameter: some PostgresEncodable) {
        parameters.append(parameter.postgresParameter)
        text += "$"
        text += String(parameters.count)
    }

    /// Adds each element, with a separator between them.
    mutating func list<Element>(
        _ elements: some Sequence<Element>, separator: String = ", ", _ write: (inout SQLWriter, Element) -> Void
    ) {
        var isFirst = true
        for element in elements {
            if !isFirst { text += separator }
            isFirst = false
            write(&self, element)
        }
    }
}
