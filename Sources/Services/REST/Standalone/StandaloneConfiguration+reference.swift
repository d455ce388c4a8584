// SPDX-License-Identifier: Apache-2.0

extension StandaloneConfiguration {
    /// What each key means, in a line; a test holds this against ``keys``.
    static let summaries: [String: String] = [
        "admin-server-host": "where the admin server listens; `server-host` by default",
        "admin-server-port": "the admin server's port; without it and a socket there is no admin server",
        "admin-server-unix-socket": "a Unix-domain socket for the admin server, in place of host and port",
        "admin-server-unix-socket-mode": "the permissions of that socket, in octal",
        "client-error-verbosity": "`verbose`, or `minimal` for errors without details and hint",
        "db-aggregates-enabled": "whether `select` takes aggregates",
        "db-anon-role": "the role of requests without a token; without it they are refused",
        "db-channel": "the channel that `notify` asks for reloads on",
        "db-channel-enabled": "whether that channel is listened to",
        "db-config": "whether settings are read from the database, and those of roles applied",
        "db-extra-search-path": "schemas behind the request's on the search path",
        "db-hoisted-tx-settings": "settings of functions that hold for their whole transaction",
        "db-max-rows": "the most rows of an answer",
        "db-plan-enabled": "whether execution plans can be asked for",
        "db-pool": "connections to the database, over all threads",
        "db-pool-acquisition-timeout": "how long a request waits for a connection, in seconds",
        "db-pool-automatic-recovery": "whether a lost database is waited for; otherwise the server ends",
        "db-pool-max-idletime": "how long an unused connection is kept, in seconds",
        "db-pool-max-lifetime": "how old a connection becomes, in seconds",
        "db-pre-config": "a function that sets `pgrst.*` before they are read",
        "db-pre-request": "a function called before each request's statement, in its transaction",
        "db-prepared-statements": "whether statements are prepared; not behind a pooler of transactions",
        "db-root-spec": "a function that answers the root in place of the description",
        "db-schemas": "the exposed schemas, between commas; the first is the default",
        "db-timezone-enabled": "whether `Prefer: timezone=` is heeded",
        "db-tx-end":
            "how transactions end: `commit`, `commit-allow-override`, `rollback` or `rollback-allow-override`",
        "db-uri": "libpq's connection string, in either form, or `@file` that holds it",
        "jwt-aud": "what a token's `aud` must hold, where it has one",
        "jwt-cache-max-entries": "verified tokens that are remembered; 0 for none",
        "jwt-role-claim-key": "where in a token the role stands",
        "jwt-secret": "a secret of at least 32 bytes, a JSON Web Key or set, or `@file` that holds one",
        "jwt-secret-is-base64": "whether `jwt-secret` is base64",
        "log-level": "`crit`, `error` (answers from 500), `warn` (from 400), `info` (all) or `debug`",
        "log-query": "whether a logged request's statement is logged, too",
        "openapi-mode": "what the root describes: `follow-privileges`, `ignore-privileges` or `disabled`",
        "openapi-security-active": "whether the description says how requests are authenticated",
        "openapi-server-proxy-uri": "the address that clients use, for the description",
        "server-cors-allowed-origins": "the origins whose pages may call, between commas; all by default",
        "server-host": "where to listen: a name, an address, or `*`, `*4`, `!4`, `*6`, `!6`",
        "server-port": "the port; 0 takes a free one",
        "server-reuseport": "whether other processes may listen on the same port",
        "server-threads": "threads that serve requests (Atoll's own key); 0 for one each processor",
        "server-timing-enabled": "whether answers say how long each step took",
        "server-trace-header": "the header that answers repeat as the request had it",
        "server-unix-socket": "a Unix-domain socket to listen at, in place of host and port",
        "server-unix-socket-mode": "the permissions of that socket, in octal",
        "url-use-legacy-target-names": "whether a renamed relation answers to its own name in filters, too",
    ]

    /// A configuration file with every key at its default, and what it means.
    package static var example: String {
        let standard = StandaloneConfiguration()
        let entries = keys.sorted { $0.name < $1.name }.map { key in
            "## \(summaries[key.name] ?? "")\n# \(key.name) = \(key.written(standard))\n"
        }
        return """
            ## Configuration of `atoll rest`. Each key may also stand in the environment: db-uri as PGRST_DB_URI.
            ## In texts, $(NAME) means a variable of the environment, and $$ a dollar sign.

            \(entries.joined(separator: "\n"))
            ## Settings that functions can read with current_setting('app.settings.name').
            # app.settings.name = "value"

            """
    }

    /// The table of keys in `docs/rest.md`.
    package static var markdown: String {
        let standard = StandaloneConfiguration()
        let rows = keys.sorted { $0.name < $1.name }.map { key in
            let names = ([key.name] + key.aliases).map { "`\($0)`" }.joined(separator: ", ")
            let written = key.written(standard)
            let value = written == "\"\"" ? "" : "`\(written.replacing("$$", with: "$"))`"
            let place = key.isInDatabase ? "yes" : ""
            return
                "| \(names) | \(value) | \(place) | \(key.isReloadable ? "yes" : "") | \(summaries[key.name] ?? "") |"
        }
        return """
            | Key | Default | In the database | Reloaded | What it is |
            | --- | --- | --- | --- | --- |
            \(rows.joined(separator: "\n"))

            """
    }
}
