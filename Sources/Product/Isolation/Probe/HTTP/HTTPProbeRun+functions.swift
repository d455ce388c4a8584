// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

extension HTTPProbeRun {
    /// Every function of the API, called for the other tenant.
    mutating func crossFunctions() async throws {
        let functions = catalog.calledFunctions(settings)
        for (index, function) in functions.enumerated() {
            try progress.step("rpc", index, of: functions.count)
            for caller in [ProbeRequest.Caller.member(mine), .visitor] {
                let role = if case .member = caller { "authenticated" } else { "anon" }
                guard function.callers.contains(role) else { continue }
                try await call(function, caller)
            }
        }
    }

    private mutating func call(_ function: Catalog.Function, _ caller: ProbeRequest.Caller) async throws {
        let arguments = function.arguments(naming: other.tenant)
        let query = arguments.compactMap { name, _, value in value.map { "\(encoded(name))=\(encoded($0))" } }
        let path = "/rest/v1/rpc/\(encoded(function.name))"
        let isFirst = function.schema == settings.exposedSchemas.first
        // By GET a function runs in a transaction that cannot write.
        var asked = ProbeRequest(.get, query.isEmpty ? path : "\(path)?\(query.joined(separator: "&"))", as: caller)
        if !isFirst { asked = asked.with("accept-profile", function.schema) }
        let found = try await attempt("rpc", function.signature, .call, asked) { _ in false }
        if found.isLeak { return }
        guard callableFunctions?.contains(function.id) ?? true else {
            untried(
                "rpc", function.signature, .call,
                "it writes, and what it writes would stay: called by SQL, where that is undone; --all-functions calls it here too",
                by: { if case .visitor = caller { .visitor } else { .member } }())
            return
        }
        let body = JSONObject(
            arguments.map { name, type, value -> (String, JSON) in
                guard let value else { return (name, .null) }
                return (name, ["json", "jsonb"].contains(type) ? .object([:]) : .string(value))
            })
        var sent = ProbeRequest(.post, path, as: caller).json(.object(body))
        if !isFirst { sent = sent.with("content-profile", function.schema) }
        let before = await versions()
        let run = self
        try await attempt("rpc", function.signature, .call, sent) { _ in await run.versions() != before }
    }

    /// The versions of all rows of the other's.
    private func versions() async -> String? {
        let parts = foreign.rows.compactMap { id, row -> String? in
            guard let table = catalog.relation(id), let identity = table.identity(of: row) else { return nil }
            return "select \(id)::text || xmin::text || ctid::text as v from \(table.quotedName) where \(identity)"
        }
        guard !parts.isEmpty else { return nil }
        return await value(
            "select md5(string_agg(v, ',' order by v)) from (\(parts.joined(separator: " union all "))) as t")
    }

    /// What the API says of itself, and the schemas it does not serve.
    mutating func crossDescription() async throws {
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            let role = if case .member = caller { "authenticated" } else { "anon" }
            for schema in settings.exposedSchemas {
                let names = Set(
                    catalog.relations.filter { $0.schema == schema && !($0.privileges[role]?.isEmpty ?? true) }.map(
                        \.name))
                let functions = Set(
                    catalog.functions.filter { $0.schema == schema && $0.callers.contains(role) }.map(\.name))
                let request = ProbeRequest(.get, "/rest/v1/", as: caller).with("accept-profile", schema)
                try await attempt("rest", "description of \(schema)", .list, request) { answer in
                    guard answer.isSuccess, let paths = answer.json["paths"]?.objectValue else { return false }
                    return paths.names.contains { path in
                        let name = String(path.dropFirst())
                        if name.isEmpty { return false }
                        if name.hasPrefix("rpc/") { return !functions.contains(String(name.dropFirst(4))) }
                        return !names.contains(name)
                    }
                }
            }
            var internals: [String: String] = ["pg_catalog": "pg_authid", "information_schema": "tables"]
            for relation in catalog.relations where !settings.exposedSchemas.contains(relation.schema) {
                if internals[relation.schema] == nil || relation.qualifiedName == "auth.users"
                    || relation.qualifiedName == "tenancy.secrets"
                {
                    internals[relation.schema] = relation.name
                }
            }
            for (schema, table) in internals.sorted(by: { $0.key < $1.key }) {
                let read = ProbeRequest(.get, "/rest/v1/\(encoded(table))?select=*&limit=1", as: caller)
                let named = ProbeRequest(.get, "/rest/v1/\(encoded("\(schema).\(table)"))?select=*&limit=1", as: caller)
                try await attempt(
                    "rest", "schema \(schema)", .read, all: [read.with("accept-profile", schema), named]
                ) { $0.isSuccess }
                let write = ProbeRequest(.post, "/rest/v1/\(encoded(table))", as: caller).json([:])
                try await attempt("rest", "schema \(schema)", .insert, write.with("content-profile", schema)) {
                    $0.isSuccess
                }
            }
            for name in ["use_secret", "current_tenant", "audit", "record_usage", "reserve_upload"] {
                for schema in ["tenancy", "storage"]
                where catalog.functions.contains(where: { $0.schema == schema && $0.name == name }) {
                    let call = ProbeRequest(.post, "/rest/v1/rpc/\(name)", as: caller).json([:])
                    try await attempt("rpc", "schema \(schema)", .call, call.with("content-profile", schema)) {
                        $0.isSuccess
                    }
                }
            }
        }
    }
}
