// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Foundation
import Isolation
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

@Suite struct LintTests {
    /// What the lints say of a project's database.
    private static func findings(
        _ project: TestProject, _ change: (inout LintSettings) -> Void = { _ in }
    ) async throws -> [Finding] {
        var settings = LintSettings()
        change(&settings)
        let asked = settings
        let address = project.server.address
        return try await Loop.withLoop { loop in
            let database = try Database(
                DatabaseConfiguration(address: address), loops: [loop], log: Log(level: .error))
            let catalog = try await CatalogReader(database).read()
            await database.shutdown()
            return Lint.run(on: catalog, asked)
        }
    }

    private static func apply(_ leak: PlantedLeak, to project: TestProject) async throws {
        try await project.login("postgres").exec(PlantedLeak.base)
        try await (leak.needsSuperuser ? project.server : project.login("postgres")).exec(leak.sql)
    }

    @Test func aSoundSchemaIsLeftAlone() async throws {
        try await TestProject.run { project in
            try await project.login("postgres").exec(PlantedLeak.base)
            let findings = try await Self.findings(project).filter { $0.level > .info }
            #expect(findings.map(\.occurrence.detail) == [])
        }
    }

    @Test(arguments: PlantedLeak.sound.map(\.name)) func whatIsCloseToALeakIsLeftAlone(_ name: String) async throws {
        let sql = try #require(PlantedLeak.sound.first { $0.name == name }?.sql)
        try await TestProject.run { project in
            try await project.login("postgres").exec(PlantedLeak.base)
            try await project.login("postgres").exec(sql)
            let findings = try await Self.findings(project).filter { $0.level > .info }
            #expect(findings.map(\.occurrence.detail) == [])
        }
    }

    @Test(arguments: PlantedLeak.all) func findsThePlantedLeak(_ leak: PlantedLeak) async throws {
        try await TestProject.run { project in
            try await Self.apply(leak, to: project)
            let findings = try await Self.findings(project) { $0.allowsAnonymousSignIns = leak.sql == "select 1" }
            let found = findings.first { $0.lint.name == leak.finding && $0.occurrence.name == leak.object }
            #expect(found != nil, "found instead: \(findings.map(\.cacheKey))")
        }
    }

    /// A thousand tenants have what the template has; it is told once.
    @Test func tenantsOwnSchemasAreToldAsTheirTemplate() async throws {
        try await TestProject.run { project in
            let ann = try await project.signUp("ann@example.com")
            let schema = try await project.server.exec(
                """
                update tenancy.tenants set isolation = 'schema';
                select tenancy.make_schema('\(ann.tenant)');
                """
            ).split(separator: "\n").last.map(String.init)
            for schema in [schema ?? "", "tenant_template"] {
                try await project.login("postgres").exec(
                    """
                    create table \(schema).parents (id int primary key);
                    create table \(schema).children (id int primary key, parent int references \(schema).parents (id));
                    create function \(schema).loose() returns int language sql security definer as 'select 1';
                    """)
            }
            let found = try await Self.findings(project)
            let details = found.map { "\($0.lint.name) \($0.cacheKey)" }
            #expect(details.contains { $0.contains("unindexed_foreign_keys") && $0.contains("tenant_template") })
            #expect(!details.contains { $0.contains(schema ?? "") || $0.contains("tenant_entry") }, "\(details)")
            _ = await project.server.attempt("delete from tenancy.tenant_schemas")
        }
    }

    @Test func atLeastFortyLeaksArePlanted() {
        #expect(PlantedLeak.all.count >= 40)
        #expect(Set(PlantedLeak.all.map(\.name)).count == PlantedLeak.all.count)
    }

    @Test func thePageListsThem() throws {
        let page = try String(contentsOfFile: "docs/isolation.md", encoding: .utf8)
        for leak in PlantedLeak.all { #expect(page.contains("\n- \(leak.name): `\(leak.finding)`\n"), "\(leak.name)") }
        let others = SQLProbeTests.leaks.map(\.name) + (HTTPLeak.all + HTTPLeak.platform).map(\.name)
        for name in others { #expect(page.contains("\n- \(name)\n"), "\(name)") }
        for count in [PlantedLeak.all.count, SQLProbeTests.leaks.count, HTTPLeak.all.count + HTTPLeak.platform.count] {
            #expect(
                page.contains("\(count) are found by lints") || page.contains("\n\(count) by what is tried"), "\(count)"
            )
        }
    }

    @Test func everyLintHasANumberAndANameOfItsOwn() {
        #expect(Set(Lint.all.map(\.id)).count == Lint.all.count)
        #expect(Set(Lint.all.map(\.name)).count == Lint.all.count)
        #expect(Lint.all.filter { $0.id < "0100" }.count == 29)
    }
}
