// SPDX-License-Identifier: Apache-2.0
import EventLoop
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

    @Test(arguments: PlantedLeak.all) func findsThePlantedLeak(_ leak: PlantedLeak) async throws {
        try await TestProject.run { project in
            try await Self.apply(leak, to: project)
            let findings = try await Self.findings(project) { $0.allowsAnonymousSignIns = leak.sql == "select 1" }
            let found = findings.first { $0.lint.name == leak.finding && $0.occurrence.name == leak.object }
            #expect(found != nil, "found instead: \(findings.map(\.cacheKey))")
        }
    }

    @Test func atLeastFortyLeaksArePlanted() {
        #expect(PlantedLeak.all.count >= 40)
        #expect(Set(PlantedLeak.all.map(\.name)).count == PlantedLeak.all.count)
    }

    @Test func everyLintHasANumberAndANameOfItsOwn() {
        #expect(Set(Lint.all.map(\.id)).count == Lint.all.count)
        #expect(Set(Lint.all.map(\.name)).count == Lint.all.count)
        #expect(Lint.all.filter { $0.id < "0100" }.count == 29)
    }
}
