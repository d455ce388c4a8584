// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// What a server is and has, as far as a project depends on it.
struct ServerFacts: Sendable, Equatable {
    /// As in `server_version_num`: 150020 for 15.20.
    var version: Int
    var encoding: String
    var isReadOnly: Bool
    var login: String
    var isSuperuser: Bool
    /// The needed extensions that the server could not install.
    var unavailableExtensions: [String]
    /// The needed roles that are not there.
    var missingRoles: [String]
    /// Whether the platform's history is there, so that migrations may be the only thing to do.
    var hasHistory: Bool

    /// Reads them in one round trip.
    static func read(from database: Database) async throws -> ServerFacts {
        let result = try await database.query(
            """
            select
                current_setting('server_version_num')::integer as version,
                pg_encoding_to_char(d.encoding) as encoding,
                pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as is_read_only,
                current_user as login,
                r.rolsuper as is_superuser,
                array(
                    select wanted from unnest(\(Bootstrap.extensions)::text[]) as wanted
                    where wanted not in (select name from pg_available_extensions)
                ) as unavailable_extensions,
                array(
                    select wanted from unnest(\(Bootstrap.roles)::text[]) as wanted
                    where wanted not in (select rolname from pg_roles)
                ) as missing_roles,
                to_regclass('atoll.migrations') is not null as has_history
            from pg_database as d, pg_roles as r
            where d.datname = current_database() and r.rolname = current_user
            """)
        let row = result[0]
        return ServerFacts(
            version: row["version"].int ?? 0, encoding: row["encoding"].string ?? "",
            isReadOnly: row["is_read_only"].bool ?? true, login: row["login"].string ?? "",
            isSuperuser: row["is_superuser"].bool ?? false,
            unavailableExtensions: row["unavailable_extensions"].array?.compactMap { $0 } ?? [],
            missingRoles: row["missing_roles"].array?.compactMap { $0 } ?? [],
            hasHistory: row["has_history"].bool ?? false)
    }

    /// What keeps the server from being used, told once and completely; nil when nothing does.
    var refusal: BootstrapError? {
        let needed = Bootstrap.minimumServerVersion
        if version / 10000 < needed {
            return BootstrapError(
                .serverTooOld,
                "the server is PostgreSQL \(version / 10000).\(version % 10000); Atoll needs \(needed) or newer")
        }
        if encoding != "UTF8" {
            return BootstrapError(
                .wrongEncoding,
                "the database stores \(encoding); make one with `create database NAME encoding 'UTF8' template template0`"
            )
        }
        if isReadOnly {
            return BootstrapError(
                .readOnlyServer, "the server is a standby or set to read-only; give the address of the primary")
        }
        if !unavailableExtensions.isEmpty {
            return BootstrapError(
                .missingExtension,
                "the server cannot install these extensions: \(unavailableExtensions.joined(separator: ", ")); install "
                    + "their packages on the server (pgcrypto and uuid-ossp are in postgresql-contrib, vector is pgvector)"
            )
        }
        if !isSuperuser, !missingRoles.isEmpty || !hasHistory {
            let roles =
                missingRoles.isEmpty ? "" : ", and the roles \(missingRoles.joined(separator: ", ")) are missing"
            return BootstrapError(
                .missingPrivilege,
                "the login \"\(login)\" is not a superuser\(roles); the first start makes roles that bypass row level "
                    + "security and installs extensions, so give it the address of a superuser once")
        }
        return nil
    }
}
