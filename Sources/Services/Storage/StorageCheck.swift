// SPDX-License-Identifier: Apache-2.0
package import Postgres
internal import Primitives

/// Compares rows and files, beside a running server or without one.
package struct StorageCheck: Sendable {
    /// What does not agree.
    package struct Report: Sendable, Hashable {
        /// Files that no row and no upload knows, with their sizes in bytes.
        package var orphans: [StoredFile] = []
        /// Rows whose file is not there.
        package var missing: [Row] = []
        /// Rows whose file has another size than they tell.
        package var wrongSizes: [Row] = []
        /// How many files and rows were looked at.
        package var fileCount = 0
        package var rowCount = 0
        /// Orphans and rows that were removed.
        package var mendedCount = 0

        package var agrees: Bool { orphans.isEmpty && missing.isEmpty && wrongSizes.isEmpty }
    }

    /// An object's row.
    package struct Row: Sendable, Hashable {
        /// `bucket/key`.
        package var path: String
        package var version: String
        /// In bytes, as the row tells.
        package var byteCount: Int
    }

    private let database: Database
    private let store: any ObjectStore
    private static let page = 1000

    /// - Parameter database: logs in as an administrator or as the owner of the schema `storage`.
    package init(database: Database, store: any ObjectStore) {
        self.database = database
        self.store = store
    }

    /// Looks at everything once.
    ///
    /// - Parameter mends: whether orphans are removed, and rows without a file.
    package func run(mends: Bool) async throws -> Report {
        var report = Report()
        var last: String?
        while true {
            // Files first: whatever is written or removed after this page is known to the database by then.
            let files = try await store.list(after: last, limit: Self.page)
            try await compare(files, behind: last, isLast: files.isEmpty, mends: mends, &report)
            guard let end = files.last else { break }
            last = end.version
        }
        return report
    }

    /// Compares the files of one page with the rows of the same stretch of versions.
    private func compare(
        _ files: [StoredFile], behind last: String?, isLast: Bool, mends: Bool, _ report: inout Report
    ) async throws {
        let versions = files.map(\.version)
        let end = isLast ? nil : versions.last
        let results = try await database.run(
            WorkUnit(queries: [
                """
                select o.bucket_id || '/' || o.name as path, o.version, storage.byte_count(o.metadata) as size
                from storage.objects as o
                where o.version collate "C" > \(last ?? "")
                    and (\(end)::text is null or o.version collate "C" <= \(end))
                order by o.version collate "C"
                """,
                """
                select version from storage.uploads where version = any (\(versions)::text[])
                union all
                select version from storage.removed_versions where version = any (\(versions)::text[])
                """,
            ]))
        let rows = results[0].rows.map { row in
            Row(
                path: row["path"].string ?? "", version: row["version"].string ?? "", byteCount: row["size"].int ?? 0)
        }
        let sizes = Dictionary(files.map { ($0.version, $0.byteCount) }, uniquingKeysWith: { first, _ in first })
        let known = Set(rows.map(\.version) + results[1].rows.compactMap { $0[0].string })
        let orphans = files.filter { !known.contains($0.version) }
        report.fileCount += files.count
        report.rowCount += rows.count
        report.orphans += orphans
        if mends, !orphans.isEmpty {
            try await store.remove(orphans.map(\.version))
            report.mendedCount += orphans.count
        }
        for row in rows {
            if let size = sizes[row.version] {
                if size != row.byteCount { report.wrongSizes.append(row) }
                continue
            }
            // The row may be younger than the page of files, or gone by now.
            guard try await store.byteCount(of: row.version) == nil, try await isThere(row) else { continue }
            report.missing.append(row)
            if mends, try await remove(row) { report.mendedCount += 1 }
        }
    }

    private func isThere(_ row: Row) async throws -> Bool {
        try await database.query("select from storage.objects where version = \(row.version)").rowCount == 1
    }

    private func remove(_ row: Row) async throws -> Bool {
        let results = try await database.run(
            WorkUnit(
                settings: [(name: "storage.allow_delete_query", value: "true")],
                queries: ["delete from storage.objects where version = \(row.version)"]))
        return results[0].affectedRows == 1
    }
}
