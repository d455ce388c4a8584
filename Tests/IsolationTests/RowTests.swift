// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Isolation
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

/// Tables that are hard to put a row into: each is tried all the same.
@Suite struct RowTests {
    struct Table: Sendable, CustomTestStringConvertible {
        let name: String
        /// The columns beside the key and the owner, as in `create table`.
        let columns: String
        /// Run before the table is made.
        var before = ""
        /// Run after it.
        var after = ""
        var key = "id uuid primary key default gen_random_uuid()"
        var testDescription: String { name }
    }

    static let tables: [Table] = [
        Table(
            name: "exactly one of three columns",
            columns: "a int, b text[], c bytea, check (num_nonnulls(a, b, c) = 1)"),
        Table(
            name: "two that go together, of the same length",
            columns:
                "x bigint[], y real[], z int, check ((x is null) = (y is null) and cardinality(x) = cardinality(y)), check (num_nonnulls(x, z) = 1)"
        ),
        Table(
            name: "one of two foreign keys",
            columns:
                "note_id uuid references public.notes (id), task_id uuid references public.tasks (id), check ((note_id is null) <> (task_id is null))"
        ),
        Table(
            name: "texts of forms",
            columns: """
                slug text not null check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 12),
                plate text not null check (plate ~ '^[A-Z]{2}-\\d{4}$'), code char(6) not null check (char_length(trim(code)) = 6),
                word text not null check (word like 'x-%'), phone text not null check (phone ~ '^\\+[1-9]\\d{1,14}$'),
                hash text not null unique check (hash ~ '^[0-9a-f]{64}$')
                """),
        Table(
            name: "numbers and times that depend on each other",
            columns: """
                low int not null, high int not null, share numeric not null check (share > 0.25 and share < 1),
                starts timestamptz not null, ends timestamptz not null, year int not null check (year between 2020 and 2100),
                check (high > low and low >= 17), check (ends > starts)
                """),
        Table(
            name: "documents",
            columns: """
                a jsonb not null check (jsonb_typeof(a) = 'array' and jsonb_array_length(a) > 0),
                b jsonb not null check (b ? 'kind'), c jsonb not null check (c ->> 'state' in ('open', 'done'))
                """),
        Table(
            name: "arrays of lengths",
            columns:
                "a int[] not null check (cardinality(a) = 3), b text[] not null check (b <@ array['red', 'green'] and array_length(b, 1) >= 1)"
        ),
        Table(
            name: "domains of domains, composites and other types",
            columns: """
                mail public.work_mail not null, place public.place not null, span int4multirange not null, bits bit(5) not null,
                embedding extensions.vector(4) not null, path ltree_like not null, at pg_lsn not null, mac macaddr8 not null
                """,
            before: """
                create domain public.mail as text check (value like '%@%');
                create domain public.work_mail as public.mail check (length(value) > 10 and value !~ '@gmail');
                create domain public.ltree_like as text check (value ~ '^[a-z]+(\\.[a-z]+)*$');
                create type public.place as (street text, number int);
                """),
        Table(
            name: "a number as its key, and others that are unique",
            columns: "position smallint not null unique, rank int not null default 0 unique",
            key: "id bigint primary key"),
        Table(
            name: "a key of words",
            columns: "state text not null check (state in ('a', 'b', 'c')), period date not null",
            key: "primary key (user_id, state, period)"),
        Table(
            name: "a list of things that requests do not reach",
            columns:
                "country text not null references public.countries (code), rate int not null references public.rates (n)",
            before: """
                create table public.countries (code text primary key check (length(code) = 2));
                create table public.rates (n int primary key);
                insert into public.rates values (7);
                revoke all on public.countries, public.rates from anon, authenticated;
                """),
        Table(
            name: "times that may not overlap",
            columns: "during tstzrange not null, exclude using gist (during with &&)"),
        Table(
            name: "a generated column in a check",
            columns: "net int not null, gross int generated always as (net * 2) stored, check (gross > 10)"),
    ]

    private static func crossings(_ project: TestProject) async throws -> [Crossing] {
        let address = project.server.address
        return try await Loop.withLoop { loop in
            let database = try Database(DatabaseConfiguration(address: address), loops: [loop], log: Log(level: .error))
            let catalog = try await CatalogReader(database).read()
            let crossings = try await SQLProbe(database, catalog: catalog, settings: LintSettings()).run().crossings
            await database.shutdown()
            return crossings
        }
    }

    @Test(arguments: tables) func isTried(_ table: Table) async throws {
        try await TestProject.run { project in
            let owner = project.login("postgres")
            try await owner.exec(PlantedLeak.base)
            if !table.before.isEmpty { try await owner.exec(table.before) }
            try await owner.exec(
                """
                create table public.hard (
                    \(table.key), user_id uuid not null references auth.users (id), \(table.columns)
                );
                alter table public.hard enable row level security;
                create policy own on public.hard to authenticated
                    using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
                """)
            try await Self.expectTried(project)
        }
    }

    static let partitions = [
        ("a list", "list (kind)", "for values in ('red', 'green')"),
        ("a range of days", "range (day)", "for values from ('2031-03-01') to ('2031-04-01')"),
        ("a range of two columns", "range (n, kind)", "for values from (500, 'm') to (500, 'p')"),
        ("a hash", "hash (n)", "for values with (modulus 1, remainder 0)"),
    ]

    @Test(arguments: partitions)
    func aPartitionIsFound(_ name: String, _ strategy: String, _ bound: String) async throws {
        try await TestProject.run { project in
            let owner = project.login("postgres")
            try await owner.exec(PlantedLeak.base)
            try await owner.exec(
                """
                create table public.hard (
                    id uuid not null default gen_random_uuid(), user_id uuid not null references auth.users (id),
                    kind text not null, day date not null, n int not null, primary key (id, kind, day, n)
                ) partition by \(strategy);
                create table public.hard_part partition of public.hard \(bound);
                alter table public.hard enable row level security;
                alter table public.hard_part enable row level security;
                create policy own on public.hard to authenticated
                    using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
                """)
            try await Self.expectTried(project)
        }
    }

    private static func expectTried(_ project: TestProject) async throws {
        let found = try await crossings(project)
        // A foreign key of a table may well reach across: that is no matter of its rows.
        let odd = found.filter { $0.outcome != .held && ($0.outcome, $0.action) != (.leaked, .reference) }
            .map { "\($0.object) \($0.action) \($0.outcome)" }
        #expect(odd == [])
        for action in [Crossing.Action.read, .insert, .update, .delete, .move] {
            #expect(found.contains { $0.object == "public.hard" && $0.action == action }, "\(action)")
        }
    }

    @Test func whatCannotBeThoughtUpSaysWhy() async throws {
        try await TestProject.run { project in
            let owner = project.login("postgres")
            try await owner.exec(PlantedLeak.base)
            try await owner.exec(
                """
                create table public.sealed (id uuid primary key, user_id uuid not null, n int not null check (n > 1 and n < 2));
                create function public.refuse() returns trigger language plpgsql set search_path = '' as
                    $$ begin raise exception 'closed for the season'; end $$;
                create table public.closed (id uuid primary key, user_id uuid not null);
                create trigger refuse before insert on public.closed for each row execute function public.refuse();
                """)
            let untried = try await Self.crossings(project).compactMap { crossing -> String? in
                guard case .untried(let reason) = crossing.outcome else { return nil }
                return "\(crossing.object): \(reason)"
            }
            #expect(untried.count == 2)
            #expect(untried.contains { $0.hasPrefix("public.sealed: ") && $0.contains("sealed_n_check") })
            #expect(untried.contains("public.closed: a trigger of the project refused the row: closed for the season"))
        }
    }

    @Test(arguments: [
        ("^tenant_[0-9a-f]{32}$", 39), ("^[A-Z]{3}\\d{2,4}$", 7), ("^(red|green)-[[:digit:]]+$", 10),
        ("^\\+\\d{5}$", 6),
        ("^[^@ ]+@[^@ ]+\\.[a-z]{2}$", 16), ("^a?b*c$", 8), ("^$", 0),
    ])
    func aPatternGivesAText(_ pattern: String, _ length: Int) throws {
        let text = try #require(PatternSample.regularExpression(pattern, seed: 7))
        #expect(text.count == length, "\(text)")
        #expect(try Regex(pattern.replacing("[[:digit:]]", with: "[0-9]")).wholeMatch(in: text) != nil, "\(text)")
    }

    @Test(arguments: ["plain", "(?=x)y", "a{1000}", "[", "(a", "\\1", "a**"])
    func whatIsNoPatternGivesNone(_ pattern: String) {
        #expect(PatternSample.regularExpression(pattern, seed: 1) == nil)
    }
}
