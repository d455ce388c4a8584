-- SPDX-License-Identifier: Apache-2.0
-- Tenants' roles have the rights of signed-in users through one of 64 groups. PostgreSQL looks at all members of a role whenever it gets one
-- more, and lets nobody else give it one until the transaction ends: with a single group, making schemas became slower with each
-- that was there, and went one at a time.

do $do$
declare
    name text;
begin
    for number in 0..63 loop
        name := pg_catalog.format('tenants_%s', number);
        -- Roles are the whole server's: another database of it may have them already.
        begin
            execute pg_catalog.format('create role %I nologin inherit', name);
        exception
            when duplicate_object or unique_violation then null;
        end;
        if not pg_catalog.pg_has_role(name, 'authenticated', 'member') then
            execute pg_catalog.format('grant authenticated to %I', name);
        end if;
    end loop;
end
$do$;

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
        -- By the last byte: tenants whose schemas are made at the same time often begin alike.
        execute pg_catalog.format(
            'grant %I to %I', 'tenants_' || pg_catalog.get_byte(pg_catalog.uuid_send(tenant), 15) % 64, schema);
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
