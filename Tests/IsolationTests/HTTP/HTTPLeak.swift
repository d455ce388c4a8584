// SPDX-License-Identifier: Apache-2.0
import Isolation

/// A leak planted beside others in one running project, and the attempts over HTTP that must get through.
struct HTTPLeak: Sendable {
    struct Expected: Sendable, CustomStringConvertible {
        let channel: String
        let object: String
        let action: Crossing.Action
        var caller = Crossing.Caller.member
        var description: String { "\(channel) \(object) \(action) \(caller)" }
    }

    let name: String
    let sql: String
    let crossings: [Expected]
    /// Other objects that leak by it.
    var also: [String] = []

    var blamed: [String] { crossings.map(\.object) + also }

    /// A table of a person's rows with policies of its own, beside a sound one for select.
    private static func table(_ name: String, _ policies: String, columns: String = "") -> String {
        """
        create table public.\(name) (
            id uuid primary key default gen_random_uuid(),
            user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
            title text not null\(columns)
        );
        alter table public.\(name) enable row level security;
        \(policies.split(separator: ";").enumerated().map { "create policy p_\($0) on public.\(name) \($1);" }.joined(separator: "\n"))
        """
    }

    private static let own = "user_id = (select auth.uid())"

    static let all: [HTTPLeak] = [
        HTTPLeak(
            name: "everybody reads", sql: table("open_reads", "for select to authenticated using (true)"),
            crossings: [Expected(channel: "rest", object: "public.open_reads", action: .read)]),
        HTTPLeak(
            name: "visitors read", sql: table("shop_window", "for select to anon using (true)"),
            crossings: [Expected(channel: "rest", object: "public.shop_window", action: .read, caller: .visitor)]),
        HTTPLeak(
            name: "row level security is off",
            sql: table("forgotten", "for select using (false)")
                + "alter table public.forgotten disable row level security;",
            crossings: [
                Expected(channel: "rest", object: "public.forgotten", action: .read),
                Expected(channel: "rest", object: "public.forgotten", action: .count, caller: .visitor),
                Expected(channel: "rest", object: "public.forgotten", action: .insert, caller: .visitor),
                Expected(channel: "rest", object: "public.forgotten", action: .update),
                Expected(channel: "rest", object: "public.forgotten", action: .delete, caller: .visitor),
            ]),
        HTTPLeak(
            name: "rows in another's name",
            sql: table("forged_rows", "for select using (\(own)); for insert to authenticated with check (true)"),
            crossings: [Expected(channel: "rest", object: "public.forged_rows", action: .insert)]),
        HTTPLeak(
            name: "an update that gives rows away",
            sql: table(
                "moved_rows", "for select using (true); for update to authenticated using (\(own)) with check (true)"),
            crossings: [Expected(channel: "rest", object: "public.moved_rows", action: .move)]),
        HTTPLeak(
            name: "everybody updates",
            sql: table("open_updates", "for select using (true); for update to authenticated using (true)"),
            crossings: [Expected(channel: "rest", object: "public.open_updates", action: .update)]),
        HTTPLeak(
            name: "everybody deletes",
            sql: table("open_deletes", "for select using (true); for delete to authenticated using (true)"),
            crossings: [Expected(channel: "rest", object: "public.open_deletes", action: .delete)]),
        HTTPLeak(
            name: "an upsert takes another's key",
            sql: table(
                "taken_keys",
                "for select using (true); for insert to authenticated with check (\(own)); for update to authenticated using (true) with check (\(own))"
            ), crossings: [Expected(channel: "rest", object: "public.taken_keys", action: .upsert)]),
        HTTPLeak(
            name: "metadata that users write",
            sql: table(
                "bosses",
                "for select to authenticated using (user_id::text = (select auth.jwt() -> 'user_metadata' ->> 'boss'))"
            ), crossings: [Expected(channel: "rest", object: "public.bosses", action: .forge)]),
        HTTPLeak(
            name: "a field of the request that is believed",
            sql: table(
                "fielded",
                "for select to authenticated using (user_id::text = (select current_setting('request.headers', true)::json ->> 'x-acting-for'))"
            ), crossings: [Expected(channel: "rest", object: "public.fielded", action: .forge)]),
        HTTPLeak(
            name: "a view with its owner's rights", sql: "create view public.everything as select * from public.notes;",
            crossings: [
                Expected(channel: "rest", object: "public.everything", action: .read),
                Expected(channel: "rest", object: "public.everything", action: .read, caller: .visitor),
            ]),
        HTTPLeak(
            name: "a materialized view of accounts' rows",
            sql: """
                create materialized view public.totals as select id as user_id, (select count(*) from public.notes) as n
                    from auth.users with no data;
                """, crossings: []),
        HTTPLeak(
            name: "whose data is an argument",
            sql: """
                create function public.notes_of(p_user_id uuid) returns setof public.notes language sql stable
                    security definer set search_path = '' as $$ select * from public.notes where user_id = p_user_id $$;
                """,
            crossings: [
                Expected(channel: "rpc", object: "public.notes_of(p_user_id uuid)", action: .call),
                Expected(channel: "rpc", object: "public.notes_of(p_user_id uuid)", action: .call, caller: .visitor),
            ]),
        HTTPLeak(
            name: "a foreign key into another tenant",
            sql: "alter table public.tasks add column parent_project uuid references public.projects (id);",
            crossings: [
                Expected(channel: "rest", object: "public.tasks (tasks_parent_project_fkey)", action: .reference)
            ]),
        HTTPLeak(
            name: "a row that is turned to another tenant's",
            sql: """
                alter table public.tasks add column sister_project uuid references public.projects (id);
                """,
            crossings: [
                Expected(channel: "rest", object: "public.tasks (tasks_sister_project_fkey)", action: .reference)
            ]),
        HTTPLeak(
            name: "a column that is made of others' rows",
            sql: """
                create function public.note_neighbours(public.notes) returns text language sql stable security definer
                    set search_path = '' as $$ select string_agg(user_id::text, ', ') from public.notes $$;
                """,
            crossings: [Expected(channel: "rest", object: "public.note_neighbours(public.notes)", action: .call)]),
        HTTPLeak(
            name: "rows that lead to others' rows",
            sql: """
                create function public.related(public.notes) returns setof public.notes language sql stable security definer
                    set search_path = '' as $$ select * from public.notes $$;
                """,
            crossings: [Expected(channel: "rest", object: "public.related(public.notes)", action: .call)]),
        HTTPLeak(
            name: "an error that tells who has a value",
            sql: table(
                "handles", "for select using (\(own)); for insert to authenticated with check (\(own))",
                columns: " unique")
                    + """
                    create function public.tell_owner() returns trigger language plpgsql security definer set search_path = '' as $$
                    declare holder uuid;
                    begin
                        select user_id into holder from public.handles where title = new.title and user_id <> new.user_id;
                        if found then raise exception 'this is taken by %', holder using errcode = '23505'; end if;
                        return new;
                    end $$;
                    create trigger tell_owner before insert on public.handles for each row execute function public.tell_owner();
                    """,
            crossings: [Expected(channel: "rest", object: "public.handles (handles_title_key)", action: .count)]),
        HTTPLeak(
            name: "a unique key over all tenants",
            sql: "alter table public.projects add column slug text, add constraint projects_slug_key unique (slug);",
            crossings: [Expected(channel: "rest", object: "public.projects (projects_slug_key)", action: .count)]),
        HTTPLeak(
            name: "comments that open their notes' table",
            sql: """
                create table public.remarks (
                    id uuid primary key default gen_random_uuid(), note_id uuid not null references public.notes (id) on delete cascade,
                    body text
                );
                alter table public.remarks enable row level security;
                create policy open on public.remarks for select to authenticated using (true);
                """,
            crossings: [
                Expected(channel: "rest", object: "public.remarks", action: .read),
                Expected(channel: "rest", object: "public.remarks (remarks_note_id_fkey)", action: .embed),
            ]),
        HTTPLeak(
            name: "files of everybody",
            sql: """
                insert into storage.buckets (id, name, public) values ('open', 'open', false);
                create policy open on storage.objects for select to authenticated using (bucket_id = 'open');
                """,
            crossings: [
                Expected(channel: "storage", object: "bucket open, user folder", action: .read),
                Expected(channel: "storage", object: "bucket open, user folder", action: .list),
                Expected(channel: "storage", object: "bucket open, tenant folder", action: .sign),
                Expected(channel: "s3", object: "bucket open, user folder", action: .read),
                Expected(channel: "s3", object: "bucket open, user folder", action: .list),
            ], also: ["bucket open, tenant folder"]),
        HTTPLeak(
            name: "a folder's name that is trusted",
            sql: """
                insert into storage.buckets (id, name, public) values ('trusted', 'trusted', false);
                create policy trusted on storage.objects for insert to authenticated
                    with check (bucket_id = 'trusted' and (storage.foldername(name))[1] <> 'private');
                create policy trusted_read on storage.objects for select to authenticated
                    using (bucket_id = 'trusted' and owner_id = (select auth.uid())::text);
                """,
            crossings: [
                Expected(channel: "storage", object: "bucket trusted, user folder", action: .insert),
                Expected(channel: "storage", object: "bucket trusted, user folder", action: .sign),
                Expected(channel: "tus", object: "bucket trusted, tenant folder", action: .insert),
                Expected(channel: "s3", object: "bucket trusted, user folder", action: .insert),
            ], also: ["bucket trusted, tenant folder"]),
        HTTPLeak(
            name: "files that are overwritten, moved and deleted",
            sql: """
                insert into storage.buckets (id, name, public) values ('shared', 'shared', false);
                create policy shared on storage.objects to authenticated using (bucket_id = 'shared');
                """,
            crossings: [
                Expected(channel: "storage", object: "bucket shared, user folder", action: .upsert),
                Expected(channel: "storage", object: "bucket shared, user folder", action: .update),
                Expected(channel: "storage", object: "bucket shared, user folder", action: .move),
                Expected(channel: "storage", object: "bucket shared, user folder", action: .copy),
                Expected(channel: "storage", object: "bucket shared, tenant folder", action: .delete),
                Expected(channel: "s3", object: "bucket shared, user folder", action: .delete),
                Expected(channel: "tus", object: "bucket shared, user folder", action: .upsert),
            ], also: ["bucket shared, tenant folder"]),
        HTTPLeak(
            name: "an update that moves a file to another's folder",
            sql: """
                insert into storage.buckets (id, name, public) values ('moving', 'moving', false);
                create policy moving_own on storage.objects for insert to authenticated
                    with check (bucket_id = 'moving' and (storage.foldername(name))[1] = (select auth.uid())::text);
                create policy moving_read on storage.objects for select to authenticated
                    using (bucket_id = 'moving' and owner_id = (select auth.uid())::text);
                create policy moving_update on storage.objects for update to authenticated
                    using (bucket_id = 'moving' and owner_id = (select auth.uid())::text) with check (bucket_id = 'moving');
                """,
            crossings: [Expected(channel: "storage", object: "bucket moving, user folder", action: .move)],
            also: ["bucket moving, tenant folder"]),
        HTTPLeak(
            name: "a public bucket that can be listed",
            sql: """
                insert into storage.buckets (id, name, public) values ('gallery', 'gallery', true);
                create policy gallery on storage.objects for select using (bucket_id = 'gallery');
                """,
            crossings: [
                Expected(channel: "storage", object: "bucket gallery, user folder", action: .list),
                Expected(channel: "storage", object: "bucket gallery, tenant folder", action: .list, caller: .visitor),
            ]),
        HTTPLeak(
            name: "buckets that anybody opens",
            sql: """
                create policy buckets_read on storage.buckets for select to authenticated using (true);
                create policy buckets_change on storage.buckets for update to authenticated using (true);
                """, crossings: [Expected(channel: "storage", object: "buckets", action: .update)]),
    ]

    /// What only the platform's own mistakes could open, broken by the administrator.
    static let platform: [HTTPLeak] = [
        HTTPLeak(
            name: "points of all tenants",
            sql: "alter policy points_tenant on vectors.points using (true) with check (true)",
            crossings: [
                Expected(channel: "vectors", object: "the project's collection", action: .read),
                Expected(channel: "vectors", object: "the project's collection", action: .count),
                Expected(channel: "vectors", object: "the project's collection", action: .delete),
            ]),
        HTTPLeak(
            name: "collections of all tenants",
            sql: "alter policy collections_read on vectors.collections using (true)",
            crossings: [Expected(channel: "vectors", object: "collections", action: .list)]),
        HTTPLeak(
            name: "keys of all tenants", sql: "alter policy secrets_read on tenancy.secrets using (true)",
            crossings: [Expected(channel: "tenancy", object: "secrets", action: .list)]),
        HTTPLeak(
            name: "profiles of everybody are changed",
            sql: "alter policy profiles_update on tenancy.profiles using (true) with check (true)", crossings: []),
    ]

    /// Some of what is tried on a sound project: a surface each.
    static let heldOnASoundProject: [(String, String, Crossing.Action)] = [
        ("rest", "public.notes", .read), ("rest", "public.notes", .count), ("rest", "public.notes", .insert),
        ("rest", "public.notes", .update), ("rest", "public.notes", .upsert), ("rest", "public.notes", .delete),
        ("rest", "public.notes", .move), ("rest", "public.tasks (tasks_tenant_id_project_id_fkey)", .embed),
        ("rest", "schema auth", .read), ("rest", "schema tenancy", .insert), ("rest", "description of public", .list),
        ("rest", "kept connections", .share), ("rest", "shared caches", .share), ("token", "no signature", .forge),
        ("storage", "bucket files, user folder", .read), ("storage", "bucket files, tenant folder", .list),
        ("storage", "bucket files, user folder", .sign), ("storage", "bucket files, user folder", .forge),
        ("storage", "bucket files, user folder", .move), ("storage", "bucket files, user folder", .copy),
        ("storage", "buckets", .delete), ("tus", "bucket files, user folder", .insert),
        ("tus", "bucket files, user folder", .update), ("s3", "bucket files, user folder", .read),
        ("s3", "bucket files, user folder", .copy), ("vectors", "another tenant's collection", .read),
        ("vectors", "the project's collection", .delete), ("auth", "administration", .read),
        ("auth", "one's own account", .forge), ("tenancy", "secrets", .list), ("tenancy", "secrets", .delete),
        ("tenancy", "profile", .update), ("console", "pages", .read), ("console", "forms (no token)", .forge),
    ]
}
