// SPDX-License-Identifier: Apache-2.0
package import EventLoop
package import Postgres
package import Primitives
internal import Synchronization

/// Builds graph indexes in the background, as Qdrant's optimizers do.
///
/// A collection that has outgrown the shared partitions is moved into its own; then an index is built over the points that were
/// last written up to a moment. What is written later is searched exactly until the next index, so that no write waits for a
/// graph. Of several servers on one database the one whose row in `vectors.indexes` was first builds.
package final class IndexBuilder: Sendable {
    private let database: Database
    private let thresholdKilobytes: Int
    private let interval: Duration
    private let loop: Loop
    private let log: Log

    private struct State {
        /// Points written since the collection was last looked at.
        var written: [Int: Int] = [:]
        var hasOverflowed = false
    }
    private let state = Mutex(State())
    private static let maxNoted = 100_000

    /// - Parameters:
    ///   - database: logs in as `atoll_vectors`, the owner of the tables.
    ///   - thresholdKilobytes: of unindexed vectors, where a collection does not say.
    ///   - interval: how often what was missed is looked for.
    package init(database: Database, thresholdKilobytes: Int, interval: Duration, loop: Loop, log: Log) {
        self.database = database
        self.thresholdKilobytes = thresholdKilobytes
        self.interval = interval
        self.loop = loop
        self.log = log.with(.field("service", "vectors.indexes"))
    }

    /// Notes that points were written.
    func wrote(_ count: Int, to collection: VectorCollection) {
        state.withLock { state in
            if state.written[collection.id] == nil, state.written.count >= Self.maxNoted {
                state.hasOverflowed = true
            } else {
                state.written[collection.id, default: 0] += count
            }
        }
    }

    /// Looks at a collection soon, whatever was written.
    func consider(_ collection: Int) {
        state.withLock { $0.written[collection, default: 0] += Self.certain }
    }

    /// More than any threshold.
    private static let certain = 1 << 40

    /// Fewer points than this are never worth a look: they take less than the smallest threshold that makes sense.
    private static let minLook = 500

    /// Runs until it is cancelled.
    package func run() async {
        var sinceSweep: Duration = .seconds(3600)
        var counts: [Int: Int] = [:]
        // What was written before this began may have been left by a server that ended.
        var isFirstSweep = true
        var failed: Set<Int> = []
        while !Task.isCancelled {
            do { try await loop.sleep(for: Self.pause) } catch { return }
            sinceSweep += Self.pause
            let (noted, hasOverflowed) = state.withLock { state in
                defer { state = State() }
                return (state.written, state.hasOverflowed)
            }
            for (id, count) in noted { counts[id, default: 0] += count }
            do {
                if sinceSweep >= interval || hasOverflowed {
                    sinceSweep = .zero
                    try await tidy()
                    for id in try await grown(orIndexed: isFirstSweep) { counts[id] = Self.certain }
                    isFirstSweep = false
                    for id in failed { counts[id] = Self.certain }
                    failed = []
                }
                // While a collection is being filled it waits, so that one index covers what comes in one go.
                for (id, count) in counts where noted[id] == nil || count >= Self.certain {
                    counts[id] = nil
                    guard count >= Self.minLook else { continue }
                    // It is not forgotten, and not tried over and over.
                    failed.insert(id)
                    try await improve(id)
                    failed.remove(id)
                }
            } catch {
                log.warning("index builder", .field("error", String(describing: error)))
                sinceSweep = .zero
            }
        }
    }

    private static let pause: Duration = .milliseconds(250)

    // MARK: Finding work

    /// Collections whose partitions say they have grown, for those whose writes this process has not seen.
    ///
    /// - Parameter orIndexed: whether collections that have an index count as grown: how much of them is younger, only counting tells.
    private func grown(orIndexed: Bool) async throws -> [Int] {
        let result = try await database.query(
            """
            select c.id
            from vectors.collections as c
            inner join pg_catalog.pg_class as t
                on t.relnamespace = 'vectors'::regnamespace and t.relname = 'points_' || c.bucket
            where \(orIndexed)::boolean and c.bucket >= 1000 or t.reltuples > \(Self.minLook)::real and (
                c.bucket >= 1000 and not exists (
                    select from vectors.indexes as i where i.collection_id = c.id and i.ready)
                or c.id in (
                    select p.collection_id from vectors.points as p
                    where p.bucket < 1000
                    group by p.collection_id having count(*) > 1000))
            """)
        return result.rows.compactMap { $0[0].int }
    }

    /// Removes what an interrupted build or a deleted collection has left.
    private func tidy() async throws {
        // A build that another server is at shows its progress.
        let stale = try await database.query(
            """
            select i.name
            from vectors.indexes as i
            inner join vectors.collections as c on c.id = i.collection_id
            where not i.ready and i.created_at < now() - interval '10 seconds'
                and not exists (
                    select
                    from pg_catalog.pg_stat_progress_create_index as b
                    inner join pg_catalog.pg_class as t on t.oid = b.relid
                    where t.relnamespace = 'vectors'::regnamespace
                        and t.relname in ('points_' || c.bucket, 'named_vectors_' || c.bucket))
            """)
        for row in stale.rows {
            guard let name = row["name"].string else { continue }
            try await drop(index: name)
            try await database.query("delete from vectors.indexes as i where i.name = \(name) and not i.ready")
        }
        let orphans = try await database.query(
            """
            select t.relname
            from pg_catalog.pg_class as t
            where t.relnamespace = 'vectors'::regnamespace and t.relkind = 'r'
                and t.relname ~ '^(points|named_vectors)_[0-9]{4,}$'
                and not exists (
                    select from vectors.collections as c where c.bucket::text = split_part(t.relname, '_', -1))
            limit 100
            """)
        for row in orphans.rows {
            guard let name = row[0].string else { continue }
            let parent = name.hasPrefix("points") ? "points" : "named_vectors"
            do {
                try await alone(
                    "alter table vectors.\(identifier: parent) detach partition vectors.\(identifier: name) concurrently"
                )
            } catch let error as MigrationError {
                // Detached already, by a run that was interrupted.
                guard error.cause?.sqlState == "42P01" else { throw error }
            }
            try await alone("drop table vectors.\(identifier: name)")
        }
    }

    private func drop(index name: String) async throws {
        try await alone("drop index concurrently if exists vectors.\(identifier: name)")
    }

    /// Runs a statement that does its work in several transactions of its own. It takes no binds.
    private func alone(_ statement: PostgresQuery) async throws {
        try await database.run(
            script: SQLScript("-- \(SQLScript.noTransactionMarker)\n\(statement.sql);"), label: "vectors")
    }

    // MARK: Building

    private func collection(_ id: Int) async throws -> VectorCollection? {
        let result = try await database.query(
            "select \(VectorCollection.columns) from vectors.collections as c where c.id = \(id)::bigint")
        return result.onlyRow.flatMap { VectorCollection($0) }
    }

    /// Builds what a collection needs.
    private func improve(_ id: Int) async throws {
        guard var collection = try await collection(id) else { return }
        for target in IndexPlan(collection, defaultThreshold: thresholdKilobytes).targets {
            let upTo = collection.indexedUpTo(target.field.slot)
            let unindexed = try await count(collection, target.field, after: upTo)
            guard unindexed >= target.threshold else { continue }
            if !collection.isSeparate {
                let moved = try await database.query("select vectors.separate_collection(\(id)::bigint)")
                log.info(
                    "collection moved to its own partition", .field("collection", id),
                    .field("bucket", moved.onlyRow?[0].int ?? 0))
                guard let found = try await self.collection(id) else { return }
                collection = found
            }
            try await build(target, collection, unindexed: unindexed)
            guard let found = try await self.collection(id) else { return }
            collection = found
        }
    }

    private func count(_ collection: VectorCollection, _ field: VectorField, after: Int) async throws -> Int {
        let rows: PostgresQuery =
            field.slot == 0
            ? "\(collection.points) and p.embedding is not null and p.version > \(after)::bigint"
            : "\(collection.vectors(field.slot)) and v.version > \(after)::bigint"
        return try await database.query("select count(*) from \(rows)").onlyRow?[0].int ?? 0
    }

    /// Builds one index over what is younger than the others, or one in the place of all when the younger part has grown.
    private func build(_ target: IndexPlan.Target, _ collection: VectorCollection, unindexed: Int) async throws {
        let slot = target.field.slot
        let present = collection.indexes.filter { $0.slot == slot }
        let covered = try await count(collection, target.field, after: 0) - unindexed
        let replacesAll = present.count >= Self.maxSegments || unindexed * 2 >= covered
        let after = replacesAll ? 0 : collection.indexedUpTo(slot)
        let upTo = Int(Timestamp.now().unixMicroseconds)
        let name = "graph_\(collection.id)_\(slot)_\(upTo)"
        let claim = try await database.query(
            """
            insert into vectors.indexes (collection_id, slot, after, up_to, name, kind)
            values (
                \(collection.id)::bigint, \(slot)::smallint, \(after)::bigint, \(upTo)::bigint, \(name),
                \(target.kind.rawValue))
            on conflict do nothing
            """)
        guard claim.affectedRows == 1 else { return }
        let start = ContinuousClock.now
        try await alone(Self.statement(target, collection, name, after: after, upTo: upTo))
        try await analyze(collection, slot)
        let old = try await finish(collection, slot, name, replacesAll: replacesAll)
        log.info(
            "index built", .field("collection", collection.id),
            .field("points", unindexed + (replacesAll ? covered : 0)),
            .field("seconds", "\((ContinuousClock.now - start).inSeconds)"))
        for name in old { try await drop(index: name) }
    }

    /// Graphs of one vector that are searched side by side, at most.
    private static let maxSegments = 4

    /// Lets searches use the index, and no longer those it replaces.
    private func finish(
        _ collection: VectorCollection, _ slot: Int, _ name: String, replacesAll: Bool
    ) async throws -> [String] {
        try await database.withTransaction { transaction in
            let old = try await transaction.query(
                """
                delete from vectors.indexes as i
                where i.collection_id = \(collection.id)::bigint and i.slot = \(slot)::smallint and i.name <> \(name)
                    and \(replacesAll)::boolean
                returning i.name
                """)
            try await transaction.run([
                "update vectors.indexes as i set ready = true where i.name = \(name)",
                "update vectors.collections as c set revision = c.revision + 1 where c.id = \(collection.id)::bigint",
            ])
            return old.rows.compactMap { $0[0].string }
        }
    }

    /// Tells the planner how many rows there are: taking the partition for empty, it would sort them all instead of walking the graph.
    /// Vectors and payloads are left out, as nothing is known of them that helps.
    private func analyze(_ collection: VectorCollection, _ slot: Int) async throws {
        let bucket = PostgresQuery(sql: String(collection.bucket))
        let columns: PostgresQuery = "collection_id, version, bucket, tenant_id, is_shared, id"
        try await alone("analyze vectors.points_\(bucket) (\(columns))")
        if slot != 0 { try await alone("analyze vectors.named_vectors_\(bucket) (\(columns), slot)") }
    }

    private static func statement(
        _ target: IndexPlan.Target, _ collection: VectorCollection, _ name: String, after: Int, upTo: Int
    ) -> PostgresQuery {
        let field = target.field
        let table = (field.slot == 0 ? "points_" : "named_vectors_") + String(collection.bucket)
        let slot: PostgresQuery = field.slot == 0 ? "" : PostgresQuery(sql: "slot = \(field.slot) and ")
        return """
            create index concurrently \(identifier: name) on vectors.\(identifier: table)
            using hnsw (
                (\(IndexPlan.expression(target.kind, field, column: "embedding")))
                \(PostgresQuery(sql: IndexPlan.operatorClass(target.kind, field.distance))))
            with (m = \(PostgresQuery(sql: String(target.links))), ef_construction = \(PostgresQuery(sql: String(target.breadth))))
            where \(slot)version > \(PostgresQuery(sql: String(after))) and version <= \(PostgresQuery(sql: String(upTo)))
            """
    }
}
