// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// What `alter role ... set` says of a role that requests run as. PostgreSQL applies it at log-in alone, and requests come in by
/// another role, so each request's transaction is given it.
struct RoleSettings: Sendable, Hashable {
    /// All but the isolation level.
    var settings: [Function.Setting] = []
    /// `default_transaction_isolation`, which has to be known when the transaction begins.
    var isolation: TransactionIsolation?

    /// Those of the roles that the login may switch to, by role: the settings for all databases, then those for this one, without
    /// what the login has no right to set.
    static let sql = """
        select r.rolname, array_agg(s.setting order by d.setdatabase, s.place) as settings
        from pg_catalog.pg_auth_members m
        join pg_catalog.pg_roles r on r.oid = m.roleid
        join pg_catalog.pg_db_role_setting d on d.setrole = r.oid
        cross join unnest(d.setconfig) with ordinality as s (setting, place)
        join pg_catalog.pg_settings p on p.name = lower(split_part(s.setting, '=', 1))
        where m.member = (select oid from pg_catalog.pg_roles where rolname = current_user)
            and d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
            and (p.context = 'user'
                or pg_catalog.has_parameter_privilege(current_user, p.name, 'set'))
        group by r.rolname
        """

    /// Reads what the query returned: settings by role.
    static func all(_ result: PostgresResult) -> [String: RoleSettings] {
        var found: [String: RoleSettings] = [:]
        for row in result.rows {
            guard let role = row["rolname"].text, let entries = row["settings"].array else { continue }
            found[role] = RoleSettings(entries: entries.compactMap(\.self))
        }
        return found
    }

    /// - Parameter entries: `name=value`; of one name the last counts.
    init(entries: [String]) {
        for entry in entries {
            guard let mark = entry.firstIndex(of: "=") else { continue }
            let name = String(entry[..<mark])
            let value = String(entry[entry.index(after: mark)...])
            if name.lowercased() == Execution.isolationSetting {
                isolation = TransactionIsolation(setting: value)
            } else if !["role", "session_authorization"].contains(name.lowercased()) {
                settings.removeAll { $0.name == name }
                settings.append(Function.Setting(name: name, value: value))
            }
        }
    }
}

extension TransactionIsolation {
    /// The level a setting names; PostgreSQL treats the uncommitted as the committed.
    init(setting: String) {
        switch setting.lowercased() {
        case "serializable": self = .serializable
        case "repeatable read": self = .repeatableRead
        default: self = .readCommitted
        }
    }
}
