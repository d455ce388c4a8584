// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import Postgres

@Suite struct PostgresQueryTests {
    @Test func valuesAreBoundAndNamesQuoted() {
        let query: PostgresQuery =
            "select \(identifier: #"a"b"#) from \(identifier: "t", in: "s") where id = \(7) and n = \("x")"
        #expect(query.sql == #"select "a""b" from "s"."t" where id = $1 and n = $2"#)
        #expect(query.parameters == [PostgresParameter(text: "7"), PostgresParameter(text: "x")])
    }

    @Test func splicedQueriesAreRenumbered() {
        let condition: PostgresQuery = "a = \(1) and b = '$1' and c = $x$ $1 $x$ and d$1 = \(2) -- $1"
        let query: PostgresQuery = "select \("first") where \(condition)"
        #expect(query.sql == "select $1 where a = $2 and b = '$1' and c = $x$ $1 $x$ and d$1 = $3 -- $1")
        #expect(query.parameters.count == 3)
    }

    @Test func appendingKeepsTheNumbersOfAnEmptyStart() {
        var query: PostgresQuery = "select "
        query += PostgresQuery(sql: "$1 + $1", parameters: [PostgresParameter(text: "1")])
        query.append(", ")
        query.bind(2)
        #expect(query.sql == "select $1 + $1, $2")
    }

    @Test func aMissingValueIsNull() {
        let name: String? = nil
        let query: PostgresQuery = "select \(name)"
        #expect(query.parameters == [.null])
    }

    @Test(arguments: [
        ("plain", "'plain'"), ("it's", "'it''s'"), (#"back\slash"#, #" E'back\\slash'"#), (#"\'"#, #" E'\\'''"#),
        ("", "''"),
    ])
    func literalsAreQuoted(text: String, literal: String) {
        #expect(quoteLiteral(text) == literal)
    }

    @Test(arguments: [
        ("{}", [String?]()), ("{a,b}", ["a", "b"]), (#"{"a,b",NULL,"NULL","q\"\\"}"#, ["a,b", nil, "NULL", #"q"\"#]),
        (#"{""}"#, [""]),
    ])
    func arraysAreRead(text: String, elements: [String?]) {
        #expect(PostgresArrayText.parse(text) == elements)
    }

    @Test(arguments: ["", "a", "{", "{{1},{2}}", #"{"a"b}"#])
    func otherTextIsNoArray(text: String) {
        #expect(PostgresArrayText.parse(text) == nil)
    }
}

@Suite struct PostgresAddressTests {
    @Test(arguments: [
        "mysql://a@b/c", "postgres://u@h:0/d", "postgres://u@h:port/d", "postgres://u@[::1/d", "postgres://u:%zz@h/d",
        "postgres://h/d", "postgres://u@h/d?sslmode=maybe", "postgres://u@h/d?unknown=1", "postgres://u:s%00@h/d", "",
    ])
    func refuses(url: String) {
        do {
            _ = try PostgresAddress(url: url)
            Issue.record("\(url) was accepted")
        } catch {
            #expect(error.code == .invalidQuery)
        }
    }

    @Test func neverQuotesThePassword() {
        do {
            _ = try PostgresAddress(url: "postgres://u:hunter2@h:99999/d")
            Issue.record("was accepted")
        } catch {
            #expect(!error.description.contains("hunter2"))
        }
    }

    @Test func readsEveryPart() throws {
        let address = try PostgresAddress(
            url: "postgresql://us%20er:p%40ss@db.example:6543/da%2Fta?sslmode=verify-full&sslrootcert=/ca.pem")
        #expect(address.user == "us er")
        #expect(address.password?.reveal() == "p@ss")
        #expect(address.host == "db.example")
        #expect(address.port == 6543)
        #expect(address.database == "da/ta")
        #expect(address.tlsMode == .verifyFull)
        #expect(address.rootCertificateFile == "/ca.pem")
    }

    @Test func fillsInDefaults() throws {
        let address = try PostgresAddress(url: "postgres://me@")
        #expect(address.host == "localhost")
        #expect(address.port == 5432)
        #expect(address.database == "me")
        #expect(try PostgresAddress(url: "postgres://me@[::1]:5/x").host == "::1")
        #expect(try PostgresAddress(url: "postgres://me@%2Frun%2Fpg/x").isSocket)
        #expect(try PostgresAddress(url: "postgres://me@/x?host=/run/pg").isSocket)
    }
}
