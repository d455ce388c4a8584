// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Primitives

/// The flags that change the configuration, as overrides of its keys.
enum ServerFlags {
    /// The services of the Supabase CLI's `--exclude` that have a switch; the names of its other containers are accepted and mean nothing.
    private static let switches: [(service: String, key: String)] = [
        ("gotrue", "auth.enabled"), ("postgrest", "api.enabled"), ("realtime", "realtime.enabled"),
        ("storage-api", "storage.enabled"), ("edge-runtime", "edge_runtime.enabled"), ("mailpit", "inbucket.enabled"),
        ("studio", "studio.enabled"), ("logflare", "analytics.enabled"),
    ]
    private static let others = ["imgproxy", "kong", "postgres-meta", "supavisor", "vector", "inbucket"]

    static var excludable: [String] { switches.map(\.service) }

    static func overrides(_ invocation: Invocation) throws -> [ProjectConfiguration.Override] {
        var overrides: [ProjectConfiguration.Override] = []
        for assignment in invocation.all("set") {
            let parts = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw UsageError(
                    message: "--set cannot be \"\(assignment)\"",
                    next: "write --set KEY=VALUE, such as --set auth.jwt_expiry=600")
            }
            overrides.append(.init(key: parts[0], value: parts[1], flag: "--set"))
        }
        for service in invocation.all("exclude").flatMap({ $0.split(separator: ",").map(String.init) }) {
            if let found = switches.first(where: { $0.service == service }) {
                overrides.append(.init(key: found.key, value: "false", flag: "--exclude"))
            } else if !others.contains(service) {
                let meant = suggestion(for: service, among: excludable)
                throw UsageError(
                    message: "there is no service \"\(service)\" to exclude",
                    next: meant.map { "did you mean \($0)?" } ?? "use some of \(excludable.joined(separator: ", "))")
            }
        }
        let keys = [
            ("host", "atoll.host"), ("port", "api.port"), ("log-level", "atoll.log_level"),
            ("log-format", "atoll.log_format"),
        ]
        for (flag, key) in keys {
            if let value = invocation.value(flag) { overrides.append(.init(key: key, value: value, flag: "--\(flag)")) }
        }
        if invocation.has("debug"), !invocation.has("log-level") {
            overrides.append(.init(key: "atoll.log_level", value: "debug", flag: "--debug"))
        }
        return overrides
    }

    // MARK: Handing them on

    /// The overrides as JSON: for the server `atoll start` makes, on its standard input and not its command line, which every user
    /// of the machine may read; and in its process file, so that `status` sees the configuration the server has.
    static func json(_ overrides: [ProjectConfiguration.Override]) -> JSON {
        .array(overrides.map { ["key": .string($0.key), "value": .string($0.value), "flag": .string($0.flag)] })
    }

    static func overrides(_ json: JSON?) -> [ProjectConfiguration.Override] {
        (json?.arrayValue ?? []).compactMap { item in
            guard let key = item["key"]?.stringValue, let value = item["value"]?.stringValue,
                let flag = item["flag"]?.stringValue
            else { return nil }
            return .init(key: key, value: value, flag: flag)
        }
    }
}
