-- SPDX-License-Identifier: Apache-2.0
-- A tenant's schema is reached through a function of its own, and by no change of role: what a request runs there runs inside of a
-- definer function of the tenant's role, where PostgreSQL refuses `set role`. The server's logins are members of no tenant's role any
-- more, so that no SQL on their connections can take another tenant's.

create schema tenant_entry;
grant usage on schema tenant_entry to authenticated;
grant usage on schema tenant_template to atoll_requests;

drop function tenancy.enter_schema();

-- Makes the function through which members of a tenant run statements in its schema.
create function tenancy.make_entry(tenant uuid) returns void
    language plpgsql
    set search_path = ''
as $$
declare
    schema text := tenancy.schema_name(tenant);
begin
    execute pg_catalog.format(
        $sql$
        create or replace function tenant_entry.%1$I(statement text)
            returns table (c0 text, c1 text, c2 text, c3 text, c4 text, c5 text, c6 text, c7 text)
            language plpgsql
            security definer
            set search_path = %1$I, extensions, pg_temp
        as $entry$
        begin
            if tenancy.current_tenant() is distinct from %2$L::uuid then
                raise exception 'the tenant''s schema is not open to this user' using errcode = '42501';
            end if;
            for c0, c1, c2, c3, c4, c5, c6, c7 in execute statement loop
                return next;
            end loop;
            -- Deferred triggers would run when the tenant's rights are given back.
            set constraints all immediate;
        end
        $entry$
        $sql$,
        schema, tenant);
    execute pg_catalog.format('alter function tenant_entry.%1$I(text) owner to %1$I', schema);
    execute pg_catalog.format('revoke execute on function tenant_entry.%I(text) from public', schema);
    execute pg_catalog.format('grant execute on function tenant_entry.%I(text) to authenticated', schema);
end
$$;

revoke execute on function tenancy.make_entry(uuid) from public;

create or replace function tenancy.make_schema(tenant uuid) returns text
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    schema text := tenancy.schema_name(tenant);
begin
    -- Whoever migrates the same tenant waits here.
    perform
    from tenancy.tenants as t
    where t.id = tenant
        and t.isolation = 'schema'
    for update;
    if not found then
        raise exception 'the tenant has no schema of its own' using errcode = '55000';
    end if;
    if not exists (select from pg_catalog.pg_roles as r where r.rolname = schema) then
        execute pg_catalog.format('create role %I nologin inherit', schema);
        execute pg_catalog.format('grant authenticated to %I', schema);
    end if;
    if not exists (select from pg_catalog.pg_namespace as n where n.nspname = schema) then
        execute pg_catalog.format('create schema %I authorization postgres', schema);
        execute pg_catalog.format('grant usage on schema %I to %I', schema, schema);
    end if;
    if not exists (
        select
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'tenant_entry'::regnamespace and p.proname = schema
    ) then
        perform tenancy.make_entry(tenant);
    end if;
    insert into tenancy.tenant_schemas (tenant_id, schema_name)
    values (tenant, schema)
    on conflict (tenant_id) do nothing;
    return schema;
end
$$;

create or replace function tenancy.drop_schema() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    before text := coalesce(pg_catalog.current_setting('atoll.migrates_tenant', true), '');
begin
    perform pg_catalog.set_config('atoll.migrates_tenant', 'on', true);
    execute pg_catalog.format('drop schema if exists %I cascade', old.schema_name);
    execute pg_catalog.format('drop function if exists tenant_entry.%I(text)', old.schema_name);
    perform pg_catalog.set_config('atoll.migrates_tenant', before, true);
    if exists (select from pg_catalog.pg_roles as r where r.rolname = old.schema_name) then
        begin
            execute pg_catalog.format('drop owned by %I', old.schema_name);
            execute pg_catalog.format('drop role %I', old.schema_name);
        exception
            -- Another database of the server was granted something: without its schema the role reaches nothing here.
            when dependent_objects_still_exist then null;
        end;
    end if;
    return null;
end
$$;

-- Tenants that have a schema already.
do $do$
declare
    found record;
begin
    perform pg_catalog.set_config('atoll.migrates_tenant', 'on', true);
    for found in
        select s.tenant_id, s.schema_name
        from tenancy.tenant_schemas as s
        inner join pg_catalog.pg_roles as r on r.rolname = s.schema_name
        inner join pg_catalog.pg_namespace as n on n.nspname = s.schema_name
    loop
        execute pg_catalog.format('revoke %I from authenticator', found.schema_name);
        perform tenancy.make_entry(found.tenant_id);
    end loop;
    perform pg_catalog.set_config('atoll.migrates_tenant', '', true);
end
$do$;
