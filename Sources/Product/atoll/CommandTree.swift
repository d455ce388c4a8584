// SPDX-License-Identifier: Apache-2.0
internal import Images

/// All commands and flags.
enum CommandTree {
    static let root = Command(
        name: "atoll", summary: "A complete multi-tenant SaaS back end in one program.",
        discussion: "Names and flags are those of the Supabase CLI where it has the command.",
        options: [
            .init(
                name: "workdir", value: "FOLDER",
                summary: "the project's folder, or one in it; the current one by default"),
            .init(
                name: "output", letter: "o", value: "FORMAT", summary: "how results are printed: \(formats)",
                choices: OutputFormat.allCases.map(\.rawValue)),
            .init(name: "debug", summary: "log everything"),
            .init(name: "yes", letter: "y", summary: "answer yes to every question"),
            .init(name: "help", letter: "h", summary: "say what a command does and takes"),
            .init(name: "version", letter: "v", summary: "print the version"),
        ],
        commands: [
            Command(
                name: "init", summary: "Make a project in the current folder.",
                discussion:
                    "Writes supabase/config.toml, supabase/seed.sql, supabase/.gitignore and supabase/migrations. Files that are there stay as they are.",
                options: [
                    .init(name: "force", summary: "write supabase/config.toml anew when there is one"),
                    .init(
                        name: "blueprint", value: "NAME",
                        summary: "write a first migration too: tables, policies and buckets that keep tenants apart",
                        choices: InitCommand.blueprints),
                ],
                run: InitCommand.run),
            Command(
                name: "start", summary: "Start the project's server in the background.",
                discussion:
                    "Returns when the server answers, and prints addresses and keys. Its log is .atoll/log; when it crashes or is killed, it is started again. Starting a server that runs says so and changes nothing.",
                options: serverOptions + [
                    .init(
                        name: "exclude", letter: "x", value: "SERVICES",
                        summary:
                            "services not to start, between commas: \(ServerFlags.excludable.joined(separator: ", "))",
                        isRepeatable: true),
                    .init(name: "ignore-health-check", summary: "return 0 also when the server is not healthy in time"),
                ], run: StartCommand.run),
            Command(
                name: "serve", summary: "Run the project's server in the foreground, until Ctrl-C or SIGTERM.",
                options: serverOptions + [
                    .init(
                        name: "background",
                        summary: "take flags from standard input and print progress, for `atoll start`",
                        isHidden: true)
                ], run: ServeCommand.run),
            Command(
                name: "keep", summary: "Run the server and start it again when it crashes, for `atoll start`.",
                isHidden: true, run: KeepCommand.run),
            Command(
                name: "stop", summary: "Stop the project's server.",
                discussion:
                    "Requests in flight are finished. Waits as long as `[atoll] stop_timeout` says. Nothing running is no error.",
                options: [
                    .init(name: "force", summary: "kill a server that does not end in time; committed data is safe")
                ],
                run: StopCommand.run),
            Command(
                name: "status", summary: "Print addresses and keys of the running server.",
                discussion: "Exits with 1 when no server runs.",
                options: [
                    .init(
                        name: "override-name", value: "KEY=NAME",
                        summary: "print a value under another name, such as api.url=NEXT_PUBLIC_SUPABASE_URL",
                        isRepeatable: true)
                ], run: StatusCommand.run),
            Command(
                name: "config", summary: "Print the configuration in force, secrets masked.",
                discussion: "Checks it too: what is wrong is printed with file, line and column.",
                options: [setOption], run: ConfigCommand.run),
            IsolationCommands.isolation,
            IsolationCommands.database,
            StorageCommands.storage,
            SecretCommands.secrets,
            TenantCommands.tenants,
            Command(
                name: "gen", summary: "Make keys and tokens.",
                commands: [
                    Command(
                        name: "keys", summary: "Print the project's API keys as variables.",
                        options: [
                            .init(
                                name: "override-name", value: "KEY=NAME", summary: "print a key under another name",
                                isRepeatable: true)
                        ], run: GenerateCommands.keys),
                    Command(
                        name: "signing-key", summary: "Make a key for signing tokens.",
                        discussion:
                            "Prints the private JSON Web Key, or writes it into the file that `signing_keys_path` under [auth] names where that is not there yet. With --append it is added to those in the file and waits there: publish it for 10 minutes, then let it sign with `atoll signing-keys rotate`.",
                        options: [
                            .init(
                                name: "algorithm", value: "ALGORITHM", summary: "the algorithm; ES256 by default",
                                choices: ["ES256", "RS256"]),
                            .init(name: "append", summary: "add the key to the file"),
                        ], run: SigningKeyCommands.generate),
                    Command(
                        name: "bearer-jwt", summary: "Sign a token with the project's current key.",
                        options: [
                            .init(
                                name: "role", value: "ROLE",
                                summary: "the database role, such as authenticated; required"),
                            .init(name: "sub", value: "ID", summary: "the user's id"),
                            .init(name: "exp", value: "SECONDS", summary: "when it ends, in seconds since 1970"),
                            .init(
                                name: "valid-for", value: "DURATION", summary: "how long it is valid; 30m by default"),
                            .init(name: "payload", value: "JSON", summary: "further claims, as a JSON object"),
                        ], run: GenerateCommands.bearerJWT),
                ]),
            Command(
                name: "signing-keys", summary: "Rotate the keys that tokens are signed with.",
                discussion:
                    "They are in the file that `signing_keys_path` under [auth] names. A running server takes changes up within seconds.",
                commands: [
                    Command(
                        name: "list", summary: "Print the keys and what each is for.", run: SigningKeyCommands.list),
                    Command(
                        name: "rotate", summary: "Let the key that waits sign.",
                        discussion: "The key that signed so far goes on verifying the tokens it has signed.",
                        run: SigningKeyCommands.rotate),
                    Command(
                        name: "revoke", summary: "Refuse all tokens of a key from now on.",
                        discussion:
                            "Of a key that has signed before, once its last token has expired, or at once when it has leaked.",
                        arguments: [.init(name: "KID", summary: "the key's id")], run: SigningKeyCommands.revoke),
                ]),
            Command(
                name: "rest", summary: "Serve PostgREST's protocol over any PostgreSQL, without a project.",
                discussion:
                    "Takes PostgREST's configuration: a file, PGRST_* variables, and settings in the database; docs/rest.md lists the keys. SIGUSR1 reads the schema anew, SIGUSR2 the configuration.",
                arguments: [
                    .init(name: "FILE", summary: "the configuration file, as --config names it", isOptional: true)
                ],
                options: [
                    .init(name: "config", value: "FILE", summary: "the configuration file"),
                    .init(name: "dump-config", summary: "print the configuration in force, secrets included, and exit"),
                    .init(name: "dump-schema", summary: "print what is known of the schema as JSON and exit"),
                    .init(name: "example", letter: "e", summary: "print an example of a configuration file and exit"),
                    .init(name: "ready", summary: "ask the admin server of a running one whether it is ready"),
                ], run: RESTCommand.run),
            Command(
                name: "completion", summary: "Print the completion script of a shell.",
                discussion:
                    "bash: add `source <(atoll completion bash)` to ~/.bashrc. zsh: `atoll completion zsh > \"${fpath[1]}/_atoll\"`. fish: `atoll completion fish > ~/.config/fish/completions/atoll.fish`.",
                arguments: [.init(name: "SHELL", summary: "bash, zsh or fish", choices: CompletionCommand.shells)],
                run: CompletionCommand.run),
            Command(name: "version", summary: "Print the version.", run: VersionCommand.run),
            Command(
                name: "render", summary: "Render one image, for the server.",
                arguments: [.init(name: "ARGUMENTS", summary: "files, sizes and bounds")], isHidden: true,
                run: {
                    ImageWorker.run(
                        ($0.argument(0) ?? "").split(separator: "\n").map(String.init), report: { Output.print($0) })
                }),
            Command(
                name: "reference", summary: "Print a page of docs/ that is made from the program.",
                arguments: [
                    .init(
                        name: "PAGE", summary: "cli, configuration, lints, messages or rest",
                        choices: ["cli", "configuration", "lints", "messages", "rest"])
                ],
                isHidden: true, run: ReferenceCommand.run),
            Command(
                name: "complete", summary: "Print what may come next on a command line.",
                arguments: [.init(name: "LINE", summary: "the line up to the cursor")], isHidden: true,
                run: CompletionCommand.complete),
        ])

    private static let formats = OutputFormat.allCases.map(\.rawValue).joined(separator: ", ")

    private static let setOption = Command.Option(
        name: "set", value: "KEY=VALUE", summary: "set a key of the configuration, such as auth.jwt_expiry=600",
        isRepeatable: true)

    private static let serverOptions: [Command.Option] = [
        .init(name: "host", value: "ADDRESS", summary: "listen here instead of at `[atoll] host`"),
        .init(name: "port", value: "PORT", summary: "serve the API here instead of at `[api] port`"),
        .init(
            name: "log-level", value: "LEVEL", summary: "the least severity that is logged",
            choices: ["debug", "info", "warning", "error"]),
        .init(
            name: "log-format", value: "FORMAT", summary: "how the log is written", choices: ["auto", "text", "json"]),
        setOption,
    ]
}
