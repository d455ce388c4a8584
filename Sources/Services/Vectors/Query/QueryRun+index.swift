// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension QueryRun {
    /// Searches the indexes of a vector, and exactly what is younger than they are.
    ///
    /// - Returns: nil where scoring every row that qualifies is better, or finds what the indexes could not.
    func indexedHits(of search: Search) async throws -> [Hit]? {
        guard case .nearest(.dense(let floats)) = search.query, !search.parameters.isExact, search.within == nil else {
            return nil
        }
        let indexes = collection.indexes.filter { $0.slot == search.field.slot && $0.kind != .gin }
        guard !indexes.isEmpty, try await !isSelective(search) else { return nil }
        let wanted = search.limit + search.offset
        let breadth = min(max(search.parameters.breadth ?? service.configuration.defaultSearchBreadth, wanted), 1000)
        guard wanted <= breadth else { return nil }
        let query = try indexedQuery(search, floats, indexes)
        // Where all that the graph holds may be shown, its first `breadth` points are enough and the walk needs to remember no
        // others to go on with; that it was not enough, as of deleted points, shows in their number.
        let walks = isUnfiltered(search) ? ["off", "relaxed_order"] : ["relaxed_order"]
        for walk in walks {
            var hits = try await recorded(
                query, search.selection,
                settings: [
                    ("hnsw.ef_search", String(breadth)), ("hnsw.iterative_scan", walk), ("enable_seqscan", "off"),
                    ("enable_bitmapscan", "off"),
                ])
            guard hits.count >= search.limit || search.parameters.isIndexedOnly else { continue }
            // Cut only now: that fewer reach the threshold says nothing about whether the walk has met all that match.
            if let threshold = search.threshold {
                let isAscending = Scoring(collection: collection, field: search.field).isAscending(search.query)
                hits.removeAll { isAscending ? $0.score > threshold : $0.score < threshold }
            }
            return hits
        }
        // Fewer than asked: either no more match, or the walk through the graph gave up. Only a full scan can tell.
        return nil
    }

    /// Whether neither the request nor row level security leaves points of the collection out.
    private func isUnfiltered(_ search: Search) -> Bool {
        search.filter == nil && search.excluded.isEmpty
            && (collection.tenantID != nil || caller.isService)
    }

    /// Whether so few rows qualify that reading them all by a key costs less than walking a graph past the others.
    private func isSelective(_ search: Search) async throws -> Bool {
        if search.filter?.requiredIDs != nil { return true }
        let isBoundByTenant = collection.tenantID == nil && !caller.isService
        guard isBoundByTenant || collection.tenantID == nil && search.filter?.owner != nil else { return false }
        let bound = IndexPlan.points(
            kilobytes: service.configuration.indexingThresholdKilobytes, size: search.field.size ?? 1)
        let owner: PostgresQuery =
            if let owner = search.filter?.owner { "and p.owner = left(\(owner)::text, 64)" } else { "" }
        let result = try await service.read(
            ["select count(*) from (select from \(collection.points) \(owner) limit \(bound)::bigint) as few"],
            of: collection, caller, timeout: timeout)[0]
        return (result.onlyRow?[0].int ?? 0) < bound
    }

    /// One branch for each index and one for what none covers, each with as many rows as are asked for; then the best of all
    /// by their exact scores.
    private func indexedQuery(
        _ search: Search, _ floats: [Float], _ indexes: [BuiltIndex]
    ) throws -> PostgresQuery {
        let scoring = Scoring(collection: collection, field: search.field)
        let conditions = try conditions(search)
        let direction: PostgresQuery = scoring.isAscending(search.query) ? "asc" : "desc"
        let version: PostgresQuery = search.field.slot == 0 ? "p.version" : "v.version"
        let wanted = Self.rounded(search.limit + search.offset)
        let columns: PostgresQuery = "\(collection.columns(search.selection)), \(scoring.score(search.query)) as score"
        var branches: [PostgresQuery] = []
        for index in indexes {
            let depth = index.kind == .vector ? wanted : min(wanted * 4, 1000)
            branches.append(
                """
                (
                    select \(columns) from \(scoring.source)
                    where \(scoring.scope) and \(version) > \(PostgresQuery(sql: String(index.after)))
                        and \(version) <= \(PostgresQuery(sql: String(index.upTo))) \(conditions)
                    order by \(index.ordering(scoring, scoring.parameter(floats))) limit \(Self.literal(depth))
                )
                """)
        }
        if !search.parameters.isIndexedOnly {
            let last = indexes.map(\.upTo).max() ?? 0
            branches.append(
                """
                (
                    select \(columns) from \(scoring.source)
                    where \(scoring.scope) and \(version) > \(PostgresQuery(sql: String(last))) \(conditions)
                    order by score \(direction) limit \(Self.literal(wanted))
                )
                """)
        }
        return """
            select s.*
            from (\(FilterWriter.joined(branches, " union all "))) as s
            order by s.score \(direction), s.id limit \(search.limit)::bigint offset \(search.offset)::bigint
            """
    }

    /// A limit written out: bound, PostgreSQL would take it for a tenth of all rows, find its plan for any value worse than one for the
    /// value at hand, and so make a plan for each search, which takes half as long as the search.
    private static func literal(_ count: Int) -> PostgresQuery { PostgresQuery(sql: String(count)) }

    /// As many rows, or a few more, so that pages further down make few statements.
    private static func rounded(_ count: Int) -> Int {
        count <= 32 ? count : min((count + 31) / 32 * 32, 1000)
    }
}

extension BuiltIndex {
    /// What the index sorts by, written as it was when it was made.
    func ordering(_ scoring: Scoring, _ query: PostgresQuery) -> PostgresQuery {
        let expression = IndexPlan.expression(kind, scoring.field, column: scoring.embedding)
        let size = PostgresQuery(sql: String(scoring.field.size ?? 0))
        let sign = PostgresQuery(sql: IndexPlan.operatorName(kind, scoring.field.distance))
        switch kind {
        case .bit:
            return "\(expression) operator(extensions.\(sign)) extensions.binary_quantize(\(query))::bit(\(size))"
        case .halfvec: return "\(expression) operator(extensions.\(sign)) \(query)::extensions.halfvec(\(size))"
        case .vector, .gin: return "\(expression) operator(extensions.\(sign)) \(query)"
        }
    }
}
