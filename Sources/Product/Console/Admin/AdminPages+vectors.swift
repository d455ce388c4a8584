// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// Collections of vectors, whosever they are, and what is in them.
extension AdminPages {
    func registerVectors(on router: inout Router) {
        page(.get, "/admin/vectors", on: &router, collections)
        page(.get, "/admin/vectors/:collection", on: &router, points)
    }

    private static let pageSize = 50
    /// Points are counted no further than this.
    private static let countLimit = 100_000

    private func collections(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let page = visit.pageNumber
        let results = try await read([
            """
            select
                c.id, c.name, t.name as tenant, c.settings, c.created_at,
                (
                    select count(*)
                    from (
                        select from vectors.points as p
                        where p.collection_id = c.id and p.bucket = c.bucket
                            and (c.tenant_id is null or p.tenant_id = c.tenant_id)
                        limit \(String(Self.countLimit))::bigint
                    ) as counted
                ) as points,
                (select count(*) from vectors.indexes as i where i.collection_id = c.id) as indexes
            from vectors.collections as c
            left join tenancy.tenants as t on t.id = c.tenant_id
            order by c.name, c.id
            limit \(String(Self.pageSize + 1))::bigint offset \(String((page - 1) * Self.pageSize))::bigint
            """
        ])
        let rows = results[0].rows.map { $0 }
        return visit.page(.vectors, .admin(.vectors)) {
            Components.heading(.of(.vectors), .of(.vectorsText))
            if rows.isEmpty {
                Components.empty(.vector, .noCollections, .noCollectionsText)
            } else {
                Components.table(
                    .collections, [.collection, .tenant, .points, .vectorSize, .indexes, .since],
                    rows: rows.prefix(Self.pageSize).map { collectionRow($0) })
            }
            Components.pager("/admin/vectors", page: page, hasNext: rows.count > Self.pageSize)
        }
    }

    private func collectionRow(_ row: PostgresRow) -> [Markup] {
        let points = row["points"].int ?? 0
        let count = Components.grouped(points)
        return [
            Markup(.a, .href("/admin/vectors/\(row["id"].string ?? "")"), data: row["name"].string ?? ""),
            row["tenant"].string.map { .data($0) } ?? Components.badge(.sharedCollection),
            points >= Self.countLimit ? .text(.atLeast, count) : .data(count),
            .data(Self.sizes(row["settings"].json)), .data(Components.grouped(row["indexes"].int ?? 0)),
            Components.moment(row["created_at"].timestamp?.description),
        ]
    }

    /// Size and distance of each vector of a collection, such as `384 Cosine`.
    private static func sizes(_ settings: JSON?) -> String {
        guard let vectors = settings?["params"]?["vectors"] ?? settings?["vectors"] else { return "–" }
        func one(_ vector: JSON) -> String {
            "\(vector["size"]?.intValue.map(String.init) ?? "?") \(vector["distance"]?.stringValue ?? "")"
        }
        if vectors["size"] != nil { return one(vectors) }
        return vectors.objectValue?.map { "\($0.name): \(one($0.value))" }.joined(separator: ", ") ?? "–"
    }

    private func points(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        guard let id = visit.request.parameters["collection"].flatMap({ Int($0) }) else {
            throw PageRefusal(.notFound, .noSuchCollection)
        }
        let page = visit.pageNumber
        let results = try await read([
            """
            select c.name, t.name as tenant
            from vectors.collections as c
            left join tenancy.tenants as t on t.id = c.tenant_id
            where c.id = \(String(id))::bigint
            """,
            """
            select
                case get_byte(p.id, 0)
                    when 0 then ('x' || encode(substr(p.id, 2), 'hex'))::bit(64)::bigint::text
                    else encode(substr(p.id, 2), 'hex')::uuid::text
                end as id,
                left(p.embedding::text, 120) as embedding, left(p.payload::text, 2000) as payload, p.owner
            from vectors.points as p
            inner join vectors.collections as c on c.id = p.collection_id and c.bucket = p.bucket
            where c.id = \(String(id))::bigint
            order by p.tenant_id, p.id
            limit \(String(Self.pageSize + 1))::bigint offset \(String((page - 1) * Self.pageSize))::bigint
            """,
        ])
        guard let collection = results[0].onlyRow else { throw PageRefusal(.notFound, .noSuchCollection) }
        let name = collection["name"].string ?? ""
        let rows = results[1].rows.map { $0 }
        return visit.page(.words(name), .admin(.vectors)) {
            Markup(.p, .class("back")) { Markup(.a, .href("/admin/vectors"), text: .backToCollections) }
            Components.heading(.words(name), collection["tenant"].string.map { .words($0) })
            if rows.isEmpty {
                Components.empty(.vector, .noPoints)
            } else {
                Components.table(
                    .points, [.identifier, .owner, .vector, .payload],
                    rows: rows.prefix(Self.pageSize).map { row in
                        [
                            Components.code(row["id"].string ?? ""), .data(row["owner"].string ?? "–"),
                            Components.code(row["embedding"].string ?? "–"), cell(row["payload"].string),
                        ]
                    })
            }
            Components.pager("/admin/vectors/\(id)", page: page, hasNext: rows.count > Self.pageSize)
        }
    }
}
