// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Postgres

@Suite struct SQLScriptTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var script: String
        var statements: [String]
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "nothing", script: " ; ;\n-- only a comment\n/* and another */", statements: []),
        Case(
            name: "plain statements, the last without semicolon", script: "select 1; select 2",
            statements: ["select 1", "select 2"]),
        Case(
            name: "comments around and between", script: "-- a;b\nselect 1 -- c;\n; /* d; /* e; */ ; */ select 2;",
            statements: ["select 1", "select 2"]),
        Case(
            name: "comments within stay", script: "select /* a; */ 1 -- b;\n + 2;",
            statements: ["select /* a; */ 1 -- b;\n + 2"]),
        Case(
            name: "semicolon in a string", script: "select 'a;''b;'; select 2",
            statements: ["select 'a;''b;'", "select 2"]),
        Case(
            name: "backslash in a plain string is a character", script: #"select 'a\'; select 2"#,
            statements: [#"select 'a\'"#, "select 2"]),
        Case(
            name: "backslash in an escape string escapes", script: #"select e'a\'; select 2'; select 3"#,
            statements: [#"select e'a\'; select 2'"#, "select 3"]),
        Case(
            name: "an escape string goes on after a line break", script: "select E'a'\n '\\';b'; select 2",
            statements: ["select E'a'\n '\\';b'", "select 2"]),
        Case(
            name: "a name that ends in e before a string", script: #"select type'\'; select 2"#,
            statements: [#"select type'\'"#, "select 2"]),
        Case(
            name: "semicolon in a quoted identifier", script: #"select "a;""b"; select 2"#,
            statements: [#"select "a;""b""#, "select 2"]),
        Case(
            name: "dollar quotes", script: "do $$ begin; end; $$; select $a$;$$;$a$; select 3",
            statements: ["do $$ begin; end; $$", "select $a$;$$;$a$", "select 3"]),
        Case(
            name: "a dollar within a name opens nothing", script: "select a$b$ from c; select 2 as d$b$",
            statements: ["select a$b$ from c", "select 2 as d$b$"]),
        Case(name: "binds and lone dollars", script: "select $1; select $;", statements: ["select $1", "select $"]),
        Case(
            name: "a rule's actions in parentheses",
            script: "create rule r as on insert to t do (select 1; select 2); select 3",
            statements: ["create rule r as on insert to t do (select 1; select 2)", "select 3"]),
        Case(
            name: "a function body of the SQL standard",
            script:
                "create or replace function f() returns int language sql begin atomic select 1; select case when true then 2 end; end; select 3",
            statements: [
                "create or replace function f() returns int language sql begin atomic select 1; select case when true then 2 end; end",
                "select 3",
            ]),
        Case(
            name: "begin without atomic ends", script: "begin; create table t (a int); end; select 1",
            statements: ["begin", "create table t (a int)", "end", "select 1"]),
        Case(
            name: "a column named atomic after begin is no body", script: "select begin atomic; select 2",
            statements: ["select begin atomic", "select 2"]),
        Case(name: "a byte order mark", script: "\u{FEFF}select 1;", statements: ["select 1"]),
        Case(
            name: "characters beyond ASCII", script: "select 'ü;' as größe; select 2",
            statements: ["select 'ü;' as größe", "select 2"]),
        Case(
            name: "a string that never ends", script: "select 1; select 'a; select 2",
            statements: ["select 1", "select 'a; select 2"]),
        Case(name: "a comment that never ends", script: "select 1; /* select 2;", statements: ["select 1"]),
        Case(name: "dollar quotes that never end", script: "do $a$ x; $$;", statements: ["do $a$ x; $$;"]),
        Case(name: "an escape string cut after its backslash", script: #"select e'a\"#, statements: [#"select e'a\"#]),
        Case(name: "parentheses that never close", script: "select (1; select 2", statements: ["select (1; select 2"]),
        Case(name: "a parenthesis too many", script: "select 1); select 2", statements: ["select 1)", "select 2"]),
    ]

    @Test(arguments: cases)
    func splits(test: Case) {
        #expect(SQLScript(test.script).statements.map(\.text) == test.statements)
    }

    @Test func tellsTheLineOfEachStatement() {
        let script = SQLScript("-- head\n\nselect 1;\nselect\n 2; select 3;\n\n/* a\n b */ select 4")
        #expect(script.statements.map(\.line) == [3, 4, 5, 8])
    }

    @Test(arguments: [
        ("vacuum full t", SQLScript.Restriction.notInTransaction),
        ("create unique index concurrently i on t (a)", .notInTransaction),
        ("drop index concurrently i", .notInTransaction),
        ("reindex table concurrently t", .notInTransaction),
        ("create database d", .notInTransaction),
        ("alter system set a = 1", .notInTransaction),
        ("alter table t detach partition p concurrently", .notInTransaction),
        ("BEGIN", .transactionControl),
        ("commit", .transactionControl),
        ("prepare transaction 'a'", .transactionControl),
        ("copy t from stdin", .needsInput),
    ])
    func findsWhatCannotRunInATransaction(sql: String, restriction: SQLScript.Restriction) {
        let script = SQLScript(sql)
        #expect(script.statements.map(\.restriction) == [restriction])
        #expect(!script.fitsInTransaction)
    }

    @Test(arguments: [
        "create index i on t (a)", "create table concurrently_used (a int)", "rollback to a", "prepare p as select 1",
        "create function f() returns int language sql begin atomic select 1; end", "alter type t add value 'x'",
        "refresh materialized view concurrently v", "copy t to '/tmp/x'", "select 'vacuum'",
    ])
    func leavesTheRestToTheServer(sql: String) {
        #expect(SQLScript(sql).fitsInTransaction)
    }

    @Test func findsTheMarker() {
        #expect(SQLScript("-- a\n--  atoll:no-transaction \nselect 1").isMarkedNoTransaction)
        #expect(!SQLScript("select 1;\n-- atoll:no-transaction").isMarkedNoTransaction)
        #expect(!SQLScript("-- atoll:no-transactions\nselect 1").isMarkedNoTransaction)
    }
}
