// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Foundation
import Isolation
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

/// The SQL of five products as their authors wrote it, of which the check must say what is weak, and the blueprints made of
/// them, of which it must say nothing.
@Suite struct SeedTests {
    struct Product: Sendable, CustomStringConvertible {
        /// The document in ../shared/seeds.
        let document: String
        /// What the document takes for granted, or says in words where it has no SQL.
        let before: String
        /// Lints that must fire, and where.
        let findings: [(lint: String, object: String)]
        /// What the probe must get through with.
        let leaks: [(object: String, action: Crossing.Action, caller: Crossing.Caller)]
        var description: String { document }
    }

    static let products: [Product] = [
        Product(
            document: "coral-social",
            before: """
                create table tweets (id uuid primary key default gen_random_uuid(), content text, status text, created_at timestamptz default now());
                create table tweets_cache (id uuid primary key default gen_random_uuid(), content text, status text, created_at timestamptz default now());
                create table blogs (id uuid primary key default gen_random_uuid(), title text, created_at timestamptz default now());
                create table tweet_threads (id uuid primary key default gen_random_uuid(), topic text);
                create table x_accounts (id uuid primary key default gen_random_uuid(), username text);
                create table agent_logs (id uuid primary key default gen_random_uuid(), agent_name text, action text, details text);
                create table personas (id uuid primary key default gen_random_uuid(), name text, description text, tone text, is_default boolean);
                create table engagement_metrics (id uuid primary key default gen_random_uuid(), tweet_id uuid references tweets (id), likes int);
                """,
            findings: [
                ("auth_rls_initplan", "tweets"), ("row_security_not_forced", "user_api_keys"),
                ("function_search_path_mutable", "handle_new_user"),
                ("function_search_path_mutable", "increment_api_usage"),
                ("foreign_key_crosses_tenants", "engagement_metrics"), ("unindexed_foreign_keys", "engagement_metrics"),
            ],
            leaks: [("public.engagement_metrics (engagement_metrics_tweet_id_fkey)", .reference, .member)]),
        Product(
            document: "hugoherbots", before: "",
            findings: [
                ("rls_disabled_in_public", "workspaces"), ("rls_disabled_in_public", "workspace_members"),
                ("rls_disabled_in_public", "scenarios"), ("rls_disabled_in_public", "user_progress"),
                ("rls_disabled_in_public", "help_articles"), ("tenant_column_not_pinned", "sessions"),
                ("public_bucket_allows_listing", "objects"),
                ("storage_policy_ignores_owner", "objects"),
                ("anon_security_definer_function_executable", "increment_article_views"),
                ("function_search_path_mutable", "search_similar_sessions"), ("auth_rls_initplan", "profiles"),
                ("row_security_not_forced", "sessions"),
            ],
            leaks: [
                ("public.workspaces", .read, .visitor), ("public.workspace_members", .insert, .member),
                ("public.user_progress", .delete, .visitor), ("public.scenarios", .update, .member),
                ("bucket resources, user folder", .read, .member),
            ]),
        Product(
            document: "smarteros", before: "",
            findings: [
                ("rls_enabled_no_policy", "tenant_services"), ("unique_key_spans_tenants", "tenants"),
                ("auth_rls_initplan", "tenants"), ("row_security_not_forced", "tenants"),
                ("multiple_permissive_policies", "tenants"), ("row_security_not_forced", "tenant_services"),
            ], leaks: []),
        Product(
            // Of this one there is a migration by an object mapper, told in words: plain tables in a schema that is served.
            document: "hola-tattoo",
            before: """
                create table users (id uuid primary key references auth.users (id), email text not null unique, name text);
                create table studios (id uuid primary key default gen_random_uuid(), user_id uuid not null references users (id), name text);
                create table bot_configs (id uuid primary key default gen_random_uuid(), studio_id uuid not null references studios (id), prompt text);
                create table conversations (id uuid primary key default gen_random_uuid(), studio_id uuid not null references studios (id), phone_number text);
                """,
            findings: [
                ("rls_disabled_in_public", "users"), ("rls_disabled_in_public", "studios"),
                ("rls_disabled_in_public", "bot_configs"), ("rls_disabled_in_public", "conversations"),
                ("sensitive_columns_exposed", "conversations"), ("unindexed_foreign_keys", "studios"),
            ],
            leaks: [
                ("public.studios", .read, .visitor), ("public.studios", .delete, .visitor),
                ("public.conversations", .read, .visitor),
            ]),
        Product(
            // "RPC call to run your SQL", "save API keys and collection name in the user_settings table".
            document: "workflow-overview",
            before: """
                create table profiles (id uuid primary key references auth.users (id), email text, full_name text);
                create table user_settings (user_id uuid primary key references auth.users (id), api_keys jsonb, openai_api_key text, collection_name text);
                create function execute_sql(sql text) returns void language plpgsql security definer as $$ begin execute sql; end $$;
                """,
            findings: [
                ("dynamic_sql_reachable", "execute_sql"), ("anon_security_definer_function_executable", "execute_sql"),
                ("rls_disabled_in_public", "user_settings"), ("rls_disabled_in_public", "profiles"),
            ], leaks: [("public.user_settings", .read, .visitor), ("public.user_settings", .update, .member)]),
    ]

    /// By their paths in the program.
    static let blueprints = ["coach", "social", "starter", "studio", "workspace"].flatMap { name in
        Assets.files(under: "sql/blueprints/\(name)/").map(\.path)
    }

    /// The blocks of SQL of a document; nil where the shared folder is not there.
    private static func sql(of document: String) -> String? {
        for folder in ["../shared/seeds"] {
            guard let text = try? String(contentsOfFile: "\(folder)/\(document).txt", encoding: .utf8) else { continue }
            return text.components(separatedBy: "```sql\n").dropFirst().compactMap { part in
                part.components(separatedBy: "```").first
            }.filter { !$0.contains("EXPLAIN") }.joined(separator: "\n")
        }
        return nil
    }

    private static func check(_ project: TestProject) async throws -> (findings: [Finding], crossings: [Crossing]) {
        let address = project.server.address
        return try await Loop.withLoop { loop in
            let database = try Database(DatabaseConfiguration(address: address), loops: [loop], log: Log(level: .error))
            let catalog = try await CatalogReader(database).read()
            let findings = Lint.run(on: catalog, LintSettings())
            let crossings = try await SQLProbe(database, catalog: catalog, settings: LintSettings()).run().crossings
            await database.shutdown()
            return (findings, crossings)
        }
    }

    /// Leaks, and what of the project's own could not be tried.
    private static func isBad(_ crossing: Crossing) -> Bool {
        crossing.outcome == .leaked || (crossing.outcome != .held && crossing.object.hasPrefix("public."))
    }

    @Test(arguments: products) func saysWhatIsWeak(_ product: Product) async throws {
        guard let sql = Self.sql(of: product.document) else { return }
        try await TestProject.run { project in
            try await project.login("postgres").exec(product.before + "\n" + sql)
            let (findings, crossings) = try await Self.check(project)
            for expected in product.findings {
                let found = findings.contains { $0.lint.name == expected.lint && $0.occurrence.name == expected.object }
                #expect(found, "\(expected); found instead: \(findings.map(\.cacheKey))")
            }
            let leaks = crossings.filter { $0.outcome == .leaked }
            for expected in product.leaks {
                let found = leaks.contains {
                    $0.object == expected.object && $0.action == expected.action && $0.caller == expected.caller
                }
                #expect(found, "\(expected); found instead: \(leaks.map { "\($0.object) \($0.action) \($0.caller)" })")
            }
        }
    }

    @Test(arguments: blueprints)
    func theBlueprintIsSound(_ path: String) async throws {
        let sql = try #require(Assets[path]).text
        try await TestProject.run { project in
            try await project.login("postgres").exec(sql)
            let (findings, crossings) = try await Self.check(project)
            #expect(findings.map { "\($0.lint.name): \($0.occurrence.detail)" } == [])
            let bad = crossings.filter(Self.isBad).map {
                "\($0.object) \($0.action) \($0.caller) \($0.outcome)"
            }
            #expect(bad == [])
            #expect(!crossings.isEmpty)
        }
    }

    /// Each holds over HTTP as well, files and functions included.
    @Test(arguments: blueprints)
    func theBlueprintHoldsOverHTTP(_ path: String) async throws {
        let files = AtollProcess.ProjectFiles(
            migrations: ["20260101000000_blueprint.sql": try #require(Assets[path]).text])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            let (_, http) = try await server.probe()
            let leaks = http.crossings.filter { $0.outcome == .leaked }.map(\.request)
            #expect(leaks == [])
            #expect(http.left == [])
            #expect(try await server.traces() == before)
        }
    }

    @Test func theExampleIsSound() async throws {
        let file = "example/supabase/migrations/20260101000000_create_notes.sql"
        let sql = try String(contentsOfFile: file, encoding: .utf8)
        try await TestProject.run { project in
            try await project.login("postgres").exec(sql)
            let (findings, crossings) = try await Self.check(project)
            #expect(findings.map { "\($0.lint.name): \($0.occurrence.detail)" } == [])
            let bad = crossings.filter(Self.isBad).map {
                "\($0.object) \($0.action) \($0.caller) \($0.outcome)"
            }
            #expect(bad == [])
        }
    }
}
