// SPDX-License-Identifier: Apache-2.0
package import Postgres

/// The configuration that the database holds: what `alter role ... set pgrst.*` says of the role that logs in, for this database before
/// for all, and what the function of `db-pre-config` sets.
package enum DatabaseSettings {
    /// What reads it, in one round trip.
    package static func unit(preConfigFunction function: String?) -> WorkUnit {
        let names = StandaloneConfiguration.keys.filter(\.isInDatabase).map(\.databaseName)
        var queries: [PostgresQuery] = []
        if let function {
            queries.append(Execution.preRequest(function))
            queries.append(
                """
                select name, pg_catalog.current_setting(name, true) as value
                from unnest(\(names)::text[]) as name
                """)
        }
        queries.append(
            """
            select split_part(s.setting, '=', 1) as name, substr(s.setting, strpos(s.setting, '=') + 1) as value
            from pg_catalog.pg_db_role_setting d
            cross join unnest(d.setconfig) with ordinality as s (setting, place)
            where d.setrole = (select oid from pg_catalog.pg_roles where rolname = current_user)
                and d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
                and split_part(s.setting, '=', 1) = any (\(names)::text[])
            order by d.setdatabase, s.place
            """)
        return WorkUnit(readOnly: true, queries: queries)
    }

    /// The values by name, without `pgrst.`; of what several say the last counts.
    package static func values(_ results: [PostgresResult]) -> [String: String] {
        var values: [String: String] = [:]
        for result in results where result.columnNames == ["name", "value"] {
            for row in result.rows {
                // A setting that a function in this session set once is empty afterwards, not absent.
                guard let name = row["name"].text, let value = row["value"].text, !value.isEmpty else { continue }
                values[String(name.dropFirst("pgrst.".count))] = value
            }
        }
        return values
    }
}
