// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Isolation
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

@Suite struct SQLProbeTests {
    struct Leak: Sendable, CustomTestStringConvertible {
        let name: String
        let sql: String
        let object: String
        let action: Crossing.Action
        var caller = Crossing.Caller.member
        /// As the superuser: what a project's owner cannot break.
        var needsSuperuser = false
        var testDescription: String { name }
    }

    static let leaks: [Leak] =
        effects + folders + [
            Leak(
                name: "row level security is off", sql: "alter table public.notes disable row level security",
                object: "public.notes", action: .read, caller: .visitor),
            Leak(
                name: "everybody reads everything",
                sql: "create policy open on public.notes for select to authenticated using (true)",
                object: "public.notes", action: .read),
            Leak(
                name: "everybody deletes everything",
                sql: """
                    create policy open on public.notes for delete to authenticated using (true);
                    create policy seen on public.notes for select to authenticated using (true)
                    """, object: "public.notes", action: .delete),
            Leak(
                name: "rows in another's name",
                sql: "create policy open on public.notes for insert to authenticated with check (true)",
                object: "public.notes", action: .insert),
            Leak(
                name: "an update that gives rows away", sql: "alter policy own_notes on public.notes with check (true)",
                object: "public.notes", action: .move),
            Leak(
                name: "rows moved to another tenant",
                sql: "alter policy own_projects on public.projects with check ((select auth.uid()) is not null)",
                object: "public.projects", action: .move),
            Leak(
                name: "a foreign key into another tenant",
                sql: "alter table public.tasks add column parent_project uuid references public.projects (id)",
                object: "public.tasks (tasks_parent_project_fkey)", action: .reference),
            Leak(
                name: "a view with its owner's rights",
                sql: "create view public.everything as select * from public.notes",
                object: "public.everything", action: .read),
            Leak(
                name: "a materialized view",
                sql:
                    "create materialized view public.totals as select user_id, count(*) as n from public.notes group by user_id",
                object: "public.totals", action: .read),
            Leak(
                name: "whose data is an argument",
                sql:
                    "create function public.notes_of(p_user_id uuid) returns setof public.notes language sql security definer set search_path = '' as $$ select * from public.notes where user_id = p_user_id $$; alter table public.notes no force row level security",
                object: "public.notes_of(p_user_id uuid)", action: .call),
            Leak(
                name: "whose data is changed is an argument",
                sql:
                    "create function public.rename(p_user uuid) returns void language sql security definer set search_path = '' as $$ update public.notes set title = 'x' where user_id = p_user $$; alter table public.notes no force row level security",
                object: "public.rename(p_user uuid)", action: .call),
            Leak(
                name: "files of everybody",
                sql: "create policy open on storage.objects for select to authenticated using (bucket_id = 'files')",
                object: "bucket files, user folder", action: .read),
            Leak(
                name: "files in another's folder",
                sql:
                    "create policy open on storage.objects for insert to authenticated with check (bucket_id = 'files')",
                object: "bucket files, user folder", action: .insert),
            Leak(
                name: "an insert that takes the place of another's row",
                sql: """
                    drop policy own_notes on public.notes;
                    create policy seen on public.notes for select to authenticated using (true);
                    create policy written on public.notes for insert to authenticated with check (true);
                    create policy changed on public.notes for update to authenticated using (true)
                        with check (user_id = (select auth.uid()));
                    """, object: "public.notes", action: .upsert),
            Leak(
                name: "one's own row turned to another's",
                sql: """
                    alter table public.tasks add column parent_project uuid references public.projects (id);
                    revoke insert on public.tasks from authenticated;
                    """,
                object: "public.tasks (tasks_parent_project_fkey)", action: .reference),
            Leak(
                name: "a column that is made of others' rows",
                sql: """
                    create function public.neighbours(public.notes) returns text language sql stable security definer
                        set search_path = '' as $$ select string_agg(title, ', ') from public.notes $$;
                    alter table public.notes no force row level security;
                    """,
                object: "public.neighbours(public.notes)", action: .call),
            Leak(
                name: "an error that names another's row",
                sql: """
                    create function public.refuse_twins() returns trigger language plpgsql security definer set search_path = '' as $$
                    begin
                        raise exception 'taken by %', (select string_agg(user_id::text, ' ') from public.notes);
                    end $$;
                    create trigger twins before delete on public.notes for each statement execute function public.refuse_twins();
                    alter table public.notes no force row level security;
                    """,
                object: "public.notes", action: .delete),
            Leak(
                name: "topics of everybody",
                sql: """
                    create table realtime.messages (id uuid primary key default gen_random_uuid(), topic text not null, extension text not null);
                    alter table realtime.messages enable row level security;
                    grant usage on schema realtime to authenticated;
                    grant select, insert on realtime.messages to authenticated;
                    create policy everybody on realtime.messages for select to authenticated using (true);
                    """,
                object: "topic tenant:<tenant>, broadcast", action: .read, needsSuperuser: true),
            Leak(
                name: "topics that anybody sends to",
                sql: """
                    create table realtime.messages (id uuid primary key default gen_random_uuid(), topic text not null, extension text not null);
                    alter table realtime.messages enable row level security;
                    grant usage on schema realtime to authenticated;
                    grant select, insert on realtime.messages to authenticated;
                    create policy own on realtime.messages for select to authenticated
                        using ((select realtime.topic()) = 'room-' || (select auth.uid())::text);
                    create policy sent on realtime.messages for insert to authenticated
                        with check ((select realtime.topic()) like 'room-%');
                    """,
                object: "topic room-<user>, presence", action: .insert, needsSuperuser: true),
            Leak(
                name: "a table with checks, an enum, a domain and a unique key",
                sql: """
                    create type public.state as enum ('open', 'done');
                    create domain public.percent as int check (value between 0 and 100);
                    create table public.orders (
                        id bigint generated always as identity primary key,
                        user_id uuid not null references auth.users (id),
                        state public.state not null, share public.percent not null,
                        kind text not null check (kind in ('small', 'large')), email text not null unique check (email like '%@%'),
                        amount numeric(8, 2) not null check (amount >= 5), at date not null, tags text[] not null
                    );
                    alter table public.orders enable row level security;
                    create policy open on public.orders for select using (true);
                    """, object: "public.orders", action: .read, caller: .visitor),
        ]

    static let effects: [Leak] = [
        Leak(
            name: "a parent that shows rows of its child", sql: PlantedLeak.inheritance, object: "public.things",
            action: .read),
        Leak(
            name: "a rule that writes for the owner",
            sql: PlantedLeak.table("ledger", isForced: false) + """
                create view public.entries with (security_invoker = true) as select id, title from public.ledger;
                create rule renamed as on insert to public.entries
                    do instead update public.ledger set title = 'x' where id = new.id;
                """, object: "public.entries", action: .insert),
        Leak(
            name: "a trigger on a view that writes for the owner",
            sql: PlantedLeak.table("ledger", isForced: false) + """
                create view public.entries with (security_invoker = true) as select id, title from public.ledger;
                create function public.rename() returns trigger language plpgsql security definer set search_path = '' as
                    $$ begin update public.ledger set title = 'x' where id = new.id; return new; end $$;
                create trigger rename instead of insert on public.entries for each row execute function public.rename();
                """, object: "public.entries", action: .insert),
        Leak(
            name: "a rule that deletes others' rows besides",
            sql: PlantedLeak.table("ledger", isForced: false) + """
                create rule emptied as on update to public.notes do also delete from public.ledger;
                """, object: "public.notes (triggers and rules)", action: .call),
        Leak(
            name: "a trigger that changes others' rows besides",
            sql: PlantedLeak.table("ledger", isForced: false) + """
                create function public.rename() returns trigger language plpgsql security definer set search_path = '' as
                    $$ begin update public.ledger set title = new.title; return new; end $$;
                create trigger rename after insert on public.notes for each row execute function public.rename();
                """, object: "public.notes (triggers and rules)", action: .call),
        Leak(
            name: "a function that asks only whether somebody is calling",
            sql: PlantedLeak.table("ledger", isForced: false) + """
                create function public.entry(p_id uuid) returns setof public.ledger language plpgsql security definer set search_path = ''
                as $$ begin
                    if auth.uid() is null then raise exception 'sign in'; end if;
                    return query select * from public.ledger where id = p_id;
                end $$;
                """, object: "public.entry(p_id uuid)", action: .call),
        Leak(
            name: "documents of every group",
            sql: PlantedLeak.groups + "create policy open on public.pages for select to authenticated using (true);",
            object: "public.pages", action: .read),
        Leak(
            name: "members who add themselves",
            sql: PlantedLeak.groups + """
                create policy joins on public.circle_members for insert to authenticated
                    with check (user_id = (select auth.uid()));
                """, object: "public.circle_members (circle_members_circle_id_fkey)", action: .reference),
    ]

    /// Beside what ``effects`` does to tables.
    static let folders: [Leak] = [
        Leak(
            name: "one's own id anywhere in a file's name",
            sql: """
                create policy named on storage.objects for all to authenticated
                    using (bucket_id = 'files' and name like '%' || (select auth.uid())::text || '%');
                """, object: "bucket files, user folder", action: .insert)
    ]

    private static func probe(_ project: TestProject) async throws -> [Crossing] {
        let address = project.server.address
        return try await Loop.withLoop { loop in
            let database = try Database(
                DatabaseConfiguration(address: address), loops: [loop], log: Log(level: .error))
            let catalog = try await CatalogReader(database).read()
            let crossings = try await SQLProbe(database, catalog: catalog, settings: LintSettings()).run().crossings
            await database.shutdown()
            return crossings
        }
    }

    @Test func aSoundSchemaHoldsAndNothingStays() async throws {
        try await TestProject.run { project in
            try await project.login("postgres").exec(PlantedLeak.base)
            let crossings = try await Self.probe(project)
            let leaks = crossings.filter { $0.outcome == .leaked }.map { "\($0.object) \($0.action) \($0.caller)" }
            #expect(leaks == [])
            let untried = crossings.filter { if case .untried = $0.outcome { true } else { false } }
            #expect(untried.map { "\($0.object) \($0.action) \($0.outcome)" } == [])
            for table in ["public.notes", "public.projects", "public.tasks", "tenancy.secrets", "tenancy.tenants"] {
                for action in [Crossing.Action.read, .insert] {
                    let held = crossings.contains {
                        $0.object == table && $0.action == action && $0.caller == .member && $0.outcome == .held
                    }
                    #expect(held, "\(table) \(action)")
                }
            }
            #expect(crossings.contains { $0.object == "bucket files, user folder" && $0.outcome == .held })
            let left = try await project.server.exec(
                "select (select count(*) from auth.users) + (select count(*) from public.notes) + (select count(*) from storage.objects)"
            )
            #expect(left == "0")
        }
    }

    @Test(arguments: PlantedLeak.sound.map(\.name)) func whatIsCloseToALeakHolds(_ name: String) async throws {
        let sql = try #require(PlantedLeak.sound.first { $0.name == name }?.sql)
        try await TestProject.run { project in
            try await project.login("postgres").exec(PlantedLeak.base)
            try await project.login("postgres").exec(sql)
            let crossings = try await Self.probe(project)
            let leaks = crossings.filter { $0.outcome == .leaked }.map { "\($0.object) \($0.action) \($0.caller)" }
            #expect(leaks == [])
            let untried = crossings.filter {
                if case .untried = $0.outcome { $0.action != .upsert && $0.action != .call } else { false }
            }
            #expect(untried.map { "\($0.object) \($0.action) \($0.outcome)" } == [])
        }
    }

    @Test(arguments: leaks) func findsTheLeak(_ leak: Leak) async throws {
        try await TestProject.run { project in
            try await project.login("postgres").exec(PlantedLeak.base)
            try await (leak.needsSuperuser ? project.server : project.login("postgres")).exec(leak.sql)
            let crossings = try await Self.probe(project)
            let found = crossings.contains {
                $0.object == leak.object && $0.action == leak.action && $0.caller == leak.caller
                    && $0.outcome == .leaked
            }
            let seen = crossings.filter { $0.outcome != .held }.map {
                "\($0.object) \($0.action) \($0.caller) \($0.outcome)"
            }
            #expect(found, "found instead: \(seen)")
        }
    }
}
