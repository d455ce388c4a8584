// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

/// The SQL of the documents that describe what users want, run verbatim as a project's migrations. They lie beside the
/// clone in `../shared/seeds` where there are any; elsewhere the tests say that they were skipped.
@Suite struct SeedDocumentTests {
    /// Tables that the document only alters.
    private static let coralTables = """
        create table tweets (id bigserial primary key, created_at timestamptz, status text);
        create table tweets_cache (id bigserial primary key, created_at timestamptz, status text);
        create table blogs (id bigserial primary key, created_at timestamptz);
        create table tweet_threads (id bigserial primary key);
        create table x_accounts (id bigserial primary key, username text);
        create table agent_logs (id bigserial primary key, agent_name text, action text, details text);
        create table personas (id bigserial primary key, name text, description text, tone text, is_default boolean);
        create table engagement_metrics (id bigserial primary key);
        """

    @Test func aSocialProductsSchemaRunsAndProvisionsItsUsers() async throws {
        guard let blocks = Self.sqlBlocks(of: "coral-social") else { return }
        // Sections 1 to 5 are the schema; what follows looks at a running system and holds placeholders.
        try await TestProject.run(files: Self.migrations([Self.coralTables] + blocks.prefix(5))) { project in
            let ann = try await project.signUp("ann@example.com")
            let bob = try await project.signUp("bob@example.com")
            #expect(try await project.server.exec("select count(*) from user_profiles") == "2")
            #expect(try await project.server.exec("select count(*) from personas") == "2")
            #expect(try await project.server.exec("select count(*) from tenancy.profiles") == "2")
            let seen = await project.request(
                "authenticated", claims: ann.claims,
                """
                select email from user_profiles;
                insert into tweets (user_id, status) values ('\(ann.id)', 'draft');
                select increment_api_usage('\(ann.id)', 'openai', 7);
                select api_usage_current from user_profiles;
                """)
            #expect(seen == "ann@example.com\n\n7\n")
            let crossing = "insert into tweets (user_id) values ('\(bob.id)');"
            #expect(
                await project.request("authenticated", claims: ann.claims, crossing).contains("row-level security"))
            let others = "select count(*) from tweets; select count(*) from api_usage_logs;"
            #expect(await project.request("authenticated", claims: bob.claims, others) == "0\n0\n")
        }
    }

    @Test func aCoachingProductsSchemaRunsWithBucketsPoliciesAndVectors() async throws {
        guard let blocks = Self.sqlBlocks(of: "hugoherbots") else { return }
        try await TestProject.run(files: Self.migrations(blocks)) { project in
            let ann = try await project.signUp("ann@example.com")
            #expect(try await project.server.exec("select count(*) from storage.buckets") == "4")
            let upload = """
                insert into storage.objects (bucket_id, name) values ('audio-uploads', 'FOLDER/a.mp3') returning 'stored';
                """
            let own = upload.split(separator: "FOLDER").joined(separator: ann.id.description)
            #expect(await project.request("authenticated", claims: ann.claims, own) == "stored\n")
            let foreign = upload.split(separator: "FOLDER").joined(separator: "somebody")
            #expect(await project.request("authenticated", claims: ann.claims, foreign).contains("row-level security"))
            #expect(
                await project.request(
                    "authenticated", claims: ann.claims,
                    "select count(*) from search_help_articles(array_fill(0.1, array[1536])::vector);") == "0\n")
        }
    }

    @Test func aTenantManagersSchemaRuns() async throws {
        guard let blocks = Self.sqlBlocks(of: "smarteros") else { return }
        try await TestProject.run(files: Self.migrations(blocks)) { project in
            let ann = try await project.signUp("ann@example.com")
            let bob = try await project.signUp("bob@example.com")
            let create = """
                insert into tenants (name, slug, owner_id) values ('Ann', 'ann', '\(ann.id)') returning slug;
                """
            #expect(await project.request("authenticated", claims: ann.claims, create) == "ann\n")
            #expect(await project.request("authenticated", claims: bob.claims, create).contains("row-level security"))
            #expect(
                await project.request("authenticated", claims: bob.claims, "select count(*) from tenants;") == "0\n")
        }
    }

    /// The blocks of a document that are marked as SQL; nil, with a message, when the document is not there.
    private static func sqlBlocks(of document: String) -> [String]? {
        let path = "../shared/seeds/\(document).txt"
        guard let file = fopen(path, "r") else {
            print("skipped: \(path) is not there")
            return nil
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk.prefix(count) }
        var blocks: [String] = []
        var lines: [Substring]?
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "```sql" {
                lines = []
            } else if line == "```", let block = lines {
                blocks.append(block.joined(separator: "\n"))
                lines = nil
            } else {
                lines?.append(line)
            }
        }
        return blocks
    }

    private static func migrations(_ texts: [String]) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: texts.enumerated().map { ("supabase/migrations/\(1000 + $0)_block.sql", $1) })
    }
}
