// SPDX-License-Identifier: Apache-2.0

extension Catalog {
    /// Schemas that belong to the platform or to extensions: their isolation has tests of its own, and a project cannot mend it.
    static let platformSchemas: Set<String> = [
        "auth", "storage", "realtime", "tenancy", "vectors", "jobs", "extensions", "supabase_migrations",
        "supabase_functions",
        "graphql", "graphql_public", "vault", "pgsodium", "net", "cron", "pgmq", "pgbouncer", "atoll",
    ]

    /// The project's own relations.
    var projectRelations: [Relation] {
        relations.filter { !Self.platformSchemas.contains($0.schema) && !$0.isOfExtension }
    }

    var projectTables: [Relation] { projectRelations.filter(\.isTable) }

    func isProjectTable(_ relation: Relation) -> Bool {
        relation.isTable && !relation.isOfExtension && !Self.platformSchemas.contains(relation.schema)
    }

    var projectFunctions: [Function] {
        functions.filter { !Self.platformSchemas.contains($0.schema) && !$0.isOfExtension }
    }

    func exposed(_ settings: LintSettings) -> [Relation] {
        projectRelations.filter { settings.exposedSchemas.contains($0.schema) && !$0.roles(allowed: "SELECT").isEmpty }
    }

    func projectPolicies() -> [(policy: Policy, table: Relation)] {
        let tables = Dictionary(projectTables.map { ($0.id, $0) }) { first, _ in first }
        return policies.compactMap { policy in tables[policy.relation].map { (policy, $0) } }
    }

    /// The policies of one of the platform's tables, which projects write for themselves.
    func policies(of schema: String, _ name: String) -> [(policy: Policy, table: Relation)] {
        guard let table = relation(schema, name) else { return [] }
        return policies(of: table).map { ($0, table) }
    }

    // MARK: Whose rows

    /// The columns that say whose a row is: those that point at an account or a tenant, and those so named.
    func scopeColumns(of table: Relation) -> [String] {
        tenantColumns(of: table) + ownerColumns(of: table)
    }

    /// The columns that name the tenant of a row.
    func tenantColumns(of table: Relation) -> [String] { linking.tenantColumns[table.id] ?? [] }

    /// The columns that name the person a row belongs to.
    func ownerColumns(of table: Relation) -> [String] { linking.ownerColumns[table.id] ?? [] }

    /// Tables that hold rows of one tenant or person each.
    var scopedTables: [Relation] {
        let scoped = linking.scoped
        return relations.filter { scoped.contains($0.id) }
    }

    /// Columns of this table that lead to a scoped one: a comment's post, an order line's order.
    func parentColumns(of table: Relation) -> [String] { linking.parentColumns[table.id] ?? [] }

    /// Whether its rows are of tenants, or hang on rows that are.
    func isScoped(_ table: Relation) -> Bool { !scopeColumns(of: table).isEmpty || !parentColumns(of: table).isEmpty }

    static let tenantNames: Set<String> = [
        "tenant_id", "tenant", "org_id", "organization_id", "organisation_id", "team_id", "workspace_id", "company_id",
        "client_id", "account_id",
    ]
    static let ownerNames: Set<String> = [
        "user_id", "owner_id", "owner", "author_id", "created_by", "profile_id",
    ]

    // MARK: What rules it

    /// Whether one of its policies shows all of its rows to an API role, whoever asks.
    func isReadByEverybody(_ table: Relation) -> Bool {
        policies(of: table).contains { policy in
            guard policy.isPermissive, policy.action.actions.contains(.select), let using = policy.using else {
                return false
            }
            return !policy.apiRoles.allSatisfy { isRestricted(table, .select, $0) } && !using.asksForIdentity
                && !using.callsUnknownFunction && !using.isConstantlyFalse && !using.readsSecuredTable(of: self)
        }
    }

    /// Whether a restrictive policy for this action and role keeps rows to their tenant, whatever the permissive ones allow.
    func isRestricted(_ table: Relation, _ action: Policy.Action, _ role: String) -> Bool {
        let names = scopeColumns(of: table) + parentColumns(of: table)
        return policies(of: table).contains { policy in
            guard !policy.isPermissive, policy.applies(to: role), policy.action.actions.contains(action) else {
                return false
            }
            let expressions = [policy.reading(action), policy.writing(action)].compactMap { $0 }
            return !expressions.isEmpty
                && expressions.allSatisfy {
                    $0.mentions(anyOf: names) && ($0.asksForIdentity || $0.callsUnknownFunction)
                }
        }
    }
}

extension Catalog.Policy {
    /// "Policy "x" on public.t" for messages.
    func title(on table: Catalog.Relation) -> String { "Policy \"\(name)\" on \(table.qualifiedName)" }
}
