// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension SQLProbeRun {
    /// Views, materialized views, tables that show the rows of others which inherit from them, and the platform's tables that were
    /// not tried row by row.
    func sweptRelations() -> [Catalog.Relation] {
        let heirs = tables.filter(catalog.isScoped)
        let parents = Set(heirs.flatMap(\.parents))
        let tried = Set(tables.map(\.id)).subtracting(parents)
        return catalog.relations.filter { relation in
            !relation.roles(allowed: "SELECT").isEmpty && !tried.contains(relation.id) && !relation.isOfExtension
                && relation.kind != .foreignTable && !relation.isPartition && relation.schema != "extensions"
        }
    }

    /// Kept for the rest of the transaction; a view that cannot be refreshed is swept as it is.
    func refresh(_ view: Catalog.Relation) async throws {
        _ = try await attempt("refresh materialized view \(view.quotedName)", as: nil)
    }

    mutating func sweep(
        _ view: Catalog.Relation, _ caller: Crossing.Caller, _ mine: ProbeTenant, _ other: ProbeTenant
    ) async throws {
        let columns = view.columns.filter { $0.readers.contains(Self.role(of: caller)) }.map {
            quoteIdentifier($0.name)
        }
        guard !columns.isEmpty else { return }
        let marks = other.marks.map { quoteLiteral("%\($0)%") }.joined(separator: ", ")
        let statement =
            "select 1 from (select \(columns.joined(separator: ", ")) from \(view.quotedName)) as t where to_jsonb(t)::text like any (array[\(marks)]) limit 1"
        try await record(
            view, .read, caller, statement, caller == .member ? mine : nil, count: \.rowCount)
    }
}
