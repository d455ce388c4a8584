// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Platform

@Suite struct ServerFactsTests {
    private static let good = ServerFacts(
        version: 180_006, encoding: "UTF8", isReadOnly: false, login: "admin", isSuperuser: true,
        unavailableExtensions: [], missingRoles: [], hasHistory: true)

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var code: BootstrapError.Code?
        /// What the message must hold.
        var told: [String] = []
        var change: @Sendable (inout ServerFacts) -> Void
    }

    @Test(
        arguments: [
            Case(testDescription: "all is well", code: nil) { _ in },
            Case(testDescription: "the oldest version", code: nil) { $0.version = 150_000 },
            Case(testDescription: "nothing installed, a superuser", code: nil) {
                $0.missingRoles = ["anon"]
                $0.hasHistory = false
            },
            Case(testDescription: "all installed, no superuser", code: nil) { $0.isSuperuser = false },
            Case(testDescription: "too old", code: .serverTooOld, told: ["14.9", "15"]) { $0.version = 140_009 },
            Case(testDescription: "not UTF-8", code: .wrongEncoding, told: ["SQL_ASCII"]) { $0.encoding = "SQL_ASCII" },
            Case(testDescription: "a standby", code: .readOnlyServer, told: ["standby"]) { $0.isReadOnly = true },
            Case(testDescription: "no pgvector", code: .missingExtension, told: ["vector", "pgvector"]) {
                $0.unavailableExtensions = ["vector"]
            },
            Case(
                testDescription: "roles missing, no superuser", code: .missingPrivilege,
                told: ["\"admin\"", "anon, service_role", "superuser"]
            ) {
                $0.isSuperuser = false
                $0.missingRoles = ["anon", "service_role"]
            },
            Case(testDescription: "nothing installed, no superuser", code: .missingPrivilege, told: ["\"admin\""]) {
                $0.isSuperuser = false
                $0.hasHistory = false
            },
        ])
    func whatIsMissingIsTold(_ example: Case) {
        var facts = Self.good
        example.change(&facts)
        #expect(facts.refusal?.code == example.code)
        for text in example.told { #expect(facts.refusal?.message.contains(text) == true, "\(text)") }
    }

    @Test(
        arguments: [
            ("create extension vector;", "create extension if not exists vector;"),
            (
                "CREATE  EXTENSION\n\"uuid-ossp\" with schema x",
                "CREATE  EXTENSION\nif not exists \"uuid-ossp\" with schema x"
            ),
            ("create extension if not exists vector;", "create extension if not exists vector;"),
            ("create extension postgis;", "create extension postgis;"),
            ("drop extension vector;", "drop extension vector;"),
            ("create table vector (extension text)", "create table vector (extension text)"),
            ("select 'ü';create extension Vector", "select 'ü';create extension if not exists Vector"),
            ("", ""),
        ])
    func installedExtensionsMayBeAskedForAgain(_ sql: String, _ expected: String) {
        #expect(ProjectMigrations.tolerant(sql) == expected)
    }

    @Test func verifiersProveOnePassword() {
        // Made by PostgreSQL 18 for the password `pencil`.
        let stored =
            "SCRAM-SHA-256$4096:PoB+cxW0MqdWZ4y/xslqxQ==$w9s/iovwA+k3Pj+T8vfRT3n48Ujz2JBbfclqNpBnCOc=:"
            + "BcXqoZh/nRSNcgW2qMErpqu9NTGPrURjG+kGjHRmTF0="
        #expect(ScramVerifier.matches(stored, password: "pencil"))
        #expect(!ScramVerifier.matches(stored, password: "Pencil"))
        #expect(!ScramVerifier.matches("md5aabb", password: "pencil"))
        #expect(!ScramVerifier.matches("SCRAM-SHA-256$0:AA==$a:b", password: "pencil"))
        let made = ScramVerifier(password: "x")
        #expect(ScramVerifier.matches(made.text, password: "x"))
        #expect(made != ScramVerifier(password: "x"), "the salt is new each time")
    }
}
