// SPDX-License-Identifier: Apache-2.0

/// What a database's catalogue says of a project's objects: all that lints and probes look at, read once.
///
/// A value without a connection, so that lints are pure functions of it.
package struct Catalog: Sendable {
    package var relations: [Relation] = [] { didSet { links = nil } }
    package var policies: [Policy] = [] { didSet { links = nil } }
    package var indexes: [Index] = [] { didSet { links = nil } }
    package var foreignKeys: [ForeignKey] = [] { didSet { links = nil } }
    package var functions: [Function] = []
    package var triggers: [Trigger] = []
    package var rules: [Rule] = []
    /// The schemas that each API role may make objects in.
    package var creatable: [String: Set<String>] = [:]
    package var extensions: [Extension] = []
    package var roles: [Role] = []
    package var buckets: [Bucket] = []
    /// Tables whose changes are published to subscribers.
    package var published: Set<Int> = []
    /// The role the server logs in as for requests.
    package var login = "authenticator"
    /// The roles of people's requests.
    package static let apiRoles = ["anon", "authenticated"]

    /// Who belongs to whom, worked out once; nil after a change until ``linked()``.
    private var links: Links?

    package init() {}

    /// The same with its relations found by their ids, which makes looking at hundreds of tables take milliseconds.
    package func linked() -> Catalog {
        var catalog = self
        catalog.links = Links(self)
        return catalog
    }

    /// What belongs to what; worked out anew each time for a catalogue that is not ``linked()``.
    var linking: Links { links ?? Links(self) }

    package func relation(_ id: Int) -> Relation? { linking.relations[id] }

    package func relation(_ schema: String, _ name: String) -> Relation? {
        linking.identifiers["\(schema).\(name)"].flatMap(relation)
    }

    package func policies(of relation: Relation) -> [Policy] { linking.policies[relation.id] ?? [] }

    /// Those of its columns that point at other tables.
    func foreignKeys(of relation: Relation) -> [ForeignKey] { linking.foreignKeys[relation.id] ?? [] }

    /// Tables, views and so on.
    package struct Relation: Sendable {
        package enum Kind: String, Sendable {
            case table = "r"
            case partitioned = "p"
            case view = "v"
            case materializedView = "m"
            case foreignTable = "f"
        }

        package var id: Int
        package var schema: String
        package var name: String
        package var kind: Kind
        package var owner: String
        package var isSecured = false
        package var isForced = false
        /// Whether an extension brought it.
        package var isOfExtension = false
        package var isPartition = false
        /// Of the view itself, such as `security_invoker`.
        package var options: [String: String] = [:]
        /// What each API role may do with it or with some of its columns: `SELECT`, `INSERT`, `UPDATE`, `DELETE`.
        package var privileges: [String: Set<String>] = [:]
        package var columns: [Column] = []
        package var primaryKey: [String] = []
        /// The conditions of its check constraints, by their names.
        package var checks: [String: SQLExpression] = [:]
        /// What a row of a partitioned table must satisfy for one of its partitions to take it.
        package var partitionCondition: SQLExpression?
        /// The tables it inherits from without being their partition: their rows show its own.
        package var parents: [Int] = []
        /// The relations a view reads, those of the views it reads included.
        package var reads: Set<Int> = []
        /// `f` for all columns, `d` for the primary key, `i` for an index, `n` for nothing.
        package var replicaIdentity = "d"
        package var estimatedRows = 0.0
        package var pages = 0
        /// The bytes that the rows should need, by the statistics; nil without statistics.
        package var estimatedBytes: Double?

        package var qualifiedName: String { "\(schema).\(name)" }
        package var isTable: Bool { kind == .table || kind == .partitioned }

        package func allows(_ privilege: String, to role: String) -> Bool {
            privileges[role]?.contains(privilege) ?? false
        }

        /// The API roles that may do this with it.
        package func roles(allowed privilege: String) -> [String] {
            Catalog.apiRoles.filter { allows(privilege, to: $0) }
        }

        package var isReachable: Bool { privileges.values.contains { !$0.isEmpty } }
    }

    package struct Column: Sendable {
        package var name: String
        /// As `format_type` writes it.
        package var type: String
        package var isNullable = true
        /// The default's expression.
        package var defaultValue: String?
        package var isIdentity = false
        package var isGenerated = false
        /// An enum's labels.
        package var labels: [String] = []
        /// The type below a domain, as `format_type` writes it.
        package var baseType: String?
        /// The conditions of the domains it is of, in which `VALUE` stands for it.
        package var domainConditions: [SQLExpression] = []
        /// How many columns a composite type has; nil for other types.
        package var compositeWidth: Int?
        package var maxLength: Int?
        /// The API roles that may select it, those that may insert it, and those that may update it.
        package var readers: [String] = []
        package var inserters: [String] = []
        package var updaters: [String] = []

        package var hasSequence: Bool { isIdentity || defaultValue?.hasPrefix("nextval(") == true }
    }

    package struct Policy: Sendable {
        package enum Action: String, Sendable, CaseIterable {
            case select = "r"
            case insert = "a"
            case update = "w"
            case delete = "d"
            case all = "*"

            package var keyword: String {
                switch self {
                case .select: "SELECT"
                case .insert: "INSERT"
                case .update: "UPDATE"
                case .delete: "DELETE"
                case .all: "ALL"
                }
            }

            /// The single actions it stands for.
            package var actions: [Action] { self == .all ? [.select, .insert, .update, .delete] : [self] }
        }

        package var relation: Int
        package var name: String
        package var isPermissive = true
        /// `public` stands for every role.
        package var roles: [String] = ["public"]
        package var action: Action = .all
        package var using: SQLExpression?
        package var check: SQLExpression?

        package func applies(to role: String) -> Bool { roles.contains("public") || roles.contains(role) }

        /// The API roles it speaks of.
        package var apiRoles: [String] { Catalog.apiRoles.filter(applies) }

        /// What rows must satisfy to be seen by an action; nil where the action sees none.
        package func reading(_ action: Action) -> SQLExpression? { action == .insert ? nil : using }

        /// What rows must satisfy to be written by an action: without a check of its own that is the condition of reading.
        package func writing(_ action: Action) -> SQLExpression? {
            switch action {
            case .insert, .update: check ?? using
            case .select, .delete, .all: nil
            }
        }
    }

    package struct Index: Sendable {
        package var name: String
        package var relation: Int
        /// Names in order; nil for an expression.
        package var columns: [String?]
        /// The expressions among its columns.
        package var expressions: SQLExpression?
        /// Whether it keeps an exclusion constraint.
        package var isExclusion = false
        package var isUnique = false
        package var isPrimary = false
        package var isPartial = false
        /// Equal for two indexes that do the same.
        package var signature: String
        package var scans = 0
    }

    package struct ForeignKey: Sendable {
        package var name: String
        package var relation: Int
        package var columns: [String]
        package var target: Int
        package var targetSchema: String
        package var targetName: String
        package var targetColumns: [String]
        /// Whether the columns it points at are the primary key.
        package var pointsAtPrimaryKey: Bool
    }

    package struct Function: Sendable {
        package var id: Int
        package var schema: String
        package var name: String
        /// Types and names as in `drop function`.
        package var arguments: String
        package var argumentNames: [String] = []
        package var argumentTypes: [String] = []
        package var isDefiner = false
        package var hasFixedSearchPath = false
        package var language = "sql"
        package var source = ""
        package var owner = "postgres"
        package var isOfExtension = false
        package var isTrigger = false
        /// The API roles that may call it.
        package var callers: [String] = []

        package var signature: String { "\(schema).\(name)(\(arguments))" }
    }

    package struct Trigger: Sendable {
        package var name: String
        package var relation: Int
        package var function: Int
    }

    /// What takes the place of a statement, or is done besides it, with the rights of the relation's owner.
    package struct Rule: Sendable {
        package var name: String
        package var relation: Int
        /// `INSERT`, `UPDATE` or `DELETE`.
        package var event: String
        package var definition: SQLExpression
    }

    package struct Extension: Sendable {
        package var name: String
        package var schema: String
        package var version: String
        package var defaultVersion: String?
    }

    package struct Role: Sendable {
        package var name: String
        package var isSuperuser = false
        package var bypassesRLS = false
        /// The roles it may become, through any number of memberships.
        package var mayBecome: [String] = []
    }

    package struct Bucket: Sendable {
        package var id: String
        package var isPublic: Bool
        /// The types it takes, such as `image/*`; empty for all.
        package var mimeTypes: [String] = []
    }
}
