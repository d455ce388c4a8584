// SPDX-License-Identifier: Apache-2.0
package import Primitives

extension ProjectConfiguration {
    /// `[api]`
    package struct API: ConfigurationSection {
        package var enabled = true
        package var port = 54321
        package var schemas = ["public", "graphql_public"]
        package var extraSearchPath = ["public", "extensions"]
        package var maxRows = 1000
        package var autoExposeNewTables: Bool?
        package var externalURL: String?
        package var tls = TLS()

        package init() {}

        static var fields: [ConfigurationField<API>] {
            Field.key("enabled", \.enabled, .boolean, "Whether tables and functions are served under `/rest/v1`.")
            Field.key("port", \.port, .port, "The port of the API and the console.")
            Field.key(
                "schemas", \.schemas, .texts,
                "Schemas whose tables, views and functions are served. The first is the default; clients choose another by `Accept-Profile`."
            )
            Field.key(
                "extra_search_path", \.extraSearchPath, .texts,
                "Schemas added to the search path of every request, after the one it asks for.")
            Field.key(
                "max_rows", \.maxRows, .integer(1...Int.max), "Rows of a response, at most, whatever `limit` says.")
            Field.optional(
                "auto_expose_new_tables", \.autoExposeNewTables, .boolean,
                "Whether API roles get rights on tables made later in `public`. Unset means no.")
            Field.optional(
                "external_url", \.externalURL, .httpURL,
                "The address clients use, where a proxy stands in front. Unset means `http://127.0.0.1` and the port.")
            Field.section("tls", \.tls, "HTTPS.")
        }

        /// `[api.tls]`
        package struct TLS: ConfigurationSection {
            package var enabled = false
            package var certificatePath: String?
            package var keyPath: String?

            package init() {}

            static var fields: [ConfigurationField<TLS>] {
                Field.key("enabled", \.enabled, .boolean, "Whether the API is served over TLS instead of plain HTTP.")
                Field.optional(
                    "cert_path", \.certificatePath, .text,
                    "PEM file of the certificate and its chain, relative to `supabase/`.")
                Field.optional("key_path", \.keyPath, .text, "PEM file of the private key, relative to `supabase/`.")
            }
        }
    }

    /// `[db]`
    package struct Database: ConfigurationSection {
        package var port = 54322
        package var shadowPort = 54320
        package var healthTimeout: Duration = .seconds(120)
        package var majorVersion = 17
        package var rootKey: SecretString?
        package var pooler = Pooler()
        package var migrations = Migrations()
        package var seed = Seed()
        package var vault: [String: SecretString] = [:]
        package var settings: [String: String] = [:]
        package var networkRestrictions = NetworkRestrictions()
        package var sslEnforcement = SSLEnforcement()

        package init() {}

        static var fields: [ConfigurationField<Database>] {
            Field.key("port", \.port, .port, "The port of PostgreSQL.")
            Field.key("shadow_port", \.shadowPort, .port, "The port of the shadow database that diffs are made with.")
            Field.key(
                "health_timeout", \.healthTimeout, .duration(.seconds(1)...(.seconds(3600))),
                "How long PostgreSQL may take to start, or to say how far it is with a recovery after a crash.")
            Field.key(
                "major_version", \.majorVersion, .integer(13...99),
                "PostgreSQL's version on the hosted platform. Kept; the embedded server is of version 18.")
            Field.optional("root_key", \.rootKey, .secret, "Key of the hosted platform's vault. Kept.")
            Field.section("pooler", \.pooler, "The external connection pooler. Kept: Atoll pools inside the process.")
            Field.section("migrations", \.migrations, "Migrations of the project.")
            Field.section("seed", \.seed, "Seed data.")
            Field.values("vault", "name", \.vault, .secret, "Secrets for the vault, by name.")
            Field.values(
                "settings", "setting", \.settings, .setting, names: Self.settingNames,
                "Settings of PostgreSQL, as in `postgresql.conf`.")
            Field.section(
                "network_restrictions", \.networkRestrictions, "Who may connect to the hosted database. Kept.")
            Field.section("ssl_enforcement", \.sslEnforcement, "Whether the hosted database insists on TLS. Kept.")
        }

        static let settingNames = [
            "effective_cache_size", "logical_decoding_work_mem", "maintenance_work_mem", "max_connections",
            "max_locks_per_transaction", "max_parallel_maintenance_workers", "max_parallel_workers",
            "max_parallel_workers_per_gather", "max_replication_slots", "max_slot_wal_keep_size",
            "max_standby_archive_delay", "max_standby_streaming_delay", "max_wal_senders", "max_wal_size",
            "max_worker_processes", "session_replication_role", "shared_buffers", "statement_timeout",
            "track_activity_query_size", "track_commit_timestamp", "wal_keep_size", "wal_sender_timeout", "work_mem",
        ]

        /// `[db.pooler]`
        package struct Pooler: ConfigurationSection {
            package enum Mode: String, Sendable, CaseIterable { case transaction, session }

            package var enabled = false
            package var port = 54329
            package var mode = Mode.transaction
            package var defaultPoolSize = 20
            package var maxClientConnections = 100

            package init() {}

            static var fields: [ConfigurationField<Pooler>] {
                Field.key("enabled", \.enabled, .boolean, "Whether the pooler runs.")
                Field.key("port", \.port, .port, "The pooler's port.")
                Field.key("pool_mode", \.mode, .choice, "When a connection may serve another client.")
                Field.key("default_pool_size", \.defaultPoolSize, .integer(1...Int.max), "Connections for each user.")
                Field.key("max_client_conn", \.maxClientConnections, .integer(1...Int.max), "Clients at a time.")
            }
        }

        /// `[db.migrations]`
        package struct Migrations: ConfigurationSection {
            package var enabled = true
            package var schemaPaths: [String] = []

            package init() {}

            static var fields: [ConfigurationField<Migrations>] {
                Field.key("enabled", \.enabled, .boolean, "Whether `supabase/migrations` are applied at the start.")
                Field.key(
                    "schema_paths", \.schemaPaths, .texts,
                    "Files of the declarative schema in order, with wildcards, relative to `supabase/`.")
            }
        }

        /// `[db.seed]`
        package struct Seed: ConfigurationSection {
            package var enabled = true
            package var sqlPaths = ["./seed.sql"]

            package init() {}

            static var fields: [ConfigurationField<Seed>] {
                Field.key("enabled", \.enabled, .boolean, "Whether seeds are applied to a new database.")
                Field.key(
                    "sql_paths", \.sqlPaths, .texts, "Seed files in order, with wildcards, relative to `supabase/`.")
            }
        }

        /// `[db.network_restrictions]`
        package struct NetworkRestrictions: ConfigurationSection {
            package var enabled = false
            package var allowedCIDRs = ["0.0.0.0/0"]
            package var allowedCIDRsV6 = ["::/0"]

            package init() {}

            static var fields: [ConfigurationField<NetworkRestrictions>] {
                Field.key("enabled", \.enabled, .boolean, "Whether the lists are in force.")
                Field.key("allowed_cidrs", \.allowedCIDRs, .texts, "IPv4 networks.")
                Field.key("allowed_cidrs_v6", \.allowedCIDRsV6, .texts, "IPv6 networks.")
            }
        }

        /// `[db.ssl_enforcement]`
        package struct SSLEnforcement: ConfigurationSection {
            package var enabled = false

            package init() {}

            static var fields: [ConfigurationField<SSLEnforcement>] {
                Field.key("enabled", \.enabled, .boolean, "Whether connections without TLS are refused.")
            }
        }
    }

    /// `[realtime]`
    package struct Realtime: ConfigurationSection {
        package enum AddressFamily: String, Sendable, CaseIterable {
            case version4 = "IPv4"
            case version6 = "IPv6"
        }

        package var enabled = true
        package var addressFamily = AddressFamily.version4
        package var maxHeaderLength = 4096

        package init() {}

        static var fields: [ConfigurationField<Realtime>] {
            Field.key("enabled", \.enabled, .boolean, "Whether `/realtime/v1` is served.")
            Field.key("ip_version", \.addressFamily, .choice, "Kept: Realtime shares the API's address.")
            Field.key(
                "max_header_length", \.maxHeaderLength, .integer(1...Int.max), "Kept: `[atoll.http]` bounds headers.")
        }
    }

    /// `[studio]`
    package struct Studio: ConfigurationSection {
        package var enabled = true
        package var port = 54323
        package var apiURL = "http://127.0.0.1"
        package var openAIKey: SecretString?

        package init() {}

        static var fields: [ConfigurationField<Studio>] {
            Field.key("enabled", \.enabled, .boolean, "Whether Studio is wanted.")
            Field.key("port", \.port, .port, "Studio's port.")
            Field.key("api_url", \.apiURL, .text, "The address of the API as Studio sees it.")
            Field.optional("openai_api_key", \.openAIKey, .secret, "Key for Studio's assistant.")
        }
    }

    /// `[inbucket]`
    package struct MailCatcher: ConfigurationSection {
        package var enabled = true
        package var port = 54324
        package var smtpPort: Int?
        package var pop3Port: Int?
        package var adminEmail = "admin@email.com"
        package var senderName = "Admin"

        package init() {}

        static var fields: [ConfigurationField<MailCatcher>] {
            Field.key("enabled", \.enabled, .boolean, "Whether caught mail can be read on a page.")
            Field.key("port", \.port, .port, "The page's port.")
            Field.optional("smtp_port", \.smtpPort, .port, "Takes mail of other programs by SMTP.")
            Field.optional("pop3_port", \.pop3Port, .port, "Kept.")
            Field.key("admin_email", \.adminEmail, .text, "The sender's address.")
            Field.key("sender_name", \.senderName, .text, "The sender's name.")
        }
    }

    /// `[edge_runtime]`
    package struct EdgeRuntime: ConfigurationSection {
        package enum Policy: String, Sendable, CaseIterable {
            case perWorker = "per_worker"
            case oneshot
        }

        package var enabled = true
        package var policy = Policy.perWorker
        package var inspectorPort = 8083
        package var denoVersion = 2
        package var secrets: [String: SecretString] = [:]

        package init() {}

        static var fields: [ConfigurationField<EdgeRuntime>] {
            Field.key("enabled", \.enabled, .boolean, "Whether `/functions/v1` is served.")
            Field.key(
                "policy", \.policy, .choice,
                "`per_worker` keeps a worker for many requests, `oneshot` starts one for each.")
            Field.key("inspector_port", \.inspectorPort, .port, "Where a debugger attaches.")
            Field.key("deno_version", \.denoVersion, .integer(1...2), "Deno's major version.")
            Field.values("secrets", "NAME", \.secrets, .secret, "Variables given to functions.")
        }
    }

    /// `[functions.<name>]`
    package struct Function: ConfigurationSection {
        package var enabled = true
        package var verifyJWT = true
        package var importMap: String?
        package var entrypoint: String?
        package var staticFiles: [String] = []

        package init() {}

        static var fields: [ConfigurationField<Function>] {
            Field.key("enabled", \.enabled, .boolean, "Whether the function is served.")
            Field.key("verify_jwt", \.verifyJWT, .boolean, "Whether a valid token is needed to call it.")
            Field.optional("import_map", \.importMap, .text, "Import map or `deno.json`, relative to `supabase/`.")
            Field.optional("entrypoint", \.entrypoint, .text, "Its first file, relative to `supabase/`.")
            Field.key(
                "static_files", \.staticFiles, .texts, "Files it may read, with wildcards, relative to `supabase/`.")
        }
    }

    /// `[analytics]`
    package struct Analytics: ConfigurationSection {
        package enum Backend: String, Sendable, CaseIterable { case postgres, bigquery }

        package var enabled = true
        package var port = 54327
        package var backend = Backend.postgres
        package var vectorPort: Int?
        package var gcpProjectID: String?
        package var gcpProjectNumber: String?
        package var gcpJWTPath: String?

        package init() {}

        static var fields: [ConfigurationField<Analytics>] {
            Field.key("enabled", \.enabled, .boolean, "Whether analytics are wanted.")
            Field.key("port", \.port, .port, "The service's port.")
            Field.key("backend", \.backend, .choice, "Where logs are stored.")
            Field.optional("vector_port", \.vectorPort, .port, "The collector's port.")
            Field.optional("gcp_project_id", \.gcpProjectID, .text, "BigQuery's project.")
            Field.optional("gcp_project_number", \.gcpProjectNumber, .setting, "BigQuery's project number.")
            Field.optional("gcp_jwt_path", \.gcpJWTPath, .text, "BigQuery's credentials.")
        }
    }

    /// `[experimental]`
    package struct Experimental: ConfigurationSection {
        package var orioleDBVersion: String?
        package var s3Host: String?
        package var s3Region: String?
        package var s3AccessKey: SecretString?
        package var s3SecretKey: SecretString?
        package var webhooks: Webhooks?
        package var pgDelta: PGDelta?
        package var inspect = Inspect()

        package init() {}

        static var fields: [ConfigurationField<Experimental>] {
            Field.optional("orioledb_version", \.orioleDBVersion, .text, "Version of the OrioleDB storage engine.")
            Field.optional("s3_host", \.s3Host, .text, "OrioleDB's bucket.")
            Field.optional("s3_region", \.s3Region, .text, "OrioleDB's region.")
            Field.optional("s3_access_key", \.s3AccessKey, .secret, "OrioleDB's access key.")
            Field.optional("s3_secret_key", \.s3SecretKey, .secret, "OrioleDB's secret key.")
            Field.section("webhooks", \.webhooks, "Database webhooks.")
            Field.section("pgdelta", \.pgDelta, "The pg-delta schema engine.")
            Field.section("inspect", \.inspect, "Rules for `inspect report`.")
        }

        /// `[experimental.webhooks]`
        package struct Webhooks: ConfigurationSection {
            package var enabled = false

            package init() {}

            static var fields: [ConfigurationField<Webhooks>] {
                Field.key("enabled", \.enabled, .boolean, "Whether database webhooks are wanted.")
            }
        }

        /// `[experimental.pgdelta]`
        package struct PGDelta: ConfigurationSection {
            package var enabled = false
            package var declarativeSchemaPath: String?
            package var formatOptions: String?

            package init() {}

            static var fields: [ConfigurationField<PGDelta>] {
                Field.key("enabled", \.enabled, .boolean, "Whether the engine makes diffs.")
                Field.optional(
                    "declarative_schema_path", \.declarativeSchemaPath, .text, "Folder of the declarative files.")
                Field.optional("format_options", \.formatOptions, .text, "Options of its formatter, as JSON.")
            }
        }

        /// `[experimental.inspect]`
        package struct Inspect: ConfigurationSection {
            package var rules: [Rule] = []

            package init() {}

            static var fields: [ConfigurationField<Inspect>] {
                Field.list("rules", \.rules, "A rule that a report is tested against.")
            }
        }

        /// `[[experimental.inspect.rules]]`
        package struct Rule: ConfigurationSection {
            package var query = ""
            package var name = ""
            package var pass = ""
            package var fail = ""

            package init() {}

            static var fields: [ConfigurationField<Rule>] {
                Field.key("query", \.query, .text, "SQL over the report's tables.")
                Field.key("name", \.name, .text, "What the rule is called.")
                Field.key("pass", \.pass, .text, "Shown when the rule holds.")
                Field.key("fail", \.fail, .text, "Shown when it does not.")
            }
        }
    }

    /// `[storage]`
    package struct Storage: ConfigurationSection {
        package var enabled = true
        package var fileSizeLimitBytes = 50 << 20
        package var buckets: [String: Bucket] = [:]
        package var imageTransformation = Switch(isEnabled: false)
        package var s3Protocol = Switch(isEnabled: true)
        package var analytics = AnalyticsBuckets()
        package var vector = VectorBuckets()

        package init() {}

        static var fields: [ConfigurationField<Storage>] {
            Field.key("enabled", \.enabled, .boolean, "Whether `/storage/v1` is served.")
            Field.key(
                "file_size_limit", \.fileSizeLimitBytes, .size(1...Int.max),
                "The largest object, where its bucket says nothing.")
            Field.sections("buckets", "name", \.buckets, "A bucket that is made at the start.")
            Field.section("image_transformation", \.imageTransformation, "Resizing images.")
            Field.section("s3_protocol", \.s3Protocol, "The S3 protocol at `/storage/v1/s3`.")
            Field.section("analytics", \.analytics, "Buckets of Iceberg tables. Kept.")
            Field.section("vector", \.vector, "Buckets of vectors. Kept.")
        }

        /// A feature that is on or off.
        package struct Switch: ConfigurationSection {
            package var enabled: Bool

            package init() { enabled = false }
            init(isEnabled: Bool) { enabled = isEnabled }

            static var fields: [ConfigurationField<Switch>] {
                Field.key("enabled", \.enabled, .boolean, "Whether it is served.")
            }
        }

        /// `[storage.buckets.<name>]`
        package struct Bucket: ConfigurationSection {
            package var isPublic: Bool?
            package var fileSizeLimitBytes: Int?
            package var allowedMIMETypes: [String] = []
            package var objectsPath: String?

            package init() {}

            static var fields: [ConfigurationField<Bucket>] {
                Field.optional("public", \.isPublic, .boolean, "Whether anyone may read its objects.")
                Field.optional("file_size_limit", \.fileSizeLimitBytes, .size(1...Int.max), "Its largest object.")
                Field.key(
                    "allowed_mime_types", \.allowedMIMETypes, .texts,
                    "Types it takes, such as `image/*`; empty takes all.")
                Field.optional(
                    "objects_path", \.objectsPath, .text,
                    "Folder whose files it is filled with, relative to `supabase/`.")
            }
        }

        /// `[storage.analytics]`
        package struct AnalyticsBuckets: ConfigurationSection {
            package var enabled = false
            package var maxNamespaces = 5
            package var maxTables = 10
            package var maxCatalogs = 2
            package var buckets: [String: NoKeys] = [:]

            package init() {}

            static var fields: [ConfigurationField<AnalyticsBuckets>] {
                Field.key("enabled", \.enabled, .boolean, "Whether they are served.")
                Field.key("max_namespaces", \.maxNamespaces, .integer(0...Int.max), "Namespaces, at most.")
                Field.key("max_tables", \.maxTables, .integer(0...Int.max), "Tables, at most.")
                Field.key("max_catalogs", \.maxCatalogs, .integer(0...Int.max), "Catalogs, at most.")
                Field.sections("buckets", "name", \.buckets, "A bucket.")
            }
        }

        /// `[storage.vector]`
        package struct VectorBuckets: ConfigurationSection {
            package var enabled = false
            package var maxBuckets = 10
            package var maxIndexes = 5
            package var buckets: [String: NoKeys] = [:]

            package init() {}

            static var fields: [ConfigurationField<VectorBuckets>] {
                Field.key("enabled", \.enabled, .boolean, "Whether they are served.")
                Field.key("max_buckets", \.maxBuckets, .integer(0...Int.max), "Buckets, at most.")
                Field.key("max_indexes", \.maxIndexes, .integer(0...Int.max), "Indexes of a bucket, at most.")
                Field.sections("buckets", "name", \.buckets, "A bucket.")
            }
        }

        /// A table that only has a name.
        package struct NoKeys: ConfigurationSection {
            package init() {}

            static var fields: [ConfigurationField<NoKeys>] {}
        }
    }
}
