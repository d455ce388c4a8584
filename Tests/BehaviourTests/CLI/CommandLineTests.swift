// SPDX-License-Identifier: Apache-2.0
import Primitives
import Processes
import Testing

/// Commands that need no server.
@Suite struct CommandLineTests {
    struct Refusal: Sendable, CustomTestStringConvertible {
        let arguments: [String]
        let errors: String
        var testDescription: String { "atoll \(arguments.joined(separator: " "))" }
    }

    static let refusals = [
        Refusal(
            arguments: ["strat"],
            errors: "error: there is no command `atoll strat`\n  next: did you mean `atoll start`?\n"),
        Refusal(
            arguments: ["fly"],
            errors: "error: there is no command `atoll fly`\n  next: `atoll --help` lists what there is\n"),
        Refusal(
            arguments: ["gen", "key"],
            errors: "error: there is no command `atoll gen key`\n  next: did you mean `atoll gen keys`?\n"),
        Refusal(
            arguments: ["status", "--outptu", "json"],
            errors: "error: `atoll status` has no flag --outptu\n  next: did you mean --output?\n"),
        Refusal(
            arguments: ["status", "-q"],
            errors: "error: `atoll status` has no flag -q\n  next: `atoll status --help` lists what there is\n"),
        Refusal(
            arguments: ["status", "-o", "xml"],
            errors: "error: -o cannot be \"xml\"\n  next: use one of pretty, env, json, toml, yaml\n"),
        Refusal(
            arguments: ["status", "-o"],
            errors: "error: -o needs a value: -o FORMAT\n  next: `atoll status --help` lists what there is\n"),
        Refusal(
            arguments: ["stop", "--force=maybe"],
            errors: "error: --force takes no value\n  next: `atoll stop --help` lists what there is\n"),
        Refusal(
            arguments: ["stop", "now"],
            errors: "error: `atoll stop` takes no \"now\"\n  next: `atoll stop --help` lists what there is\n"),
        Refusal(
            arguments: ["config", "--workdir", "a", "--workdir", "b"],
            errors: "error: --workdir is given twice\n  next: keep one of them\n"),
        Refusal(
            arguments: ["config", "--set", "port"],
            errors:
                "error: --set cannot be \"port\"\n  next: write --set KEY=VALUE, such as --set auth.jwt_expiry=600\n"),
        Refusal(
            arguments: ["completion"],
            errors:
                "error: `atoll completion` needs SHELL: bash, zsh or fish\n  next: `atoll completion --help` lists what there is\n"
        ),
        Refusal(
            arguments: ["completion", "csh"],
            errors: "error: SHELL cannot be \"csh\"\n  next: use one of bash, zsh, fish\n"),
        Refusal(
            arguments: ["start", "-x", "gotru"],
            errors: "error: there is no service \"gotru\" to exclude\n  next: did you mean gotrue?\n"),
        Refusal(
            arguments: ["status", "--override-name", "api.urk=X"],
            errors: "error: there is no value \"api.urk\" to name\n  next: did you mean api.url?\n"),
        Refusal(
            arguments: ["gen", "bearer-jwt"],
            errors: "error: --role is needed\n  next: add --role authenticated, or another database role\n"),
        Refusal(
            arguments: ["gen", "bearer-jwt", "--role", "anon", "--payload", "[]"],
            errors: "error: --payload is no JSON object\n  next: write it like --payload '{\"app_metadata\":{}}'\n"),
    ]

    @Test(arguments: refusals) func refusesWithANextStepAndCode2(_ refusal: Refusal) throws {
        try CommandLineProgram.inFolder { atoll in
            let result = try atoll.run(refusal.arguments)
            #expect(result.code == 2)
            #expect(result.errors == refusal.errors)
            #expect(result.output == "")
        }
    }

    @Test func failsWithCode1AndTheReason() throws {
        try CommandLineProgram.inFolder { atoll in
            let missing = try atoll.run(["config", "--workdir", "/tmp/atoll-there-is-no-such-folder"])
            #expect(missing.code == 1)
            #expect(
                missing.errors
                    == "error: there is no folder /tmp/atoll-there-is-no-such-folder\n  next: make it, or name another with --workdir\n"
            )

            let stopped = try atoll.run(["status"])
            #expect(stopped.code == 1)
            #expect(stopped.errors.hasSuffix("  next: start it with `atoll start`\n"))

            try atoll.write("[api]\nport = true\nprot = 1\n", to: "supabase/config.toml")
            for command in ["config", "start", "serve"] {
                let refused = try atoll.run([command])
                #expect(refused.code == 1)
                #expect(
                    refused.errors.contains(
                        "supabase/config.toml:2:8: error: api.port: expected an integer from 1 to 65535, got a boolean\n"
                    ))
                #expect(
                    refused.errors.contains(
                        "supabase/config.toml:3:8: warning: api.prot: unknown key, ignored; did you mean `port`?\n"))
            }
        }
    }

    @Test func initRefusesToWriteOverAProject() throws {
        try CommandLineProgram.inFolder { atoll in
            #expect(try atoll.run(["init"]).code == 0)
            try atoll.write("-- mine\n", to: "supabase/seed.sql")
            try atoll.write("project_id = \"mine\"\n", to: "supabase/config.toml")
            let refused = try atoll.run(["init"])
            #expect(refused.code == 1)
            #expect(refused.errors.contains("there is already a project here"))
            #expect(atoll.read("supabase/config.toml") == "project_id = \"mine\"\n")

            #expect(try atoll.run(["init", "--force"]).code == 0)
            #expect(atoll.read("supabase/config.toml")?.contains("project_id = \"atoll-cli-") == true)
            #expect(atoll.read("supabase/seed.sql") == "-- mine\n")
        }
    }

    @Test func initWritesWhatIsTheDefaultAnyway() throws {
        try CommandLineProgram.inFolder { atoll in
            let before = try JSON(parsing: atoll.run(["config", "-o", "json"]).output)
            #expect(try atoll.run(["init"]).code == 0)
            let result = try atoll.run(["config", "-o", "json"])
            #expect(result.errors == "")
            var after = try #require(try JSON(parsing: result.output).objectValue)
            var auth = try #require(after["auth"]?.objectValue)
            auth["additional_redirect_urls"] = []
            after["auth"] = .object(auth)
            #expect(JSON.object(after) == before)
        }
    }

    @Test func configMasksSecretsInEveryForm() throws {
        try CommandLineProgram.inFolder { atoll in
            try atoll.write("[auth]\njwt_secret = \"env(SIGNING)\"\n", to: "supabase/config.toml")
            try atoll.write("SIGNING=the-secret-nobody-may-see-in-any-output\n", to: "supabase/.env")
            for format in ["pretty", "toml", "json", "yaml", "env"] {
                let result = try atoll.run(
                    ["config", "-o", format, "--set", "api.max_rows=7"], environment: ["ATOLL_LOG_LEVEL": "debug"])
                #expect(result.code == 0)
                #expect(!result.output.contains("the-secret"))
                #expect(result.output.contains("********"))
                #expect(
                    result.output.contains("max_rows = 7") || result.output.contains("\"max_rows\": 7")
                        || result.output.contains("max_rows: 7") || result.output.contains("API_MAX_ROWS=\"7\""))
                #expect(result.output.contains("debug"))
            }
            // What is printed as TOML is a configuration again, but for the secrets.
            try atoll.write("", to: "supabase/config.toml")
            let printed = try atoll.run(["config", "-o", "toml"]).output
            try atoll.write(printed, to: "supabase/config.toml")
            let again = try atoll.run(["config", "-o", "toml"])
            #expect(again.output == printed)
        }
    }

    @Test func helpSaysWhatThereIs() throws {
        try CommandLineProgram.inFolder { atoll in
            for arguments in [["--help"], ["help"], ["-h"]] {
                let result = try atoll.run(arguments)
                #expect(result.code == 0)
                #expect(result.output.contains("  start         Start the project's server in the background.\n"))
                #expect(!result.output.contains("reference"))
            }
            #expect(try atoll.run(["start", "--help"]).output.contains("atoll start [flags]"))
            #expect(try atoll.run(["gen"]).code == 2)
            #expect(try atoll.run([]).code == 2)
            #expect(try atoll.run(["version"]).output.hasPrefix("atoll "))
        }
    }

    @Test func completesCommandsFlagsAndValues() throws {
        try CommandLineProgram.inFolder { atoll in
            func words(_ line: String) throws -> [String] {
                try atoll.run(["complete", "--", line]).output.split(separator: "\n").compactMap {
                    $0.split(separator: "\t").first.map(String.init)
                }
            }
            #expect(try words("atoll st") == ["start", "stop", "status", "storage"])
            #expect(try words("atoll gen ") == ["keys", "signing-key", "bearer-jwt"])
            #expect(try words("atoll status --o") == ["--output", "--override-name"])
            #expect(try words("atoll status -o ") == ["pretty", "env", "json", "toml", "yaml"])
            #expect(try words("atoll --workdir x completion b") == ["bash"])
            #expect(try words("atoll nothing here ") == [])
            for shell in ["bash", "zsh", "fish"] {
                let script = try atoll.run(["completion", shell]).output
                #expect(script.contains("atoll complete -- "))
            }
        }
    }

    @Test func generatesKeysAndTokens() throws {
        try CommandLineProgram.inFolder { atoll in
            let keys = try atoll.run(["gen", "keys", "--override-name", "auth.anon_key=PUBLIC_KEY"]).output
            #expect(keys.contains("PUBLIC_KEY=\"ey"))
            #expect(keys.contains("SERVICE_ROLE_KEY=\"ey"))
            let token = try atoll.run([
                "gen", "bearer-jwt", "--role", "authenticated", "--sub", "someone", "--valid-for", "1h", "--payload",
                "{\"aud\":\"authenticated\"}",
            ]).output
            let parts = token.split(whereSeparator: { $0 == "." || $0 == "\n" })
            try #require(parts.count == 3)
            let decoded = try #require(Base64URL.decode(parts[1]))
            let claims = try JSON(parsing: decoded)
            #expect(claims["role"] == "authenticated")
            #expect(claims["sub"] == "someone")
            #expect(claims["aud"] == "authenticated")
            let (issued, expiry) = (claims["iat"]?.intValue, claims["exp"]?.intValue)
            #expect(try #require(expiry) == (issued ?? 0) + 3600)
            let past = try atoll.run(["gen", "bearer-jwt", "--role", "anon", "--exp", "1"])
            #expect(past.code == 2)
        }
    }

    @Test(arguments: [("cli", "cli"), ("isolation", "lints")])
    func pagesAreWhatTheProgramSays(_ page: String, _ name: String) throws {
        try CommandLineProgram.inFolder { atoll in
            let text = try #require(FileSystem.read("\(CommandLineProgram.root)/docs/\(page).md", maxBytes: 1 << 20))
            let parts = text.split(separator: "a test compares it. -->\n", maxSplits: 1)
            try #require(parts.count == 2)
            #expect(
                try String(parts[1]) == "\n" + atoll.run(["reference", name]).output,
                "docs/\(page).md is behind: put what `atoll reference \(name)` prints below its last comment")
        }
    }

    @Test func theKeysOfRESTAreThoseOfTheProgram() throws {
        try CommandLineProgram.inFolder { atoll in
            let text = try #require(FileSystem.read("\(CommandLineProgram.root)/docs/rest.md", maxBytes: 1 << 20))
            #expect(
                try text.contains("a test compares it. -->\n\n" + atoll.run(["reference", "rest"]).output + "\n"),
                "docs/rest.md is behind: put what `atoll reference rest` prints below its comment")
        }
    }
}
