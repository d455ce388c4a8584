// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Platform
internal import Processes

/// `atoll init`
enum InitCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        if !FileSystem.exists(invocation.workdir) { try FileSystem.makeFolder(invocation.workdir, mode: 0o755) }
        guard let folder = FileSystem.realPath(invocation.workdir), FileSystem.attributes(folder)?.isFolder == true
        else {
            throw CommandFailure("\(invocation.workdir) is no folder", next: "name another with --workdir")
        }
        let supabase = "\(folder)/supabase"
        let configuration = "\(supabase)/config.toml"
        if FileSystem.exists(configuration), !invocation.has("force") {
            throw CommandFailure(
                "there is already a project here: \(configuration)",
                next: "start it with `atoll start`, or write the file anew with `atoll init --force`")
        }
        try FileSystem.makeFolder("\(supabase)/migrations", mode: 0o755)
        try FileSystem.write(template(projectID: name(of: folder)), to: configuration, mode: 0o644)
        Output.print("wrote supabase/config.toml")
        for (file, text) in [("seed.sql", seed), (".gitignore", ignored)] {
            guard !FileSystem.exists("\(supabase)/\(file)") else { continue }
            try FileSystem.write(text, to: "\(supabase)/\(file)", mode: 0o644)
            Output.print("wrote supabase/\(file)")
        }
        if let blueprint = invocation.value("blueprint") {
            for asset in Assets.files(under: "sql/blueprints/\(blueprint)/migrations/") {
                let file = "migrations/\(asset.path.split(separator: "/").last ?? "")"
                guard !FileSystem.exists("\(supabase)/\(file)") else { continue }
                try FileSystem.write(asset.text, to: "\(supabase)/\(file)", mode: 0o644)
                Output.print("wrote supabase/\(file)")
            }
        }
        Output.print("The project is ready. Next: put SQL into supabase/migrations, then run `atoll start`.")
        return 0
    }

    /// The names of the blueprints in this program.
    static var blueprints: [String] {
        let folder = "sql/blueprints/"
        let names = Assets.files(under: folder).compactMap {
            $0.path.dropFirst(folder.count).split(separator: "/").first
        }
        return Set(names.map(String.init)).sorted()
    }

    /// The folder's name in the form a project's id has.
    private static func name(of folder: String) -> String {
        let name = folder.split(separator: "/").last.map(String.init) ?? "atoll"
        return String(
            name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "_" }.prefix(40))
    }

    private static let seed = "-- SQL that fills a new database, after the migrations.\n"

    private static let ignored = """
        # What the tools keep for themselves
        .branches
        .temp

        # Secrets
        .env
        .env.local
        .env.*.local
        signing_keys.json

        """

    private static func template(projectID: String) -> String {
        """
        # The settings of this project. Every key, with its default and meaning: docs/configuration.md of Atoll.
        # Any text may be "env(NAME)": then the value comes from the environment or from supabase/.env.
        # `atoll config` checks this file and prints what is in force.
        project_id = "\(projectID)"

        [api]
        port = 54321
        # Schemas whose tables, views and functions the API serves.
        schemas = ["public", "graphql_public"]
        extra_search_path = ["public", "extensions"]
        # Rows of a response, at most.
        max_rows = 1000

        [db]
        port = 54322
        major_version = 17

        [db.migrations]
        enabled = true

        [db.seed]
        enabled = true
        sql_paths = ["./seed.sql"]

        # Mail goes to a page on this port until [auth.email.smtp] is set.
        [inbucket]
        enabled = true
        port = 54324

        [storage]
        file_size_limit = "50MiB"

        [auth]
        # Where links in mails lead and sign-in returns to.
        site_url = "http://127.0.0.1:3000"
        additional_redirect_urls = ["https://127.0.0.1:3000"]
        # Seconds an access token is valid.
        jwt_expiry = 3600
        enable_signup = true
        enable_anonymous_sign_ins = false
        minimum_password_length = 6

        [auth.email]
        enable_signup = true
        # Whether an address must be confirmed before its user may sign in.
        enable_confirmations = false

        # [auth.email.smtp]
        # host = "smtp.example.com"
        # port = 587
        # user = "user"
        # pass = "env(SMTP_PASSWORD)"
        # admin_email = "hello@example.com"
        # sender_name = "Example"

        # [auth.external.github]
        # enabled = true
        # client_id = "env(GITHUB_CLIENT_ID)"
        # secret = "env(GITHUB_SECRET)"

        # What Atoll has beyond the Supabase CLI.
        [atoll]
        # "0.0.0.0" opens the API to the network.
        host = "127.0.0.1"
        log_level = "info"

        """
    }
}
