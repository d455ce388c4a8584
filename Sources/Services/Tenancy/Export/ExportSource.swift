// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Postgres
internal import Primitives

/// Rows that go into an export: a `COPY`, and the file its lines are written to.
struct ExportSource: Sendable {
    /// Whether the rows are told by a column `tenant_id`.
    let hasTenant: Bool
    /// Takes no binds: what is in it are identifiers and the tenant's id.
    let copy: PostgresQuery
    private let name: String

    /// A table of the project, all columns.
    init(schema: String, table: String, hasTenant: Bool, tenant: UUID) {
        self.hasTenant = hasTenant
        name = "\(schema)/\(table)"
        let condition = hasTenant ? " where r.tenant_id = '\(tenant)'" : ""
        let rows = quoteIdentifier(schema) + "." + quoteIdentifier(table)
        copy = PostgresQuery(sql: "copy (select row_to_json(r) from \(rows) as r\(condition)) to stdout")
    }

    /// A table of the tenant's own schema, as its members read it.
    init(table: String, ofTenantsOwn tenant: UUID) throws(PostgresError) {
        let schema = TenantDirectory.schemaName(tenant)
        hasTenant = false
        name = "\(schema)/\(table)"
        let rows = PostgresQuery(
            sql: "select row_to_json(r) from \(quoteIdentifier(schema)).\(quoteIdentifier(table)) as r")
        copy = PostgresQuery(
            sql: "copy (\(try TenantDirectory.entering(tenant, rows, columnCount: 1).inlined())) to stdout")
    }

    private init(_ name: String, _ selection: String) {
        hasTenant = true
        self.name = name
        copy = PostgresQuery(sql: "copy (select row_to_json(r) from (\(selection)) as r) to stdout")
    }

    /// The first file of the rows, or one that follows.
    func path(_ number: Int) -> String { number == 1 ? "\(name).ndjson" : "\(name).\(number).ndjson" }

    /// What the platform itself keeps of a tenant.
    static func platform(_ tenant: UUID, isAdministrator: Bool) -> [ExportSource] {
        let members =
            isAdministrator
            ? """
            select m.user_id, m.role, p.email, p.full_name, m.created_at
            from tenancy.members as m
            left join tenancy.profiles as p on p.user_id = m.user_id
            where m.tenant_id = '\(tenant)'
            """ : "select user_id, role, email, full_name, created_at from tenancy.list_members()"
        let objects =
            isAdministrator ? "storage.objects as o where o.tenant_id = '\(tenant)'" : "storage.tenant_objects() as o"
        func rows(_ table: String, _ columns: String = "*") -> ExportSource {
            ExportSource("tenancy/\(table)", "select \(columns) from tenancy.\(table) where tenant_id = '\(tenant)'")
        }
        return [
            ExportSource("tenancy/tenant", "select * from tenancy.tenants where id = '\(tenant)'"),
            ExportSource("tenancy/members", members),
            rows(
                "invitations", "id, email, role, status, invited_by, created_at, expires_at, accepted_by, accepted_at"),
            rows("settings"),
            rows("services"),
            // The keys themselves stay sealed where they are.
            rows("secrets", "service_name, is_active, last_used_at, created_at, updated_at"),
            rows("setup_runs"),
            rows("usage_totals"),
            rows("usage_days"),
            rows("usage_events"),
            rows("audit_log"),
            ExportSource(
                "vectors/collections",
                "select name, settings, payload_schema, created_at from vectors.collections where tenant_id = '\(tenant)'"
            ),
            ExportSource(
                "vectors/points",
                """
                select c.name as collection, \(pointID) as id, p.embedding::text as vector, p.payload
                from vectors.points as p
                inner join vectors.collections as c on c.id = p.collection_id
                where p.tenant_id = '\(tenant)'
                """),
            ExportSource(
                "vectors/named_vectors",
                """
                select c.name as collection, \(pointID) as id, p.slot, p.embedding::text as vector,
                    p.parts::text[] as parts, p.indices, p.weights
                from vectors.named_vectors as p
                inner join vectors.collections as c on c.id = p.collection_id
                where p.tenant_id = '\(tenant)'
                """),
            ExportSource(
                "storage/objects",
                "select o.bucket_id, o.name, o.owner_id, o.metadata, o.user_metadata, o.created_at, o.updated_at from \(objects)"
            ),
        ]
    }

    /// A point's id as Qdrant writes it: a number, or a UUID.
    private static let pointID = """
        case get_byte(p.id, 0)
            when 0 then ('x' || encode(substr(p.id, 2), 'hex'))::bit(64)::bigint::text
            else encode(substr(p.id, 2), 'hex')::uuid::text
        end
        """
}
