// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// One thing that a lint has to say of one object.
package struct Finding: Sendable {
    package enum Level: String, Sendable, Comparable, CaseIterable {
        case info = "INFO"
        case warning = "WARN"
        case error = "ERROR"

        package static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }

        private var rank: Int {
            switch self {
            case .info: 0
            case .warning: 1
            case .error: 2
            }
        }
    }

    package let lint: Lint
    package let occurrence: Occurrence

    package var level: Level { lint.level }

    /// The same for the same trouble with the same object, from run to run.
    package var cacheKey: String {
        [lint.name, occurrence.schema, occurrence.name, occurrence.part].compactMap { $0 }.joined(separator: "_")
    }

    /// In the form of the database advisors.
    package var json: JSON {
        var metadata: JSONObject = [
            "schema": .string(occurrence.schema), "name": .string(occurrence.name), "type": .string(occurrence.type),
        ]
        if let part = occurrence.part { metadata["part"] = .string(part) }
        return [
            "name": .string(lint.name), "title": .string(lint.title), "level": .string(lint.level.rawValue),
            "facing": "EXTERNAL", "categories": .array([.string(lint.category.rawValue)]),
            "description": .string(lint.description), "detail": .string(occurrence.detail),
            "remediation": .string(lint.remediation), "metadata": .object(metadata),
            "cache_key": .string(cacheKey),
        ]
    }
}

/// Where a lint fires.
package struct Occurrence: Sendable {
    package var schema: String
    package var name: String
    /// `table`, `view`, `function`, `policy`, ...
    package var type: String
    /// What tells two occurrences at one object apart: a policy's name, a role, a column.
    package var part: String?
    /// A sentence that names the object and what is wrong with it.
    package var detail: String

    package init(schema: String, name: String, type: String, part: String? = nil, detail: String) {
        self.schema = schema
        self.name = name
        self.type = type
        self.part = part
        self.detail = detail
    }

    init(_ relation: Catalog.Relation, part: String? = nil, _ detail: String) {
        self.init(
            schema: relation.schema, name: relation.name, type: relation.kind.word, part: part, detail: detail)
    }

    init(_ function: Catalog.Function, _ detail: String) {
        self.init(
            schema: function.schema, name: function.name, type: "function", part: function.arguments, detail: detail)
    }
}

extension Catalog.Relation.Kind {
    var word: String {
        switch self {
        case .table, .partitioned: "table"
        case .view: "view"
        case .materializedView: "materialized view"
        case .foreignTable: "foreign table"
        }
    }
}

/// A question put to a ``Catalog``, and what its answer means.
package struct Lint: Sendable {
    package enum Category: String, Sendable {
        case security = "SECURITY"
        case performance = "PERFORMANCE"
    }

    /// Four digits: below 0100 those of the public set of database advisors, from 0101 on Atoll's own.
    package let id: String
    package let name: String
    package let title: String
    package let level: Finding.Level
    package let category: Category
    /// Why it matters.
    package let description: String
    /// What to do.
    package let remediation: String
    let find: @Sendable (Catalog, LintSettings) -> [Occurrence]

    package func findings(in catalog: Catalog, _ settings: LintSettings) -> [Finding] {
        find(catalog, settings).map { Finding(lint: self, occurrence: $0) }
    }

    /// All of them, by their ids.
    package static let all = advisorSecurity + advisorPerformance + tenancy + indirection + reach + channels

    /// The table of them in `docs/isolation.md`.
    package static var markdown: String {
        let head = "| id | name | level | kind | why | fix |\n| --- | --- | --- | --- | --- | --- |\n"
        return head
            + all.sorted { $0.id < $1.id }.map { lint in
                "| \(lint.id) | `\(lint.name)` | \(lint.level.rawValue) | \(lint.category.rawValue.lowercased()) | \(lint.description) | \(lint.remediation) |\n"
            }.joined()
    }

    /// What all lints find, the gravest first.
    package static func run(on catalog: Catalog, _ settings: LintSettings) -> [Finding] {
        all.flatMap { $0.findings(in: catalog, settings) }
            .sorted { ($1.level, $0.lint.id, $0.cacheKey) < ($0.level, $1.lint.id, $1.cacheKey) }
    }
}

/// What lints must know of the server's configuration.
package struct LintSettings: Sendable {
    /// The schemas that the REST API serves.
    package var exposedSchemas: [String] = ["public"]
    package var allowsAnonymousSignIns = false
    /// Whether the REST API answers with execution plans.
    package var arePlansServed = false
    /// Seconds that an access token is valid.
    package var accessTokenSeconds = 3600

    package init() {}
}
