// SPDX-License-Identifier: Apache-2.0
import Testing

import TestSupport

@Suite struct TestClusterTests {
    @Test func databasesAreFreshCopiesOfTheirTemplate() async throws {
        let cluster = try await TestCluster.shared
        let template = try await cluster.template(named: "template_with_table") {
            try await $0.exec("create table note (id int primary key); insert into note values (1)")
        }
        let first = try await cluster.makeDatabase(template: template)
        let second = try await cluster.makeDatabase(template: template)
        try await first.exec("insert into note values (2)")
        #expect(try await first.exec("select id from note order by id") == "1\n2")
        #expect(try await second.exec("select id from note order by id") == "1")
        await #expect(throws: TestDatabaseError.self) { try await second.exec("select nothing from nowhere") }
        try await first.drop()
        try await second.drop()
    }

    @Test(arguments: ["vector", "pgcrypto", "\"uuid-ossp\"", "pg_trgm"])
    func extensionsOfSupabaseProjectsLoad(name: String) async throws {
        let database = try await TestCluster.shared.makeDatabase()
        try await database.exec("create extension \(name)")
        try await database.drop()
    }
}
