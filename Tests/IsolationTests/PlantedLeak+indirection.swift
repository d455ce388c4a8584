// SPDX-License-Identifier: Apache-2.0

extension PlantedLeak {
    /// Tables of persons, policies and all: `\(name)` with the text `title`.
    static func table(_ name: String, _ columns: String = "", isForced: Bool = true) -> String {
        """
        create table public.\(name) (
            id uuid primary key default gen_random_uuid(),
            user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
            title text not null\(columns)
        );
        create index \(name)_user_id_idx on public.\(name) (user_id);
        alter table public.\(name) enable row level security;
        \(isForced ? "alter table public.\(name) force row level security;" : "")
        create policy own on public.\(name) for all to authenticated
            using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

        """
    }

    /// Groups of people and their documents, without a fault: only the back end says who belongs to which.
    static let groups = """
        create table public.circles (id uuid primary key default gen_random_uuid(), name text not null);
        create table public.circle_members (
            circle_id uuid not null references public.circles (id), user_id uuid not null references auth.users (id),
            primary key (circle_id, user_id)
        );
        create index on public.circle_members (user_id);
        create table public.pages (
            id uuid primary key default gen_random_uuid(), circle_id uuid not null references public.circles (id), body text
        );
        create index on public.pages (circle_id);
        alter table public.circles enable row level security;
        alter table public.circle_members enable row level security;
        alter table public.pages enable row level security;
        alter table public.circles force row level security;
        alter table public.circle_members force row level security;
        alter table public.pages force row level security;
        create policy own on public.circles for select to authenticated
            using (id in (select circle_id from public.circle_members where user_id = (select auth.uid())));
        create policy own on public.circle_members for select to authenticated using (user_id = (select auth.uid()));
        create policy own on public.pages for all to authenticated
            using (circle_id in (select circle_id from public.circle_members where user_id = (select auth.uid())));

        """

    static let inheritance = """
        create table public.things (id uuid primary key default gen_random_uuid(), title text);
        alter table public.things enable row level security;
        create policy open on public.things for select to authenticated using (true);
        create table public.own_things (
            user_id uuid not null default auth.uid() references auth.users (id), primary key (id)
        ) inherits (public.things);
        create index on public.own_things (user_id);
        alter table public.own_things enable row level security;
        alter table public.own_things force row level security;
        create policy own on public.own_things for all to authenticated using (user_id = (select auth.uid()));
        """

    static let indirection: [PlantedLeak] = [
        PlantedLeak(
            name: "rows that a parent shows", sql: inheritance, finding: "inherited_rows_shown", object: "things"),
        PlantedLeak(
            name: "a rule that writes for the owner",
            sql: table("ledger", isForced: false) + """
                create view public.entries with (security_invoker = true) as select id, title from public.ledger;
                create rule renamed as on insert to public.entries
                    do instead update public.ledger set title = new.title where id = new.id;
                """, finding: "rule_passes_policies", object: "entries"),
        PlantedLeak(
            name: "a trigger that writes for the owner",
            sql: table("ledger", isForced: false) + """
                create view public.entries with (security_invoker = true) as select id, title from public.ledger;
                create function public.rename() returns trigger language plpgsql security definer set search_path = '' as
                    $$ begin update public.ledger set title = new.title where id = new.id; return new; end $$;
                create trigger rename instead of insert on public.entries for each row execute function public.rename();
                """, finding: "definer_trigger_changes_all_tenants", object: "entries"),
        PlantedLeak(
            name: "a column that is compared with itself",
            sql: """
                create table public.crew (
                    tenant_id uuid not null references tenancy.tenants (id), user_id uuid not null references auth.users (id),
                    primary key (tenant_id, user_id)
                );
                alter table public.crew enable row level security;
                create policy own on public.crew for select to authenticated using (user_id = (select auth.uid()));
                create policy crew on public.projects for select to authenticated using (exists (
                    select from public.crew as c where c.tenant_id = tenant_id and c.user_id = (select auth.uid())
                ));
                """, finding: "policy_compares_column_with_itself", object: "projects"),
        PlantedLeak(
            name: "a view of a view with its owner's rights elsewhere",
            sql: table("letters", isForced: false) + """
                create schema inside; create view inside.letters as select user_id, title from public.letters;
                grant select on inside.letters to authenticated;
                create view public.mail with (security_invoker = true) as select * from inside.letters;
                """, finding: "view_reads_past_policies", object: "mail"),
        PlantedLeak(
            name: "a view of a materialized view elsewhere",
            sql: table("letters", isForced: false) + """
                create schema inside; create materialized view inside.letters as select user_id, title from public.letters;
                grant select on inside.letters to authenticated;
                create view public.mail with (security_invoker = true) as select * from inside.letters;
                """, finding: "view_reads_past_policies", object: "mail"),
        PlantedLeak(
            name: "a unique key of an expression",
            sql: table("people", ", email text") + "create unique index email_once on public.people (lower(email));",
            finding: "unique_key_spans_tenants", object: "people"),
        PlantedLeak(
            name: "a name as the primary key",
            sql: """
                create table public.pages (slug text primary key, user_id uuid not null default auth.uid());
                alter table public.pages enable row level security;
                create policy own on public.pages to authenticated using (user_id = (select auth.uid()));
                """, finding: "unique_key_spans_tenants", object: "pages"),
        PlantedLeak(
            name: "a time that nobody else may have",
            sql: table("bookings", ", at int4range not null, exclude using gist (at with &&)"),
            finding: "unique_key_spans_tenants", object: "bookings"),
        PlantedLeak(
            name: "names in camel case",
            sql: """
                create table public.cards (id uuid primary key default gen_random_uuid(), "userId" uuid not null);
                alter table public.cards enable row level security;
                create policy open on public.cards for select to authenticated using (true);
                """, finding: "policy_ignores_tenant", object: "cards"),
        PlantedLeak(
            name: "documents of every group",
            sql: groups + "create policy open on public.pages for select to authenticated using (true);",
            finding: "policy_ignores_tenant", object: "pages"),
        PlantedLeak(
            name: "members who add themselves",
            sql: groups + """
                create policy joins on public.circle_members for insert to authenticated
                    with check (user_id = (select auth.uid()));
                """, finding: "tenant_column_not_pinned", object: "circle_members"),
        PlantedLeak(
            name: "signed in is enough for a function",
            sql: """
                create function public.note(p_id uuid) returns setof public.notes language plpgsql security definer set search_path = ''
                as $$ begin
                    if (select auth.uid()) is null then raise exception 'sign in'; end if;
                    return query select * from public.notes where id = p_id;
                end $$;
                """, finding: "definer_function_reads_all_tenants", object: "note"),
        PlantedLeak(
            name: "a comment that asks who is calling",
            sql: """
                create function public.latest() returns setof public.notes language sql security definer set search_path = ''
                as $$
                    -- where user_id = auth.uid()
                    select * from public.notes /* of tenancy.current_tenant() */
                $$;
                """, finding: "definer_function_reads_all_tenants", object: "latest"),
        PlantedLeak(
            name: "text that reaches a statement by a variable",
            sql: """
                create function public.search(p_filter text) returns void language plpgsql set search_path = '' as $$
                declare statement text := 'select from public.notes where ' || p_filter;
                begin execute statement; end $$;
                """, finding: "dynamic_sql_reachable", object: "search"),
        PlantedLeak(
            name: "text that format puts in as it is",
            sql: """
                create function public.search(p_table text) returns void language plpgsql set search_path = '' as
                    $$ begin execute format('select from %s', p_table); end $$;
                """, finding: "dynamic_sql_reachable", object: "search"),
        PlantedLeak(
            name: "text that a function of XML runs",
            sql: """
                create function public.report(text) returns xml language sql set search_path = '' as
                    $$ select query_to_xml($1, true, false, '') $$;
                """, finding: "dynamic_sql_reachable", object: "report"),
        PlantedLeak(
            name: "a history that everybody reads",
            sql: """
                create table public.history (id uuid primary key default gen_random_uuid(), row_data jsonb);
                alter table public.history enable row level security;
                create policy open on public.history for select to authenticated using (true);
                create function public.remember() returns trigger language plpgsql security definer set search_path = '' as
                    $$ begin insert into public.history (row_data) values (to_jsonb(new)); return null; end $$;
                create trigger remember after insert on public.notes for each row execute function public.remember();
                """, finding: "trigger_copies_to_open_table", object: "notes"),
        PlantedLeak(
            name: "a schema that callers make objects in",
            sql: "create schema open_house; grant all on schema open_house to public",
            finding: "api_role_may_create", object: "open_house"),
        PlantedLeak(
            name: "changes that are published without policies",
            sql: """
                create schema inside; grant usage on schema inside to authenticated;
                create table inside.jobs (id uuid primary key, user_id uuid); grant select on inside.jobs to authenticated;
                alter publication supabase_realtime add table inside.jobs;
                """, finding: "published_without_policies", object: "jobs", needsSuperuser: true),
    ]

    /// What is close to a leak and is none: nothing may be said of it.
    static let sound: [(name: String, sql: String)] = [
        ("groups", groups),
        (
            "a rule in one's own name",
            table("ledger") + table("copies", isForced: false) + """
                alter table public.copies force row level security;
                create rule copied as on insert to public.ledger
                    do also insert into public.copies (user_id, title) values (auth.uid(), new.title);
                create rule kept as on delete to public.ledger where old.title = 'keep' do instead nothing;
                """
        ),
        (
            "a trigger in one's own name",
            table("ledger") + table("copies") + """
                create function public.copy() returns trigger language plpgsql set search_path = '' as
                    $$ begin insert into public.copies (user_id, title) values (auth.uid(), new.title); return new; end $$;
                create trigger copy after insert on public.ledger for each row execute function public.copy();
                """
        ),
        (
            "a parent with the child's policies",
            table("things") + """
                create table public.more_things (primary key (id), foreign key (user_id) references auth.users (id))
                    inherits (public.things);
                create index on public.more_things (user_id);
                alter table public.more_things enable row level security;
                alter table public.more_things force row level security;
                create policy own on public.more_things for all to authenticated using (user_id = (select auth.uid()));
                """
        ),
        (
            "a view of a view with its caller's rights",
            table("letters") + """
                create schema inside; create view inside.letters with (security_invoker = true) as select * from public.letters;
                grant usage on schema inside to authenticated; grant select on inside.letters to authenticated;
                create view public.mail with (security_invoker = true) as select * from inside.letters;
                """
        ),
        (
            "a shop's goods and what people like of them",
            """
            create table public.goods (id uuid primary key default gen_random_uuid(), name text);
            alter table public.goods enable row level security;
            create policy open on public.goods for select using (true);
            create table public.likes (
                user_id uuid not null default auth.uid() references auth.users (id),
                goods_id uuid not null references public.goods (id), primary key (user_id, goods_id)
            );
            create index on public.likes (goods_id);
            alter table public.likes enable row level security;
            alter table public.likes force row level security;
            create policy own on public.likes for all to authenticated using (user_id = (select auth.uid()));
            """
        ),
        (
            "a name that is quoted",
            """
            create function public.count_of(p_table text) returns void language plpgsql set search_path = '' as
                $$ begin execute format('select count(*) from %I where id = %L', p_table, p_table); end $$;
            """
        ),
        (
            "a unique expression of a person's",
            table("people", ", email text") + "create unique index once on public.people (user_id, lower(email));"
        ),
        (
            "a partitioned table with its day in the key",
            """
            create table public.events (
                id uuid not null default gen_random_uuid(), user_id uuid not null default auth.uid() references auth.users (id),
                at date not null, primary key (id, at)
            ) partition by range (at);
            create table public.events_2026 partition of public.events for values from ('2026-01-01') to ('2027-01-01');
            create index on public.events (user_id);
            alter table public.events enable row level security;
            alter table public.events force row level security;
            alter table public.events_2026 enable row level security;
            alter table public.events_2026 force row level security;
            create policy own on public.events for all to authenticated using (user_id = (select auth.uid()));
            """
        ),
        (
            "policies that only restrict",
            """
            create table public.vault (id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users (id));
            create index on public.vault (user_id);
            alter table public.vault enable row level security;
            alter table public.vault force row level security;
            create policy own on public.vault as restrictive for all to authenticated using (user_id = (select auth.uid()));
            """
        ),
        (
            "a column that is worked out",
            table("people", ", upper_title text generated always as (upper(title)) stored")
        ),
    ]
}
