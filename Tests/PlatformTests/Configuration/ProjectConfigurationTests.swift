// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import Platform

@Suite struct ProjectConfigurationTests {
    private static func load(
        _ toml: String, process: [String: String] = [:], dotEnv: String = "",
        overrides: [ProjectConfiguration.Override] = []
    ) throws -> LoadedConfiguration {
        var environment = ConfigurationEnvironment(process: process)
        environment.add(dotEnv: dotEnv, file: ".env")
        return try ProjectConfiguration.load(
            toml: Array(toml.utf8), file: "config.toml", environment: environment, overrides: overrides)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let toml: String
        let expected: [String]
        var process: [String: String] = [:]
        var testDescription: String { toml.isEmpty ? "\(process)" : toml }
    }

    static let refusals = [
        Refusal(
            toml: "[api]\nport = \"many\"",
            expected: ["config.toml:2:8: error: api.port: expected an integer from 1 to 65535, got \"many\""]),
        Refusal(
            toml: "[api]\nport = 65536",
            expected: ["config.toml:2:8: error: api.port: expected an integer from 1 to 65535, got 65536"]),
        Refusal(
            toml: "[api]\nenabled = \"true\"",
            expected: ["config.toml:2:11: error: api.enabled: expected true or false, got \"true\""]),
        Refusal(
            toml: "[api]\nschemas = \"public\"",
            expected: ["config.toml:2:11: error: api.schemas: expected an array of strings, got \"public\""]),
        Refusal(
            toml: "[api]\nschemas = [\"a\", 1]",
            expected: ["config.toml:2:11: error: api.schemas: expected an array of strings, got an array"]),
        Refusal(toml: "api = 5", expected: ["config.toml:1:7: error: api: expected a table, got 5"]),
        Refusal(
            toml: "[db.pooler]\npool_mode = \"statement\"",
            expected: [
                "config.toml:2:13: error: db.pooler.pool_mode: expected one of \"transaction\", \"session\", got \"statement\""
            ]),
        Refusal(
            toml: "[auth.email]\nmax_frequency = \"soon\"",
            expected: [
                "config.toml:2:17: error: auth.email.max_frequency: expected a duration such as \"1h30m\" or \"5s\", got \"soon\""
            ]),
        Refusal(
            toml: "[storage]\nfile_size_limit = \"big\"",
            expected: [
                "config.toml:2:19: error: storage.file_size_limit: expected a size such as \"50MiB\", from 1B, got \"big\""
            ]),
        Refusal(
            toml: "[auth]\njwt_secret = \"tooshort\"",
            expected: [
                "config.toml:2:14: error: auth.jwt_secret: expected a string of at least 16 characters, got a string"
            ]),
        Refusal(
            toml: "[remotes.live.api]\nport = 0",
            expected: ["config.toml:2:8: error: remotes.live.api.port: expected an integer from 1 to 65535, got 0"]),
        Refusal(
            toml: "[api]\nport = 1\nport = 2",
            expected: ["config.toml:3:8: error: value (\"port\") already exists: value defined twice"]),
        Refusal(
            toml: "[api\nport = 1", expected: ["config.toml:1:1: error: an invalid key appeared: is not a valid key"]),
        Refusal(
            toml: "a = \"x\u{0}\"",
            expected: ["config.toml:1:7: error: control characters are not allowed; write them as an escape"]),
        Refusal(
            toml: "a = " + String(repeating: "[", count: 100_000),
            expected: ["config.toml:1:37: error: nested deeper than 32 levels"]),
        Refusal(
            toml: "[api.tls]\nenabled = true",
            expected: [
                "config.toml: error: api.tls.cert_path: needed while api.tls.enabled is true",
                "config.toml: error: api.tls.key_path: needed while api.tls.enabled is true",
            ]),
        Refusal(
            toml: "[db]\nport = 54321", expected: ["config.toml:2:8: error: db.port: the same port as api.port, 54321"]),
        Refusal(
            toml: "",
            expected: [
                "environment variable ATOLL_LOG_LEVEL: error: atoll.log_level: expected one of \"debug\", \"info\", \"warning\", \"error\", got \"loud\""
            ], process: ["ATOLL_LOG_LEVEL": "loud"]),
        Refusal(
            toml: "",
            expected: [
                "environment variable ENCRYPTION_KEY: error: atoll.encryption_key: expected 32 characters, or 32 bytes in base64 or hexadecimal, got a string"
            ], process: ["ENCRYPTION_KEY": "short"]),
        Refusal(
            toml: "",
            expected: [
                "environment variable DATABASE_URL: error: atoll.database.url: expected an address such as \"postgresql://user:password@host:5432/database\", got a string"
            ], process: ["DATABASE_URL": "mysql://u:pw@h/d"]),
    ]

    @Test(arguments: refusals) func refusesWithThePlaceAndWhatWouldBeRight(_ refusal: Refusal) {
        do {
            _ = try Self.load(refusal.toml, process: refusal.process)
            Issue.record("it was accepted")
        } catch let error as ConfigurationError {
            #expect(error.diagnostics.filter { $0.severity == .error }.map(\.description) == refusal.expected)
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test func refusesInvalidUTF8AndDocumentsWithoutEnd() {
        for bytes in [[UInt8(ascii: "a"), 0xff], [UInt8](repeating: UInt8(ascii: "#"), count: 2 << 20)] {
            #expect(throws: ConfigurationError.self) { try ProjectConfiguration.load(toml: bytes, file: "config.toml") }
        }
    }

    @Test func refusesAFlagThatNamesNoKey() {
        let error = #expect(throws: ConfigurationError.self) {
            try Self.load("", overrides: [.init(key: "api.prot", value: "1", flag: "--set")])
        }
        #expect(error?.description == "--set: error: api.prot: unknown key; did you mean `port`?")
    }

    @Test func warnsOfUnknownKeysWithTheLikelyOne() throws {
        let loaded = try Self.load(
            "[api]\nprot = 1\nunheard_of = 2\n\n[atuh]\nenabled = true\n\n[auth.hook.custom_token]\n")
        #expect(
            loaded.warnings.map(\.description) == [
                "config.toml:2:8: warning: api.prot: unknown key, ignored; did you mean `port`?",
                "config.toml:3:14: warning: api.unheard_of: unknown key, ignored",
                "config.toml:5:1: warning: atuh: unknown key, ignored; did you mean `auth`?",
                "config.toml:8:1: warning: auth.hook.custom_token: unknown key, ignored",
            ])
    }

    @Test func hasTheDefaultsOfTheSupabaseCLI() throws {
        let loaded = try Self.load("")
        let configuration = loaded.configuration
        #expect(loaded.warnings.isEmpty)
        #expect(configuration.api.port == 54321)
        #expect(configuration.api.schemas == ["public", "graphql_public"])
        #expect(configuration.database.seed.sqlPaths == ["./seed.sql"])
        #expect(configuration.auth.jwtExpiry == .seconds(3600))
        #expect(configuration.auth.email.smtp == nil)
        #expect(configuration.storage.fileSizeLimitBytes == 50 << 20)
    }

    @Test func readsEveryKindOfKey() throws {
        let configuration = try Self.load(
            """
            project_id = "shop"
            [db.settings]
            max_connections = 50
            shared_buffers = "1GB"
            track_commit_timestamp = true
            [db.vault]
            key = "hidden"
            [functions.hello]
            verify_jwt = false
            static_files = ["./a/*.html"]
            [storage.buckets.avatars]
            public = true
            file_size_limit = "5MiB"
            [auth]
            password_requirements = "letters_digits"
            [auth.email.smtp]
            host = "mail.example.com"
            admin_email = "a@example.com"
            [auth.sms.test_otp]
            4152127777 = "123456"
            [auth.sessions]
            timebox = "24h"
            [auth.external.github]
            enabled = true
            client_id = "id"
            [auth.email.template.invite]
            subject = "Hello"
            [[experimental.inspect.rules]]
            name = "one"
            [[experimental.inspect.rules]]
            name = "two"
            [remotes.live]
            project_id = "abcdefghijklmnopqrst"
            """
        ).configuration
        #expect(configuration.projectID == "shop")
        #expect(
            configuration.database.settings == [
                "max_connections": "50", "shared_buffers": "1GB", "track_commit_timestamp": "on",
            ])
        #expect(configuration.database.vault["key"]?.reveal() == "hidden")
        #expect(configuration.functions["hello"]?.verifyJWT == false)
        #expect(configuration.functions["hello"]?.enabled == true)
        #expect(configuration.storage.buckets["avatars"]?.fileSizeLimitBytes == 5 << 20)
        #expect(configuration.auth.passwordRequirements == .lettersDigits)
        #expect(configuration.auth.email.smtp?.enabled == true)
        #expect(configuration.auth.sms.testOTP == ["4152127777": "123456"])
        #expect(configuration.auth.sessions.timebox == .seconds(86_400))
        #expect(configuration.auth.external["github"]?.clientID == "id")
        #expect(configuration.auth.email.templates["invite"]?.subject == "Hello")
        #expect(configuration.experimental.inspect.rules.map(\.name) == ["one", "two"])
        #expect(configuration.remotes["live"]?.projectID == "abcdefghijklmnopqrst")
    }

    @Test func putsVariablesInPlaceOfEnv() throws {
        let loaded = try Self.load(
            "[api]\nport = \"env(PORT)\"\nschemas = [\"env(SCHEMA)\", \"other\"]\n[auth]\nenable_signup = \"env(SIGNUP)\"\nadditional_redirect_urls = \"env(URLS)\"\n",
            process: ["PORT": "8000", "SCHEMA": "shop"],
            dotEnv: "PORT=1\nSIGNUP=false\nURLS=https://a.example, https://b.example")
        #expect(loaded.configuration.api.port == 8000)
        #expect(loaded.configuration.api.schemas == ["shop", "other"])
        #expect(loaded.configuration.auth.enableSignup == false)
        #expect(loaded.configuration.auth.additionalRedirectURLs == ["https://a.example", "https://b.example"])
        #expect(loaded.warnings.isEmpty)
    }

    @Test func warnsOfAMissingVariableOnlyWhereItMatters() throws {
        let loaded = try Self.load(
            """
            [studio]
            openai_api_key = "env(OPENAI_API_KEY)"
            [auth.sms.twilio]
            enabled = false
            auth_token = "env(TWILIO)"
            [auth.external.github]
            enabled = true
            secret = "env(GITHUB)"
            """)
        #expect(
            loaded.warnings.map(\.description) == [
                "config.toml:8:10: warning: auth.external.github.secret: the environment variable GITHUB is not set, so the key keeps its default"
            ])
    }

    @Test func flagsWinOverVariablesAndThoseOverTheFile() throws {
        let toml = "[api]\nport = 1000\nmax_rows = 1\n[atoll]\nlog_level = \"error\"\nhost = \"0.0.0.0\"\n"
        let configuration = try Self.load(
            toml,
            process: ["ATOLL_LOG_LEVEL": "debug", "ATOLL_HTTP_MAX_BODY_SIZE": "2MiB", "SUPABASE_API_MAX_ROWS": "7"],
            dotEnv: "ATOLL_LOG_LEVEL=warning\nATOLL_HOST=::1\n",
            overrides: [
                .init(key: "api.port", value: "3000", flag: "--port"),
                .init(key: "atoll.http.max_body_size", value: "3MiB", flag: "--set"),
            ]
        ).configuration
        #expect(configuration.api.port == 3000)
        #expect(configuration.api.maxRows == 7)
        #expect(configuration.atoll.logLevel == .debug)
        #expect(configuration.atoll.host == "::1")
        #expect(configuration.atoll.http.maxBodyBytes == 3 << 20)
    }

    @Test func takesDatabaseURLFromTheProcessAlone() throws {
        let url = "postgresql://u:p@db.example/app"
        #expect(try Self.load("", process: ["DATABASE_URL": url]).configuration.atoll.database.url?.reveal() == url)
        #expect(try Self.load("", dotEnv: "DATABASE_URL=\(url)").configuration.atoll.database.url == nil)
        #expect(
            try Self.load("", dotEnv: "ATOLL_DATABASE_URL=\(url)").configuration.atoll.database.url?.reveal() == url)
    }

    @Test func warnsOfAMistypedVariableOfItsOwn() throws {
        let warnings = try Self.load("", process: ["ATOLL_LOGLEVEL": "debug", "ATOLL_SOMETHING_ELSE_ENTIRELY": "1"])
            .warnings
        #expect(
            warnings.map(\.description) == [
                "environment variable ATOLL_LOGLEVEL: warning: no such key; did you mean `ATOLL_LOG_LEVEL`?"
            ])
    }

    @Test func warnsOfSecretsThatAreWeakOrKnown() throws {
        func warnings(_ secret: String) throws -> [String] {
            try Self.load("[auth]\njwt_secret = \"\(secret)\"\n").warnings.map(\.description)
        }
        #expect(
            try warnings("sixteen-bytes-ok") == [
                "config.toml:2:14: warning: auth.jwt_secret: shorter than 32 bytes, which HS256 asks for (RFC 7518, section 3.2)"
            ])
        let known = try warnings("super-secret-jwt-token-with-at-least-32-characters-long")
        #expect(known.count == 1)
        #expect(known.first?.contains("anyone can sign tokens") == true)
        #expect(try warnings("a-secret-that-nobody-else-has-ever-seen") == [])
    }

    @Test func masksEverySecret() throws {
        let secret = "a-secret-of-more-than-thirty-two-characters"
        let configuration = try Self.load(
            """
            [auth]
            jwt_secret = "\(secret)"
            secret_key = "\(secret)"
            [auth.external.github]
            secret = "\(secret)"
            [db.vault]
            a = "\(secret)"
            [edge_runtime.secrets]
            B = "\(secret)"
            [atoll]
            previous_encryption_keys = ["01234567890123456789012345678901"]
            [atoll.database]
            url = "postgresql://u:\(secret)@h/d"
            """
        ).configuration
        let text = configuration.masked.text
        #expect(!text.contains(secret))
        #expect(!text.contains("0123456789"))
        #expect(!"\(configuration)".contains(secret))
        #expect(configuration.masked["auth"]?["jwt_secret"] == "********")
        #expect(configuration.masked["atoll"]?["database"]?["url"] == "********")
        #expect(configuration.masked["auth"]?["anon_key"] == nil)
    }

    @Test func everyKeyAndVariableHasOneMeaning() {
        let keys = ConfigurationReference.entries.filter { $0.type != nil }
        let variables = keys.flatMap { [$0.overridingVariable] + $0.variables }
        #expect(Set(variables).count == variables.count)
        #expect(Set(keys.map { $0.path.joined(separator: ".") }).count == keys.count)
        for key in keys where key.path.last?.hasPrefix("<") == false { #expect(!key.summary.isEmpty, "\(key.path)") }
    }

    /// The keys and values a new project of the Supabase CLI has.
    @Test func understandsANewProjectOfTheSupabaseCLIWithoutAWord() throws {
        let loaded = try Self.load(
            """
            project_id = "x"
            [api]
            enabled = true
            port = 54321
            schemas = ["public", "graphql_public"]
            extra_search_path = ["public", "extensions"]
            max_rows = 1000
            [api.tls]
            enabled = false
            [db]
            port = 54322
            shadow_port = 54320
            major_version = 17
            [db.pooler]
            enabled = false
            port = 54329
            pool_mode = "transaction"
            default_pool_size = 20
            max_client_conn = 100
            [db.migrations]
            enabled = true
            schema_paths = []
            [db.seed]
            enabled = true
            sql_paths = ["./seed.sql"]
            [db.network_restrictions]
            enabled = false
            allowed_cidrs = ["0.0.0.0/0"]
            allowed_cidrs_v6 = ["::/0"]
            [realtime]
            enabled = true
            [studio]
            enabled = true
            port = 54323
            api_url = "http://127.0.0.1"
            openai_api_key = "env(OPENAI_API_KEY)"
            [inbucket]
            enabled = true
            port = 54324
            [storage]
            enabled = true
            file_size_limit = "50MiB"
            [storage.s3_protocol]
            enabled = true
            [storage.analytics]
            enabled = false
            max_namespaces = 5
            max_tables = 10
            max_catalogs = 2
            [storage.vector]
            enabled = false
            max_buckets = 10
            max_indexes = 5
            [auth]
            enabled = true
            site_url = "http://127.0.0.1:3000"
            additional_redirect_urls = ["https://127.0.0.1:3000"]
            jwt_expiry = 3600
            enable_refresh_token_rotation = true
            refresh_token_reuse_interval = 10
            enable_signup = true
            enable_anonymous_sign_ins = false
            enable_manual_linking = false
            minimum_password_length = 6
            password_requirements = ""
            [auth.rate_limit]
            email_sent = 2
            sms_sent = 30
            anonymous_users = 30
            token_refresh = 150
            sign_in_sign_ups = 30
            token_verifications = 30
            web3 = 30
            [auth.email]
            enable_signup = true
            double_confirm_changes = true
            enable_confirmations = false
            secure_password_change = false
            max_frequency = "1s"
            otp_length = 6
            otp_expiry = 3600
            [auth.sms]
            enable_signup = false
            enable_confirmations = false
            template = "Your code is {{ .Code }}"
            max_frequency = "5s"
            [auth.sms.twilio]
            enabled = false
            account_sid = ""
            message_service_sid = ""
            auth_token = "env(SUPABASE_AUTH_SMS_TWILIO_AUTH_TOKEN)"
            [auth.mfa]
            max_enrolled_factors = 10
            [auth.mfa.totp]
            enroll_enabled = false
            verify_enabled = false
            [auth.mfa.phone]
            enroll_enabled = false
            verify_enabled = false
            otp_length = 6
            template = "Your code is {{ .Code }}"
            max_frequency = "5s"
            [auth.external.apple]
            enabled = false
            client_id = ""
            secret = "env(SUPABASE_AUTH_EXTERNAL_APPLE_SECRET)"
            redirect_uri = ""
            url = ""
            skip_nonce_check = false
            email_optional = false
            [auth.web3.solana]
            enabled = false
            [auth.third_party.firebase]
            enabled = false
            [auth.third_party.auth0]
            enabled = false
            [auth.third_party.aws_cognito]
            enabled = false
            [auth.third_party.clerk]
            enabled = false
            [auth.oauth_server]
            enabled = false
            authorization_url_path = "/oauth/consent"
            allow_dynamic_registration = false
            [edge_runtime]
            enabled = true
            policy = "per_worker"
            inspector_port = 8083
            deno_version = 2
            [analytics]
            enabled = true
            port = 54327
            backend = "postgres"
            [experimental]
            orioledb_version = ""
            s3_host = "env(S3_HOST)"
            s3_region = "env(S3_REGION)"
            s3_access_key = "env(S3_ACCESS_KEY)"
            s3_secret_key = "env(S3_SECRET_KEY)"
            """)
        #expect(loaded.warnings.map(\.description) == [])
        let defaults = try Self.load("").configuration.masked
        var masked = try #require(loaded.configuration.masked.objectValue)
        // What such a project sets beside the defaults.
        masked["project_id"] = defaults["project_id"]
        masked["experimental"] = defaults["experimental"]
        var auth = try #require(masked["auth"]?.objectValue)
        auth["additional_redirect_urls"] = []
        auth["external"] = nil
        masked["auth"] = .object(auth)
        #expect(JSON.object(masked) == defaults)
    }
}
