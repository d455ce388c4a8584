-- SPDX-License-Identifier: Apache-2.0
-- What belongs to the server or to the database as a whole: the roles, as a Supabase project has them, and the database's
-- own settings. A copy of a database lacks these, so this file is not a migration: it is run before the migrations on every
-- start, makes what is missing and leaves the rest. Passwords are not set here. The caller holds a lock on pg_authid,
-- because two projects may start on one server at once.

do $roles$
declare
    wanted record;
begin
    for wanted in
        select *
        from (
            values
                -- The three roles a request can have.
                ('anon', 'nologin noinherit'),
                ('authenticated', 'nologin noinherit'),
                ('service_role', 'nologin noinherit bypassrls'),
                -- The server's login. It owns nothing, bypasses nothing and inherits nothing.
                ('authenticator', 'login noinherit'),
                -- The login of people's requests: as the server's, and no member of service_role, so that no SQL of theirs can take it.
                ('atoll_requests', 'login noinherit'),
                -- The login of Storage's requests: as the server's, and known by its name to the functions that are Storage's alone.
                ('atoll_storage', 'login noinherit'),
                -- The owner of what a project's own migrations make.
                ('postgres', 'login inherit createrole createdb replication bypassrls'),
                -- The owners of the service schemas.
                ('supabase_auth_admin', 'login noinherit'),
                ('supabase_storage_admin', 'login noinherit'),
                ('supabase_realtime_admin', 'nologin noinherit'),
                -- Removes deleted tenants and sends invitations in the background.
                ('atoll_tenancy', 'login noinherit'),
                -- Builds the indexes of vectors in the background.
                ('atoll_vectors', 'login noinherit'),
                ('atoll_jobs', 'nologin noinherit')
        ) as role (name, attributes)
    loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
            -- Names and attributes are the constants above.
            execute pg_catalog.format('create role %I %s', wanted.name, wanted.attributes);
        elsif wanted.attributes like 'login%' and not exists (
            select from pg_catalog.pg_roles where rolname = wanted.name and rolcanlogin
        ) then
            -- It did not log in when it was made.
            execute pg_catalog.format('alter role %I login', wanted.name);
        end if;
    end loop;
end
$roles$;

do $memberships$
declare
    wanted record;
begin
    for wanted in
        select *
        from (
            values
                ('anon', 'authenticator'),
                ('authenticated', 'authenticator'),
                ('service_role', 'authenticator'),
                ('anon', 'atoll_requests'),
                ('authenticated', 'atoll_requests'),
                ('anon', 'atoll_storage'),
                ('authenticated', 'atoll_storage'),
                ('service_role', 'atoll_storage'),
                -- `set role authenticated` is how people try their policies by hand.
                ('anon', 'postgres'),
                ('authenticated', 'postgres'),
                ('service_role', 'postgres'),
                -- A project's migrations make and drop triggers on auth.users and policies on storage.objects, which only
                -- the owner of a table may do.
                ('supabase_auth_admin', 'postgres'),
                ('supabase_storage_admin', 'postgres'),
                ('supabase_realtime_admin', 'postgres'),
                ('pg_monitor', 'postgres'),
                ('pg_signal_backend', 'postgres')
        ) as membership (role_name, member_name)
        where not exists (
            select
            from pg_catalog.pg_auth_members as m
            where m.roleid = membership.role_name::regrole
              and m.member = membership.member_name::regrole
        )
    loop
        execute pg_catalog.format('grant %I to %I', wanted.role_name, wanted.member_name);
    end loop;

    -- What projects grant to `authenticator`, people's requests have as well, but not the roles it may take. Before 16 a membership cannot
    -- be had without them.
    if pg_catalog.current_setting('server_version_num')::integer >= 160000 and not exists (
        select
        from pg_catalog.pg_auth_members as m
        where m.roleid = 'authenticator'::regrole
          and m.member = 'atoll_requests'::regrole
    ) then
        grant authenticator to atoll_requests with inherit true, set false;
    end if;
end
$memberships$;

do $settings$
declare
    -- The owner of a database is the owner of its schema `public`, as dumps of Supabase projects expect. Only what belongs
    -- to the login that runs this is given away: a database somebody else owns stays theirs.
    is_ours boolean := exists (
        select
        from pg_catalog.pg_database
        where datname = pg_catalog.current_database()
            and datdba = current_user::regrole
    );
    wanted record;
begin
    for wanted in
        select *
        from (
            values
                (0::oid, 'search_path="$user", public, extensions'),
                -- A trigger function of the project that is `security definer` and names no schema finds its tables through
                -- the path of the session that fired it, and Auth's session is the one that inserts users.
                ('supabase_auth_admin'::regrole::oid, 'search_path=auth, public, extensions'),
                -- Builds of vector indexes: one processor each, with the kilobytes a graph of some hundred thousand takes.
                ('atoll_vectors'::regrole::oid, 'maintenance_work_mem=262144'),
                ('atoll_vectors'::regrole::oid, 'max_parallel_maintenance_workers=0')
        ) as setting (role_id, assignment)
        where not exists (
            select
            from pg_catalog.pg_db_role_setting as s
            inner join pg_catalog.pg_database as d on d.oid = s.setdatabase
            where d.datname = pg_catalog.current_database()
                and s.setrole = setting.role_id
                and setting.assignment = any (s.setconfig)
        )
    loop
        execute pg_catalog.format(
            'alter %s set %s',
            case
                when wanted.role_id = 0 then pg_catalog.format('database %I', pg_catalog.current_database())
                else pg_catalog.format(
                    'role %I in database %I',
                    pg_catalog.pg_get_userbyid(wanted.role_id), pg_catalog.current_database())
            end,
            wanted.assignment);
    end loop;

    -- `alter role authenticator set ...` is how projects bound requests; that of people's has the same. Lists of names are left out: they
    -- are written otherwise than other values, and none of them bounds anything.
    for wanted in
        select s.setdatabase, pg_catalog.split_part(one.assignment, '=', 1) as name,
            substr(one.assignment, pg_catalog.strpos(one.assignment, '=') + 1) as value
        from pg_catalog.pg_db_role_setting as s
        cross join unnest(s.setconfig) as one (assignment)
        where s.setrole = 'authenticator'::regrole
            and one.assignment !~* '^(search_path|temp_tablespaces|[a-z]+_preload_libraries)='
            and s.setdatabase in (
                0, (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database()))
            and not exists (
                select
                from pg_catalog.pg_db_role_setting as o
                where o.setrole = 'atoll_requests'::regrole
                    and o.setdatabase = s.setdatabase
                    and one.assignment = any (o.setconfig)
            )
    loop
        execute pg_catalog.format(
            'alter role atoll_requests%s set %I to %L',
            case
                when wanted.setdatabase = 0 then ''
                else pg_catalog.format(' in database %I', pg_catalog.current_database())
            end,
            wanted.name, wanted.value);
    end loop;

    -- `postgres` makes schemas and trusted extensions of its own; event triggers stay with the superuser.
    if not pg_catalog.has_database_privilege('postgres', pg_catalog.current_database(), 'create') then
        execute pg_catalog.format(
            'grant create, connect, temporary on database %I to postgres', pg_catalog.current_database());
    end if;
    if is_ours then
        execute pg_catalog.format('alter database %I owner to postgres', pg_catalog.current_database());
    end if;

    -- A dump of rows made by the Supabase CLI starts with `set session_replication_role = replica`.
    if not pg_catalog.has_parameter_privilege('postgres', 'session_replication_role', 'set') then
        grant set on parameter session_replication_role to postgres;
    end if;
end
$settings$;
