// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Primitives

/// `atoll status`
enum StatusCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        let names = try StatusValues.names(invocation.all("override-name"))
        let folder = try ProjectFolder.find(from: invocation.workdir)
        guard let process = ServerProcess.running(in: folder) else {
            throw CommandFailure("no server runs for \(folder.path)", next: "start it with `atoll start`")
        }
        // With the flags it was started with: they may have moved it.
        let project = try Project.open(workdir: folder.path, overrides: process.overrides)
        guard process.isHealthy() else {
            throw CommandFailure(
                "the server (process \(process.id)) runs but does not answer at \(process.apiURL)",
                next: "see \(project.location.logFile)")
        }
        Output.print(StatusValues(project).text(OutputFormat(invocation), names: names))
        return 0
    }
}

/// The addresses and keys that `status` and `start` print, under the Supabase CLI's names.
struct StatusValues: Sendable {
    private struct Value {
        /// The name of `--override-name`.
        let key: String
        let name: String
        let label: String
        let text: String
        var isShown = true
    }

    private let project: Project

    init(_ project: Project) {
        self.project = project
    }

    /// What is served. A service that comes later adds its line here.
    private var values: [Value] {
        let secrets = project.secrets
        let configuration = project.configuration
        let apiURL = project.apiURL
        let servesS3 = configuration.storage.enabled && configuration.storage.s3Protocol.enabled
        return [
            Value(key: "api.url", name: "API_URL", label: "API URL", text: apiURL),
            Value(
                key: "api.rest_url", name: "REST_URL", label: "REST URL", text: "\(apiURL)/rest/v1",
                isShown: configuration.api.enabled),
            Value(
                key: "api.storage_s3_url", name: "STORAGE_S3_URL", label: "S3 URL", text: "\(apiURL)/storage/v1/s3",
                isShown: servesS3),
            Value(key: "db.url", name: "DB_URL", label: "Database URL", text: project.databaseURL.reveal()),
            Value(key: "studio.url", name: "STUDIO_URL", label: "Console URL", text: apiURL),
            Value(
                key: "auth.publishable_key", name: "PUBLISHABLE_KEY", label: "Publishable key",
                text: secrets.publishableKey.reveal()),
            Value(key: "auth.secret_key", name: "SECRET_KEY", label: "Secret key", text: secrets.secretKey.reveal()),
            Value(key: "auth.jwt_secret", name: "JWT_SECRET", label: "JWT secret", text: secrets.jwtSecret.reveal()),
            Value(key: "auth.anon_key", name: "ANON_KEY", label: "anon key", text: secrets.anonKey.reveal()),
            Value(
                key: "auth.service_role_key", name: "SERVICE_ROLE_KEY", label: "service_role key",
                text: secrets.serviceRoleKey.reveal()),
            Value(
                key: "storage.s3_access_key_id", name: "S3_PROTOCOL_ACCESS_KEY_ID", label: "S3 access key",
                text: secrets.s3AccessKeyID, isShown: servesS3),
            Value(
                key: "storage.s3_secret_access_key", name: "S3_PROTOCOL_ACCESS_KEY_SECRET", label: "S3 secret key",
                text: secrets.s3SecretAccessKey.reveal(), isShown: servesS3),
            Value(
                key: "storage.s3_region", name: "S3_PROTOCOL_REGION", label: "S3 region", text: "local",
                isShown: servesS3),
        ].filter(\.isShown)
    }

    /// - Parameter names: other names for values, by `api.url` or `API_URL`.
    func text(_ format: OutputFormat, names: [String: String]) -> String {
        let values = values
        guard format == .pretty else {
            return format.text(
                JSONObject(values.map { (names[$0.key] ?? names[$0.name] ?? $0.name, .string($0.text)) }))
        }
        let width = values.map(\.label.count).max() ?? 0
        return values.map { value in
            String(repeating: " ", count: width - value.label.count) + value.label + ": " + value.text
        }.joined(separator: "\n")
    }

    /// Only the keys, for `gen keys`.
    func keys(_ format: OutputFormat, names: [String: String]) -> String {
        let keys = values.filter { $0.key.hasPrefix("auth.") }
        let object = JSONObject(keys.map { (names[$0.key] ?? names[$0.name] ?? $0.name, .string($0.text)) })
        return (format == .pretty ? .env : format).text(object)
    }

    private static let known = [
        "api.url", "api.rest_url", "api.graphql_url", "api.functions_url", "api.storage_s3_url", "api.mcp_url",
        "db.url",
        "studio.url", "inbucket.url", "mailpit.url", "auth.publishable_key", "auth.secret_key", "auth.jwt_secret",
        "auth.anon_key", "auth.service_role_key", "storage.s3_access_key_id", "storage.s3_secret_access_key",
        "storage.s3_region", "API_URL", "REST_URL", "GRAPHQL_URL", "FUNCTIONS_URL", "STORAGE_S3_URL", "MCP_URL",
        "DB_URL",
        "STUDIO_URL", "MAILPIT_URL", "INBUCKET_URL", "PUBLISHABLE_KEY", "SECRET_KEY", "JWT_SECRET", "ANON_KEY",
        "SERVICE_ROLE_KEY", "S3_PROTOCOL_ACCESS_KEY_ID", "S3_PROTOCOL_ACCESS_KEY_SECRET", "S3_PROTOCOL_REGION",
    ]

    /// Parses `--override-name KEY=NAME`.
    static func names(_ assignments: [String]) throws -> [String: String] {
        var names: [String: String] = [:]
        for assignment in assignments.flatMap({ $0.split(separator: ",").map(String.init) }) {
            let parts = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            let isName = parts.count == 2 && parts[1].wholeMatch(of: #/[A-Za-z_][A-Za-z0-9_]*/#) != nil
            guard isName else {
                throw UsageError(
                    message: "--override-name cannot be \"\(assignment)\"",
                    next: "write KEY=NAME, such as --override-name api.url=NEXT_PUBLIC_SUPABASE_URL")
            }
            guard known.contains(parts[0]) else {
                let meant = suggestion(for: parts[0], among: known)
                throw UsageError(
                    message: "there is no value \"\(parts[0])\" to name",
                    next: meant.map { "did you mean \($0)?" } ?? "`atoll status -o env` lists them")
            }
            names[parts[0]] = parts[1]
        }
        return names
    }
}
