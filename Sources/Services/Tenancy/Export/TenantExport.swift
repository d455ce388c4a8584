// SPDX-License-Identifier: Apache-2.0
internal import Platform
package import Postgres
package import Primitives

/// Writes everything of a tenant into one tar archive, as it reads it: memory stays the same however much there is.
///
/// Rows are JSON, a line each, in one snapshot of the database; files follow as they are. Of secrets there are the names alone. The last
/// file is `manifest.json`, so that an archive that was cut short is known by its lack.
package struct TenantExport: Sendable {
    /// In whose name rows are read.
    package enum Authority: Sendable {
        /// An owner: row level security shows what is theirs. The value is what their requests set.
        case owner(settings: [(name: String, value: String)])
        /// A login that row level security does not bound: rows that carry the tenant's id are read as they are, tables without one as the
        /// tenant's owner would.
        case administrator
    }

    package typealias Write = ([UInt8]) async throws -> Void

    private let database: Database
    private let tenant: UUID
    private let authority: Authority
    private let readObject: TenancyParts.ReadObject?
    private let timeout: Duration
    /// When the files of the archive were made: now.
    private let moment = Timestamp.now()

    package init(
        of tenant: UUID, by authority: Authority, database: Database, timeout: Duration,
        readObject: TenancyParts.ReadObject?
    ) {
        self.tenant = tenant
        self.authority = authority
        self.database = database
        self.timeout = timeout
        self.readObject = readObject
    }

    /// What was written.
    package struct Report: Sendable {
        /// Rows by file, such as `public/notes.ndjson`.
        package var rows: [(path: String, count: Int)] = []
        package var fileCount = 0
        package var fileBytes = 0
        /// Objects whose content is not there.
        package var missing: [String] = []
    }

    /// - Parameter write: takes the archive's bytes in order.
    /// - Throws: `PostgresError`, what reading a file throws, and what `write` throws.
    @discardableResult
    package func write(_ write: Write) async throws -> Report {
        var report = Report()
        var objects: [ExportedObject] = []
        try await reading { transaction in
            for source in ExportSource.platform(tenant, isAdministrator: isAdministrator) {
                try await copy(source, from: transaction, &report, write)
            }
            for table in try await projectTables(transaction, onlyOfTenant: isAdministrator) {
                try await copy(table, from: transaction, &report, write)
            }
            objects = try await self.objects(transaction)
        }
        if isAdministrator, let owner = try await ownersSettings() {
            try await reading(as: owner) { transaction in
                for table in try await projectTables(transaction, onlyOfTenant: false) where !table.hasTenant {
                    try await copy(table, from: transaction, &report, write)
                }
            }
        }
        if let schema = try await ownSchema() {
            try await reading { transaction in
                for table in try await tables(in: schema, transaction) {
                    try await copy(table, from: transaction, &report, write)
                }
            }
        }
        for object in objects { try await copy(object, &report, write) }
        try await file("manifest.json", JSON.object(manifest(report)).encoded(), write)
        try await write(TarHeader.end)
        return report
    }

    private var isAdministrator: Bool { if case .administrator = authority { true } else { false } }

    /// All of what is read in one transaction is as it was at one moment.
    private func reading(
        as owner: [(name: String, value: String)]? = nil, _ body: (PostgresTransaction) async throws -> Void
    ) async throws {
        var settings = owner
        if settings == nil, case .owner(let own) = authority { settings = own }
        // Policies may read all that a request over REST has.
        let request = [
            (name: "request.method", value: "GET"), (name: "request.path", value: "/"),
            (name: "request.headers", value: "{}"), (name: "request.cookies", value: "{}"),
        ]
        try await database.withTransaction(
            role: settings == nil ? nil : "authenticated", settings: settings.map { $0 + request } ?? [],
            readOnly: true,
            isolation: .repeatableRead, statementTimeout: timeout, body)
    }

    /// As the owner's own token would say; nil for a tenant that nobody answers for.
    private func ownersSettings() async throws -> [(name: String, value: String)]? {
        let result = try await database.query("select t.owner_id from tenancy.tenants as t where t.id = \(tenant)")
        guard let owner = result.onlyRow?["owner_id"].uuid else { return nil }
        let claims: JSON = [
            "sub": .string(owner.description), "role": "authenticated",
            "app_metadata": ["tenant_id": .string(tenant.description)],
        ]
        return [(name: "request.jwt.claims", value: claims.text)]
    }

    // MARK: Rows

    /// The project's tables that hold rows of somebody: with a column `tenant_id`, or under row level security.
    private func projectTables(
        _ transaction: PostgresTransaction, onlyOfTenant: Bool
    ) async throws -> [ExportSource] {
        let found = try await transaction.query(
            """
            select n.nspname as schema, c.relname as name, h.has_tenant
            from pg_catalog.pg_class as c
            inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            cross join lateral (
                select exists (
                    select from pg_catalog.pg_attribute as a
                    where a.attrelid = c.oid and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype
                        and not a.attisdropped
                )
            ) as h (has_tenant)
            where c.relkind in ('r', 'p')
                and not c.relispartition
                and pg_catalog.pg_get_userbyid(c.relowner) = 'postgres'
                and n.nspname not in ('extensions', 'supabase_migrations')
                and n.nspname !~ '^(pg|tenant)_'
                and (h.has_tenant or c.relrowsecurity and not \(onlyOfTenant)::boolean)
                and pg_catalog.has_schema_privilege(n.oid, 'usage')
                and pg_catalog.has_table_privilege(c.oid, 'select')
            order by n.nspname, c.relname
            """)
        return found.rows.compactMap { row in
            guard let schema = row["schema"].string, let name = row["name"].string else { return nil }
            return ExportSource(
                schema: schema, table: name, hasTenant: row["has_tenant"].bool ?? false, tenant: tenant)
        }
    }

    /// The schema that a tenant has to itself; nil for none.
    private func ownSchema() async throws -> String? {
        let name = TenantDirectory.schemaName(tenant)
        let result = try await database.query("select to_regnamespace(\(name)) is not null as has_schema")
        return result.onlyRow?["has_schema"].bool == true ? name : nil
    }

    /// An owner reads them as requests do, an administrator as they are.
    private func tables(in schema: String, _ transaction: PostgresTransaction) async throws -> [ExportSource] {
        let tables: PostgresQuery = """
            select c.relname::text as c0
            from pg_catalog.pg_class as c
            where c.relnamespace = to_regnamespace(\(schema)) and c.relkind in ('r', 'p') and not c.relispartition
                and pg_catalog.has_table_privilege(c.oid, 'select')
            order by c.relname
            """
        let found = try await transaction.query(
            isAdministrator ? tables : TenantDirectory.entering(tenant, tables, columnCount: 1))
        return try found.rows.compactMap { row in
            guard let name = row["c0"].string else { return nil }
            return isAdministrator
                ? ExportSource(schema: schema, table: name, hasTenant: false, tenant: tenant)
                : try ExportSource(table: name, ofTenantsOwn: tenant)
        }
    }

    /// Bytes of one file of rows; more begin another.
    private static let maxFileBytes = 4 << 20

    private func copy(
        _ source: ExportSource, from transaction: PostgresTransaction, _ report: inout Report, _ write: Write
    ) async throws {
        var rowCount = 0
        var number = 1
        try await transaction.copyOut(source.copy) { reader in
            var rows: [UInt8] = []
            while let piece = try await reader.next() {
                Self.appendUnescaped(piece, to: &rows)
                if rows.count >= Self.maxFileBytes {
                    rowCount += Self.lineCount(rows)
                    try await file(source.path(number), rows, write)
                    number += 1
                    rows.removeAll(keepingCapacity: true)
                }
            }
            if !rows.isEmpty || number == 1 {
                rowCount += Self.lineCount(rows)
                try await file(source.path(number), rows, write)
            }
        }
        report.rows.append((source.path(1), rowCount))
    }

    private static func lineCount(_ rows: [UInt8]) -> Int { rows.count { $0 == UInt8(ascii: "\n") } }

    /// COPY doubles each backslash; JSON has nothing else that it would escape.
    private static func appendUnescaped(_ piece: [UInt8], to rows: inout [UInt8]) {
        rows.reserveCapacity(rows.count + piece.count)
        var isEscaped = false
        for byte in piece {
            if byte == UInt8(ascii: "\\"), !isEscaped {
                isEscaped = true
                continue
            }
            isEscaped = false
            rows.append(byte)
        }
    }

    private func file(_ path: String, _ bytes: [UInt8], _ write: Write) async throws {
        try await write(
            TarHeader.bytes(path: path, byteCount: bytes.count, modifiedAt: moment.unixSeconds) + bytes
                + TarHeader.padding(after: bytes.count))
    }

    // MARK: Files

    private struct ExportedObject: Sendable {
        let path: String
        let version: String
        let byteCount: Int
    }

    private func objects(_ transaction: PostgresTransaction) async throws -> [ExportedObject] {
        let rows: PostgresQuery =
            isAdministrator
            ? "storage.objects as o where o.tenant_id = \(tenant)" : "storage.tenant_objects() as o where true"
        let found = try await transaction.query(
            """
            select o.bucket_id, o.name, o.version, storage.byte_count(o.metadata) as bytes
            from \(rows) and o.version is not null
            order by o.bucket_id, o.name
            """)
        return found.rows.compactMap { row in
            guard let bucket = row["bucket_id"].string, let name = row["name"].string,
                let version = row["version"].string
            else { return nil }
            return ExportedObject(
                path: "storage/\(bucket)/\(name)", version: version, byteCount: row["bytes"].int ?? 0)
        }
    }

    private func copy(_ object: ExportedObject, _ report: inout Report, _ write: Write) async throws {
        guard let readObject, object.byteCount > 0 else {
            if object.byteCount == 0 {
                try await file(object.path, [], write)
                report.fileCount += 1
            } else {
                report.missing.append(object.path)
            }
            return
        }
        var written = 0
        do {
            try await readObject(object.version, 0..<object.byteCount) { bytes in
                if written == 0 {
                    try await write(
                        TarHeader.bytes(
                            path: object.path, byteCount: object.byteCount, modifiedAt: moment.unixSeconds))
                }
                written += bytes.count
                try await write(bytes)
            }
        } catch {
            // Once its header is written, an archive without the content would be none.
            guard written == 0, !Task.isCancelled else { throw error }
            report.missing.append(object.path)
            return
        }
        guard written == object.byteCount else {
            if written > 0 { throw TenancyError(.internalError, "Internal error") }
            report.missing.append(object.path)
            return
        }
        try await write(TarHeader.padding(after: written))
        report.fileCount += 1
        report.fileBytes += written
    }

    private func manifest(_ report: Report) -> JSONObject {
        [
            "format": "atoll-tenant-export", "version": 1, "tenant_id": .string(tenant.description),
            "exported_at": .string(moment.description),
            "rows": .object(
                report.rows.reduce(into: JSONObject()) { rows, entry in rows[entry.path] = JSON(entry.count) }),
            "files": JSON(report.fileCount), "file_bytes": JSON(report.fileBytes),
            "missing": .array(report.missing.map { .string($0) }),
        ]
    }
}
