// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Primitives
import TestSupport
import Testing

@testable import Postgres

@Suite struct ConnectionStringTests {
    @Test(arguments: ["nonsense", "host", "postgres://%", "postgres://h/d?unknown=1", "unknown=1", "host='a"])
    func refusesWhatLibpqDoesNotTake(_ text: String) {
        #expect(throws: PostgresError.self) { try PostgresAddress(connectionString: text) }
        // Such a text may hold a password.
        let refusal = postgresRefusal { _ = try PostgresAddress(connectionString: text) }
        #expect(refusal?.message.contains(text) == false)
    }

    @Test func looksUpNamesAlone() throws {
        let cases: [(String, Bool)] = [
            ("host=/tmp user=a", false), ("host=127.0.0.1", false), ("host=::1", false),
            ("postgres://localhost/d", true),
            ("host=/tmp,localhost", true), ("host=localhost hostaddr=127.0.0.1", false),
        ]
        for (text, isNeeded) in cases {
            #expect(try PostgresAddress(connectionString: text).lookup?.isNeeded ?? false == isNeeded, "\(text)")
        }
    }

    @Test func givesEachAddressItsNameAndPort() throws {
        let several = HostLookup(hosts: "/tmp,127.0.0.1,localhost", ports: "1,2,3")
        let resolved = try several.resolved()
        let hosts = (resolved.first { $0.name == "host" }?.value ?? "").split(separator: ",")
        let addresses = (resolved.first { $0.name == "hostaddr" }?.value ?? "")
            .split(separator: ",", omittingEmptySubsequences: false)
        let ports = (resolved.first { $0.name == "port" }?.value ?? "").split(separator: ",")
        #expect(hosts.count == addresses.count && hosts.count == ports.count)
        #expect(hosts.prefix(2) == ["/tmp", "127.0.0.1"] && hosts.dropFirst(2).allSatisfy { $0 == "localhost" })
        #expect(addresses.prefix(2) == ["", "127.0.0.1"] && ports.prefix(3) == ["1", "2", "3"])
    }

    @Test func findsTheStateInVerboseText() {
        let refusal = ConnectRefusal(
            """
            connection to server at "h" (1.2.3.4), port 5432 failed: FATAL:  28P01: no
            LOCATION:  auth_failed, auth.c:331
            """)
        #expect(refusal?.sqlState == "28P01")
        #expect(refusal?.message == #"connection to server at "h" (1.2.3.4), port 5432 failed: FATAL: no"#)
        #expect(ConnectRefusal("connection to server failed: Connection refused") == nil)
    }

    @Test func connectsByBothForms() async throws {
        try await DatabaseFixture.run { fixture in
            let address = fixture.server.address
            let password = address.password?.reveal() ?? ""
            let forms = [
                "postgresql://\(address.user):\(password)@/\(address.database)?host=\(address.host)&port=\(address.port)",
                "host=\(address.host) port=\(address.port) user=\(address.user) password='\(password)' dbname=\(address.database)",
            ]
            for form in forms {
                var configuration = DatabaseConfiguration(address: try PostgresAddress(connectionString: form))
                configuration.applicationName = "by its own name"
                configuration.statementTimeout = nil
                configuration.idleTransactionTimeout = nil
                let database = try Database(configuration, loops: [fixture.loop], log: .disabled)
                let result = try await database.query(
                    "select current_database(), current_setting('application_name'), current_setting('statement_timeout')"
                )
                #expect(result.string(0, 0) == address.database)
                #expect(result.string(0, 1) == "by its own name")
                #expect(result.string(0, 2) == "0")
                await database.shutdown(grace: .seconds(1))
            }
        }
    }

    @Test func saysWhyTheServerRefused() async throws {
        try await DatabaseFixture.run({ $0.address.database = "not_there" }) { fixture in
            let error = await postgresError { try await fixture.database.query("select 1") }
            #expect(error?.sqlState == "3D000")
            #expect(error?.message.contains("LOCATION") == false)
        }
    }

    @Test func setsWhatNeedsTheLoginsRightsBeforeTheRole() async throws {
        try await DatabaseFixture.run { fixture in
            let role = "plain_\(fixture.server.name)"
            try await fixture.database.query("create role \(identifier: role)")
            var unit = WorkUnit(role: role, queries: ["select current_setting('log_min_messages'), current_user"])
            unit.settings = [("log_min_messages", "fatal")]
            let refused = unit
            let error = await postgresError { _ = try await fixture.database.run(refused) }
            #expect(error?.sqlState == "42501")
            unit.loginSettings = unit.settings
            unit.settings = []
            let result = try await fixture.database.run(unit)
            #expect(result[0].string(0, 0) == "fatal" && result[0].string(0, 1) == role)
            unit.loginSettings = [("role", "postgres")]
            let identity = unit
            let refusal = await postgresError { _ = try await fixture.database.run(identity) }
            #expect(refusal?.code == .invalidQuery)
            try await fixture.database.query("drop role \(identifier: role)")
        }
    }

    private func postgresRefusal(_ body: () throws -> Void) -> PostgresError? {
        do {
            try body()
            return nil
        } catch {
            return error as? PostgresError
        }
    }
}
