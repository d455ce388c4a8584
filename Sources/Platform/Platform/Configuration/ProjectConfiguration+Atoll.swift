// SPDX-License-Identifier: Apache-2.0
package import Primitives

extension ProjectConfiguration {
    /// `[atoll]`
    package struct Atoll: ConfigurationSection {
        package var host = "127.0.0.1"
        package var loops = 0
        package var workerThreads = 0
        package var maxQueuedWork = 1024
        package var logLevel = Log.Level.info
        package var logFormat = LogFormat.automatic
        package var trustedProxies: [String] = []
        package var encryptionKey: SecretString?
        package var previousEncryptionKeys: [SecretString] = []
        package var startTimeout: Duration = .seconds(180)
        package var stopTimeout: Duration = .seconds(90)
        package var http = HTTP()
        package var cors = CORS()
        package var database = DatabasePools()
        package var postgres = EmbeddedCluster()
        package var auth = AuthLimits()
        package var rest = REST()
        package var storage = StorageFiles()
        package var tenancy = Tenancy()
        package var limits = Limits()
        package var vectors = Vectors()
        package var mail = Mail()

        package init() {}

        static var fields: [ConfigurationField<Atoll>] {
            Field.key(
                "host", \.host, .text,
                "The numeric address to listen on. `0.0.0.0` or `::` opens the API to the network.")
            Field.key(
                "loops", \.loops, .integer(0...256),
                "Event loops, a thread each. 0 means one less than the processors, at least one; all of them with an external database."
            )
            Field.key(
                "worker_threads", \.workerThreads, .integer(0...256),
                "Threads for password hashing and other work that would hold a loop up. 0 means as many as processors.")
            Field.key(
                "max_queued_work", \.maxQueuedWork, .integer(1...1_000_000),
                "Pieces of work that may wait for those threads; beyond it requests get 503.")
            Field.key("log_level", \.logLevel, .choice, "The least severity that is logged.")
            Field.key("log_format", \.logFormat, .choice, "`auto` is text on a terminal and JSON elsewhere.")
            Field.key(
                "trusted_proxies", \.trustedProxies,
                .texts("an array of addresses or networks such as \"10.0.0.0/8\"") { text in
                    !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isHexDigit || ".:/".contains($0)) }
                }, "Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.")
            Field.optional(
                "encryption_key", \.encryptionKey,
                .secret("32 characters, or 32 bytes in base64 or hexadecimal") { EncryptionKey.bytes($0) != nil },
                "The key tenants' secrets are sealed with from now on: 32 characters, or 32 bytes in base64 or hexadecimal. Unset makes one on the first start.",
                variables: ["ENCRYPTION_KEY"])
            Field.key(
                "previous_encryption_keys", \.previousEncryptionKeys, .secrets,
                "Earlier values of `encryption_key`, which old secrets are still opened with.")
            Field.key(
                "start_timeout", \.startTimeout, .duration(.seconds(1)...(.seconds(3600))),
                "How long `atoll start` waits for the server to answer, or to say what it is at.")
            Field.key(
                "stop_timeout", \.stopTimeout, .duration(.seconds(1)...(.seconds(3600))),
                "How long `atoll stop` waits for the server to end.")
            Field.section("http", \.http, "Bounds of a connection.")
            Field.section("cors", \.cors, "Which web pages of other origins may call the API.")
            Field.section("database", \.database, "Connections to PostgreSQL.")
            Field.section("postgres", \.postgres, "The embedded PostgreSQL.")
            Field.section("auth", \.auth, "Auth beyond `[auth]`.")
            Field.section("rest", \.rest, "REST beyond `[api]`.")
            Field.section("storage", \.storage, "Storage beyond `[storage]`.")
            Field.section("tenancy", \.tenancy, "Tenants.")
            Field.section(
                "limits", \.limits, "How often signed-in people may call `/rest`, `/storage`, `/vectors` and `/api`.")
            Field.section("vectors", \.vectors, "Vectors: Qdrant's REST API.")
            Field.section("mail", \.mail, "Mail beyond `[auth.email.smtp]` and `[inbucket]`.")
        }

        package enum LogFormat: String, Sendable, CaseIterable {
            case automatic = "auto"
            case text, json
        }

        /// `[atoll.http]`
        package struct HTTP: ConfigurationSection {
            package var backlog = 1024
            package var maxConnections = 10_000
            package var maxRequestLineBytes = 8 << 10
            package var maxHeaderBytes = 32 << 10
            package var maxFieldCount = 100
            package var maxBodyBytes = 1 << 20
            package var maxUnsentBytes = 256 << 10
            package var headerTimeout: Duration = .seconds(10)
            package var bodyTimeout: Duration = .seconds(30)
            package var idleTimeout: Duration = .seconds(75)
            package var writeTimeout: Duration = .seconds(30)
            package var halfCloseGrace: Duration = .seconds(1)
            package var lingerTimeout: Duration = .seconds(2)
            package var drainTimeout: Duration = .seconds(10)

            package init() {}

            private static let timeout = ConfigurationType.duration(.milliseconds(1)...(.seconds(86_400)))

            static var fields: [ConfigurationField<HTTP>] {
                Field.key(
                    "backlog", \.backlog, .integer(1...65535), "Connections the kernel holds before they are accepted.")
                Field.key(
                    "max_connections", \.maxConnections, .integer(1...1_000_000),
                    "Connections open at a time; one more gets 503.")
                Field.key(
                    "max_request_line_size", \.maxRequestLineBytes, .size(256...(1 << 20)),
                    "The longest request line; more is 414.")
                Field.key(
                    "max_header_size", \.maxHeaderBytes, .size(1024...(1 << 20)),
                    "All header fields together; more is 431.")
                Field.key("max_header_fields", \.maxFieldCount, .integer(1...10_000), "Header fields; more is 431.")
                Field.key(
                    "max_body_size", \.maxBodyBytes, .size(1024...(1 << 40)),
                    "The largest body where a route says nothing else; more is 413.")
                Field.key(
                    "max_unsent_size", \.maxUnsentBytes, .size(1024...(1 << 30)),
                    "Bytes of a streamed response that may wait in memory for a slow client.")
                Field.key(
                    "header_timeout", \.headerTimeout, timeout,
                    "From the first byte of a request's head to its last; then 408.")
                Field.key("body_timeout", \.bodyTimeout, timeout, "Between two pieces of a body; then 408.")
                Field.key(
                    "idle_timeout", \.idleTimeout, timeout, "Between two requests; then the connection is closed.")
                Field.key(
                    "write_timeout", \.writeTimeout, timeout,
                    "Without the client taking a byte; then the connection is aborted.")
                Field.key(
                    "half_close_grace", \.halfCloseGrace, timeout,
                    "How long a request goes on after its client closed its sending side.")
                Field.key(
                    "linger_timeout", \.lingerTimeout, timeout,
                    "How long input is discarded after the last response of a connection.")
                Field.key(
                    "drain_timeout", \.drainTimeout, timeout,
                    "How long requests in flight may take once the server stops.")
            }
        }

        /// `[atoll.cors]`
        package struct CORS: ConfigurationSection {
            package var allowedOrigins = ["*"]
            package var maxAge: Duration = .seconds(86_400)

            package init() {}

            static var fields: [ConfigurationField<CORS>] {
                Field.key(
                    "allowed_origins", \.allowedOrigins, .texts,
                    "Origins such as `https://app.example`; `*` allows all.")
                Field.key("max_age", \.maxAge, .duration(), "How long a browser may keep the answer.")
            }
        }

        /// `[atoll.database]`
        package struct DatabasePools: ConfigurationSection {
            package var url: SecretString?
            package var poolSize = 10
            package var lanes = 2
            package var laneDepth = 16
            package var laneTimeout: Duration = .milliseconds(100)
            package var maxWaiting = 1000
            package var waitTimeout: Duration = .seconds(5)
            package var connectTimeout: Duration = .seconds(10)
            package var minReconnectDelay: Duration = .milliseconds(100)
            package var maxReconnectDelay: Duration = .seconds(10)
            package var statementTimeout: Duration = .seconds(30)
            package var idleTransactionTimeout: Duration = .seconds(60)
            package var cancelTimeout: Duration = .seconds(5)
            package var maxPreparedStatements = 256
            package var maxPreparedBytes = 16 << 10
            package var maxBufferedNotifications = 1024

            package init() {}

            private static let timeout = ConfigurationType.duration(.milliseconds(1)...(.seconds(86_400)))

            static var fields: [ConfigurationField<DatabasePools>] {
                Field.optional(
                    "url", \.url,
                    .secret("an address such as \"postgresql://user:password@host:5432/database\"") { text in
                        (text.hasPrefix("postgres://") || text.hasPrefix("postgresql://"))
                            && !text.contains { $0.isNewline || $0 == "\0" }
                    },
                    "An external PostgreSQL 15 or newer in place of the embedded one, with a login that may make roles. `DATABASE_URL` counts in the process's environment only: in an `.env` file it usually names this very database for other programs.",
                    variables: ["DATABASE_URL"])
                Field.key(
                    "pool_size", \.poolSize, .integer(1...1000),
                    "Connections of one loop and login, at most; opened as they are needed.")
                Field.key(
                    "lanes", \.lanes, .integer(0...1000),
                    "Further connections of one loop and login, at most, which short reads share: several are under way on each at once. `0` for none."
                )
                Field.key(
                    "lane_depth", \.laneDepth, .integer(1...1000),
                    "Reads under way on one shared connection, at most.")
                Field.key(
                    "lane_timeout", \.laneTimeout, timeout,
                    "When a read on a shared connection is stopped and run again on one of its own. Statements whose reads take a fifth of it on average stay off shared connections."
                )
                Field.key(
                    "max_waiting", \.maxWaiting, .integer(0...1_000_000),
                    "Requests of one loop that may wait for a connection; one more gets 503.")
                Field.key(
                    "wait_timeout", \.waitTimeout, timeout, "How long a request waits for a connection; then 503.")
                Field.key("connect_timeout", \.connectTimeout, timeout, "How long making a connection may take.")
                Field.key(
                    "min_reconnect_delay", \.minReconnectDelay, timeout,
                    "The pause after a failed attempt to connect; it doubles each time.")
                Field.key("max_reconnect_delay", \.maxReconnectDelay, timeout, "The longest such pause.")
                Field.key(
                    "statement_timeout", \.statementTimeout, .duration(),
                    "The longest a query may run; `0s` for no bound.")
                Field.key(
                    "idle_transaction_timeout", \.idleTransactionTimeout, timeout,
                    "How long a transaction may sit without a query.")
                Field.key(
                    "cancel_timeout", \.cancelTimeout, timeout,
                    "How long a cancelled query may take to end before its connection is closed.")
                Field.key(
                    "max_prepared_statements", \.maxPreparedStatements, .integer(0...100_000),
                    "Prepared statements that a connection keeps.")
                Field.key(
                    "max_prepared_size", \.maxPreparedBytes, .size(0...(1 << 20)),
                    "Longer statements are planned each time.")
                Field.key(
                    "max_buffered_notifications", \.maxBufferedNotifications, .integer(1...1_000_000),
                    "Notifications a listener may be behind; beyond it they are dropped and the gap is told.")
            }
        }

        /// `[atoll.postgres]`
        package struct EmbeddedCluster: ConfigurationSection {
            package var programs: String?
            package var user: String?
            package var listenAddresses = ["127.0.0.1"]
            package var password: SecretString?
            package var stopTimeout: Duration = .seconds(60)

            package init() {}

            static var fields: [ConfigurationField<EmbeddedCluster>] {
                Field.optional(
                    "programs", \.programs, .text,
                    "Folder of PostgreSQL's programs (`initdb`, `postgres`). Unset takes what `make setup` unpacked, then the system's."
                )
                Field.optional(
                    "user", \.user, .text,
                    "Who runs PostgreSQL when Atoll is started by root, which PostgreSQL refuses. Unset takes the first of `atoll`, `postgres` and `nobody`."
                )
                Field.key(
                    "listen_addresses", \.listenAddresses, .texts,
                    "Numeric addresses PostgreSQL listens on at `[db] port`; empty for the Unix socket alone.")
                Field.optional(
                    "password", \.password, .secret,
                    "The password of the login `postgres`. Unset makes one on the first start.")
                Field.key(
                    "stop_timeout", \.stopTimeout, .duration(.seconds(1)...(.seconds(3600))),
                    "How long a clean stop may take before it becomes a hard one.")
            }
        }

        /// `[atoll.auth]`
        package struct AuthLimits: ConfigurationSection {
            package var bcryptCost = 10
            package var leakedPasswords: String?
            package var leakedPasswordsURL: String?
            package var leakedPasswordsTimeout: Duration = .seconds(3)
            package var requiresLeakedPasswordCheck = false
            package var captchaURL: String?
            package var captchaTimeout: Duration = .seconds(10)
            package var captchaSiteKey: String?
            package var captchaScriptURL: String?
            package var maxPasskeys = 10
            package var maxBodyBytes = 1 << 20
            package var statementTimeout: Duration = .seconds(10)
            package var refreshLockTimeout: Duration = .seconds(5)
            package var flowStateLifetime: Duration = .seconds(300)
            package var issuerPause: Duration = .seconds(10)
            package var factorRequests = 15
            package var passwordAttempts = 20
            package var accountPasswordAttempts = 100
            package var codeAttempts = 20
            package var isSingleSessionPerUser = false
            package var functionHookTimeout: Duration = .seconds(2)
            package var endpointHookTimeout: Duration = .seconds(5)
            package var hookTries = 3
            package var maxHookAnswerBytes = 200 << 10
            package var factorChallengeLifetime: Duration = .seconds(300)
            package var cleanupInterval: Duration = .seconds(900)
            package var cleanupBatch = 1000
            package var endedSessionRetention: Duration = .seconds(86_400)
            package var spentTokenRetention: Duration = .seconds(7 * 86_400)
            package var auditLogRetention: Duration = .seconds(90 * 86_400)
            package var maxLimitedAddresses = 65_536
            package var exemptsLoopback = true

            package var smsCodeLifetime: Duration = .seconds(60)
            package var smsBaseURL: String?
            package var maxCodeAttempts = 10
            package var uniformResponseTime: Duration = .milliseconds(250)
            package var requiresCurrentPassword = false

            package init() {}

            static var fields: [ConfigurationField<AuthLimits>] {
                Field.key(
                    "sms_otp_expiry", \.smsCodeLifetime, .seconds(1...86_400),
                    "How long a text message's code is valid.")
                Field.optional(
                    "sms_base_url", \.smsBaseURL, .httpURL,
                    "Where the provider of `[auth.sms]` is called in place of its own address, without a slash at the end."
                )
                Field.key(
                    "max_code_attempts", \.maxCodeAttempts, .integer(1...1000),
                    "Wrong tries after which a pending code is void.")
                Field.key(
                    "uniform_response_time", \.uniformResponseTime, .duration(.zero...(.seconds(10))),
                    "Answers that must not tell whether there is an account take a multiple of this; `0s` for as long as they take."
                )
                Field.key(
                    "require_current_password", \.requiresCurrentPassword, .boolean,
                    "Whether a change of password needs the current one.")
                Field.key(
                    "bcrypt_cost", \.bcryptCost, .integer(4...16),
                    "The cost of a password's hash: one more doubles the time.")
                Field.optional(
                    "leaked_passwords", \.leakedPasswords, .text,
                    "A list of leaked passwords' SHA-1 digests, which are refused: a file in the order of the digests, or a folder of ranges by their first five digits. Relative to the project's folder."
                )
                Field.optional(
                    "leaked_passwords_url", \.leakedPasswordsURL, .httpURL,
                    "A server of ranges of leaked passwords, such as `https://api.pwnedpasswords.com`, asked besides the list: `/range/<five digits>` is added. It learns the first five digits of a digest."
                )
                Field.key(
                    "leaked_passwords_timeout", \.leakedPasswordsTimeout, .duration(.milliseconds(1)...(.seconds(60))),
                    "How long that server may take.")
                Field.key(
                    "leaked_passwords_required", \.requiresLeakedPasswordCheck, .boolean,
                    "Whether a new password is refused while list or server cannot be read; without it, it is taken unchecked."
                )
                Field.optional(
                    "captcha_url", \.captchaURL, .httpURL,
                    "Where the provider of `[auth.captcha]` is asked in place of its own address.")
                Field.optional(
                    "captcha_site_key", \.captchaSiteKey, .text,
                    "The project's public key at that provider: with it the web pages show its widget. Without, nobody signs up or in there while `[auth.captcha]` is on."
                )
                Field.optional(
                    "captcha_script_url", \.captchaScriptURL, .httpURL,
                    "Where the pages load the widget's script in place of the provider's own address.")
                Field.key("max_passkeys", \.maxPasskeys, .integer(1...100), "Passkeys of a user, at most.")
                Field.key(
                    "captcha_timeout", \.captchaTimeout, .duration(.milliseconds(1)...(.seconds(60))),
                    "How long it may take; then the request is refused.")
                Field.key("max_body_size", \.maxBodyBytes, .size(1024...(1 << 30)), "The largest body; more is 413.")
                Field.key(
                    "statement_timeout", \.statementTimeout, .duration(.milliseconds(1)...(.seconds(3600))),
                    "The longest a query may run.")
                Field.key(
                    "refresh_lock_timeout", \.refreshLockTimeout, .duration(.milliseconds(1)...(.seconds(60))),
                    "How long refreshes of one session wait for each other; then 409.")
                Field.key(
                    "flow_state_expiry", \.flowStateLifetime, .duration(.seconds(1)...(.seconds(86_400))),
                    "How long a sign-in at an external provider may take, and how long its code can be exchanged.")
                Field.key(
                    "issuer_refresh_pause", \.issuerPause, .duration(.milliseconds(1)...(.seconds(3600))),
                    "Between two looks at an identity provider's keys, however many tokens name one that is not known.")
                Field.key(
                    "single_session_per_user", \.isSingleSessionPerUser, .boolean,
                    "Whether a sign-in ends the user's other sessions.")
                Field.key(
                    "hook_function_timeout", \.functionHookTimeout,
                    .duration(.milliseconds(1)...(.seconds(60))), "The longest a hook in the database may run.")
                Field.key(
                    "hook_http_timeout", \.endpointHookTimeout, .duration(.milliseconds(1)...(.seconds(60))),
                    "The longest one call of a hook's address may take.")
                Field.key(
                    "hook_tries", \.hookTries, .integer(1...10),
                    "How often the address of a hook is called that cannot be reached.")
                Field.key(
                    "max_hook_answer_size", \.maxHookAnswerBytes, .size(1024...(16 << 20)),
                    "The largest answer of a hook's address.")
                Field.key(
                    "cleanup_interval", \.cleanupInterval, .duration(),
                    "The pause between two passes that remove what is over; `0s` for none.")
                Field.key(
                    "cleanup_batch", \.cleanupBatch, .integer(1...100_000), "Rows one statement of a pass removes.")
                Field.key(
                    "ended_session_retention", \.endedSessionRetention, .duration(),
                    "How long a session is kept after its end.")
                Field.key(
                    "spent_token_retention", \.spentTokenRetention, .duration(),
                    "How long a spent refresh token is kept; as long, its reuse is noticed.")
                Field.key(
                    "audit_log_retention", \.auditLogRetention, .duration(),
                    "How long entries of `auth.audit_log_entries` are kept; `0s` for ever.")
                Field.key(
                    "factor_challenge_expiry", \.factorChallengeLifetime,
                    .duration(.seconds(1)...(.seconds(86_400))),
                    "How long a challenge of a second factor can be answered.")
                Field.key(
                    "factor_requests", \.factorRequests, .integer(0...Int.max),
                    "Challenges, and verifications, of second factors in a minute and address.")
                Field.key(
                    "password_attempts", \.passwordAttempts, .integer(1...1_000_000),
                    "Wrong passwords in 5 minutes for one account from one address.")
                Field.key(
                    "account_password_attempts", \.accountPasswordAttempts, .integer(1...1_000_000),
                    "Wrong passwords in 5 minutes for one account from all addresses but those it has sessions from.")
                Field.key(
                    "code_attempts", \.codeAttempts, .integer(1...1_000_000),
                    "Wrong codes in 5 minutes for one account.")
                Field.key(
                    "max_limited_addresses", \.maxLimitedAddresses, .integer(1...10_000_000),
                    "Client addresses whose calls are counted; beyond it those unseen for longest are forgotten.")
                Field.key(
                    "exempt_loopback", \.exemptsLoopback, .boolean,
                    "Whether clients on this machine are unlimited: developers, and proxies that `trusted_proxies` does not name."
                )
            }
        }

        /// `[atoll.rest]`
        package struct REST: ConfigurationSection {
            package enum TransactionEnd: String, Sendable, CaseIterable {
                case commit
                case commitAllowingOverride = "commit-allow-override"
                case rollback
                case rollbackAllowingOverride = "rollback-allow-override"
            }

            package enum Description: String, Sendable, CaseIterable {
                case followingPrivileges = "follow-privileges"
                case everything = "ignore-privileges"
                case disabled
            }

            package enum ErrorVerbosity: String, Sendable, CaseIterable { case verbose, minimal }

            package var preRequest: String?
            package var allowsAggregates = false
            package var showsPlans = false
            package var showsTiming = false
            package var description = Description.followingPrivileges
            package var errorVerbosity = ErrorVerbosity.verbose
            package var transactionEnd = TransactionEnd.commit
            package var maxBodyBytes = 10 << 20
            package var maxQueryBytes = 64 << 10
            package var maxHeldBytes = 1 << 20
            package var maxTerms = 1000
            package var settings: [String: String] = [:]

            package init() {}

            static var fields: [ConfigurationField<REST>] {
                Field.optional(
                    "pre_request", \.preRequest, .text,
                    "A function without arguments, such as `public.check_request`, called before each request's work in its transaction."
                )
                Field.key(
                    "transaction_end", \.transactionEnd, .choice,
                    "How a request's transaction ends; with `-allow-override` a request may say `Prefer: tx=commit` or `tx=rollback`."
                )
                Field.key(
                    "aggregates", \.allowsAggregates, .boolean,
                    "Whether `select` takes aggregates such as `count()`; nothing but `statement_timeout` bounds what they read."
                )
                Field.key(
                    "plans", \.showsPlans, .boolean,
                    "Whether `Accept: application/vnd.pgrst.plan+json` answers execution plans, which tell of tables' sizes and definitions."
                )
                Field.key(
                    "server_timing", \.showsTiming, .boolean,
                    "Whether answers say in `Server-Timing` how long each step took.")
                Field.key(
                    "description", \.description, .choice,
                    "What the OpenAPI description at `/rest/v1/` tells: what the role of the request may use, all of the schema, or nothing."
                )
                Field.key(
                    "error_verbosity", \.errorVerbosity, .choice, "With `minimal`, errors have no details and hints.")
                Field.key("max_body_size", \.maxBodyBytes, .size(1024...(1 << 40)), "The largest body; more is 413.")
                Field.key(
                    "max_query_size", \.maxQueryBytes, .size(256...(1 << 20)),
                    "The longest query string. `[atoll.http] max_request_line_size` bounds it, too.")
                Field.key(
                    "max_held_size", \.maxHeldBytes, .size(1024...(1 << 28)),
                    "The largest answer held in memory; larger ones of tables and views are sent as they come.")
                Field.key(
                    "max_terms", \.maxTerms, .integer(1...100_000),
                    "Filters, embedded tables and sort terms of a request together.")
                Field.values(
                    "settings", "name", \.settings, .setting,
                    "Settings of each transaction, such as `\"app.settings.name\"`, for `current_setting()` in SQL.")
            }
        }
    }
}
