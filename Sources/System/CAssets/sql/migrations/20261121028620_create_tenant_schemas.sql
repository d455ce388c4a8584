-- SPDX-License-Identifier: Apache-2.0
-- Tenants with a schema of their own: made from the project's templates, reached by a role of its own, gone with the tenant.

-- The shape that all tenants of the newest templates have; it holds no rows, and no API role may name anything in it. The server's
-- login may, so that the catalog writes the names of what is there without a schema.
create schema tenant_template authorization postgres;
grant usage on schema tenant_template to authenticator;

set local role atoll_tenancy;

create table tenancy.options (
    name text not null,
    value text not null,
    constraint options_pkey primary key (name)
);

-- The templates, as they were applied to the shape.
create table tenancy.template_versions (
    version text not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    constraint template_versions_pkey primary key (version),
    constraint template_versions_checksum_check check (checksum ~ '^[0-9a-f]{64}$')
);

create table tenancy.tenant_schemas (
    tenant_id uuid not null,
    schema_name text not null,
    version text,
    status text not null default 'pending',
    error text,
    attempts integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tenant_schemas_pkey primary key (tenant_id),
    constraint tenant_schemas_schema_name_key unique (schema_name),
    constraint tenant_schemas_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint tenant_schemas_schema_name_check check (schema_name ~ '^tenant_[0-9a-f]{32}$'),
    constraint tenant_schemas_status_check check (status in ('pending', 'ready', 'failed')),
    constraint tenant_schemas_error_check check (char_length(error) <= 4096)
);

create index tenant_schemas_status_idx on tenancy.tenant_schemas (status) where status <> 'ready';

create table tenancy.tenant_schema_versions (
    tenant_id uuid not null,
    version text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    constraint tenant_schema_versions_pkey primary key (tenant_id, version),
    constraint tenant_schema_versions_tenant_id_fkey
        foreign key (tenant_id) references tenancy.tenant_schemas (tenant_id) on delete cascade,
    constraint tenant_schema_versions_version_fkey foreign key (version) references tenancy.template_versions (version)
);

create index tenant_schema_versions_version_idx on tenancy.tenant_schema_versions (version);

create trigger tenant_schemas_touch
    before update on tenancy.tenant_schemas
    for each row
    execute function tenancy.touch_updated_at();

alter table tenancy.options enable row level security;
alter table tenancy.options force row level security;
alter table tenancy.template_versions enable row level security;
alter table tenancy.template_versions force row level security;
alter table tenancy.tenant_schemas enable row level security;
alter table tenancy.tenant_schemas force row level security;
alter table tenancy.tenant_schema_versions enable row level security;
alter table tenancy.tenant_schema_versions force row level security;

create policy options_owner on tenancy.options for all to atoll_tenancy using (true) with check (true);
create policy template_versions_owner on tenancy.template_versions for all to atoll_tenancy using (true) with check (true);
create policy tenant_schemas_owner on tenancy.tenant_schemas for all to atoll_tenancy using (true) with check (true);
create policy tenant_schema_versions_owner on tenancy.tenant_schema_versions
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy tenant_schemas_read on tenancy.tenant_schemas
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy tenant_schema_versions_read on tenancy.tenant_schema_versions
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

grant select on tenancy.tenant_schemas, tenancy.tenant_schema_versions to authenticated, service_role;
grant select on tenancy.template_versions to service_role;
grant select, insert, update, delete, references
    on tenancy.template_versions, tenancy.tenant_schemas, tenancy.tenant_schema_versions
    to postgres;
grant select, insert, update, delete on tenancy.options to postgres;

-- The isolation mode of tenants that are made from now on.
create function tenancy.default_isolation() returns text
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select coalesce((select o.value from tenancy.options as o where o.name = 'isolation'), 'shared');
end;

revoke execute on function tenancy.default_isolation() from public;
grant execute on function tenancy.default_isolation() to service_role, postgres;

alter table tenancy.tenants alter column isolation set default tenancy.default_isolation();

-- The name of a tenant's schema and of the role that reaches it.
create function tenancy.schema_name(tenant uuid) returns text
    language sql
    immutable
    parallel safe
    set search_path = ''
begin atomic
    select 'tenant_' || replace(tenant::text, '-', '');
end;

revoke execute on function tenancy.schema_name(uuid) from public;
grant execute on function tenancy.schema_name(uuid) to authenticated, service_role, postgres;

-- Gives the tenant of the request a schema of its own from now on. Rows that are in shared tables stay there.
create function tenancy.set_isolation(wanted text) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.require_admin();
begin
    if wanted not in ('shared', 'schema') then
        raise exception 'isolation is shared or schema' using errcode = '22023';
    end if;
    if wanted = 'shared' and exists (select from tenancy.tenant_schemas as s where s.tenant_id = tenant) then
        raise exception 'a tenant that has a schema keeps it' using errcode = '55000';
    end if;
    update tenancy.tenants set isolation = wanted where id = tenant and isolation <> wanted;
    if found then
        perform tenancy.audit(tenant, 'tenant.isolation_changed', tenant::text, jsonb_build_object('isolation', wanted));
    end if;
end
$$;

revoke execute on function tenancy.set_isolation(text) from public;
grant execute on function tenancy.set_isolation(text) to authenticated;

-- Where the members of the request's tenant work: its mode, and whether its schema is ready.
create function tenancy.current_schema_state() returns table (isolation text, is_ready boolean)
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select t.isolation, coalesce(s.status = 'ready', false) or s.version is not null
    from tenancy.tenants as t
    left join tenancy.tenant_schemas as s on s.tenant_id = t.id
    where t.id = (select tenancy.current_tenant());
end;

-- The role and the search path with which a member of the request's tenant reaches its schema. Who is no member of it (any
-- more) gets neither, whatever the token says.
create function tenancy.enter_schema() returns table (role_name text, search_path text)
    language plpgsql
    stable
    security definer
    set search_path = ''
as $$
begin
    return query
        select s.schema_name, s.schema_name || ', extensions, pg_temp'
        from tenancy.tenant_schemas as s
        where s.tenant_id = tenancy.current_tenant();
    if not found then
        raise exception 'the tenant''s schema is not open to this user' using errcode = '42501';
    end if;
end
$$;

revoke execute on function tenancy.current_schema_state(), tenancy.enter_schema() from public;
grant execute on function tenancy.current_schema_state(), tenancy.enter_schema() to authenticated;

-- Tells servers that what they remember of a tenant is old.
create function tenancy.announce_tenant() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if tg_op = 'DELETE' then
        perform pg_catalog.pg_notify('atoll_tenants', old.tenant_id::text);
    else
        perform pg_catalog.pg_notify('atoll_tenants', new.tenant_id::text);
    end if;
    return null;
end
$$;

revoke execute on function tenancy.announce_tenant() from public;

create trigger tenant_schemas_announce_new
    after insert or delete on tenancy.tenant_schemas
    for each row
    execute function tenancy.announce_tenant();

create trigger tenant_schemas_announce_ready
    after update on tenancy.tenant_schemas
    for each row
    when ((old.version is null) is distinct from (new.version is null))
    execute function tenancy.announce_tenant();

create function tenancy.announce_isolation() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    perform pg_catalog.pg_notify('atoll_tenants', new.id::text);
    return null;
end
$$;

revoke execute on function tenancy.announce_isolation() from public;

create trigger tenants_announce_isolation
    after update of isolation on tenancy.tenants
    for each row
    when (old.isolation is distinct from new.isolation)
    execute function tenancy.announce_isolation();

reset role;

-- From here on as the superuser who installs the platform: roles cannot be made by anybody else.

-- Makes schema and role of a tenant in schema mode, unless they are there. The role has what `authenticated` has, and its schema.
create function tenancy.make_schema(tenant uuid) returns text
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
        execute pg_catalog.format('grant %I to authenticator', schema);
    end if;
    if not exists (select from pg_catalog.pg_namespace as n where n.nspname = schema) then
        execute pg_catalog.format('create schema %I authorization postgres', schema);
        execute pg_catalog.format('grant usage on schema %I to %I', schema, schema);
    end if;
    insert into tenancy.tenant_schemas (tenant_id, schema_name)
    values (tenant, schema)
    on conflict (tenant_id) do nothing;
    return schema;
end
$$;

revoke execute on function tenancy.make_schema(uuid) from public;
grant execute on function tenancy.make_schema(uuid) to postgres;

create function tenancy.drop_schema() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    before text := coalesce(pg_catalog.current_setting('atoll.migrates_tenant', true), '');
begin
    perform pg_catalog.set_config('atoll.migrates_tenant', 'on', true);
    execute pg_catalog.format('drop schema if exists %I cascade', old.schema_name);
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

revoke execute on function tenancy.drop_schema() from public;
grant execute on function tenancy.drop_schema() to atoll_tenancy;

-- At the end of the transaction: a tenant may go with an account that rows of the schema refer to, and the checks of that statement
-- still need what would be dropped.
create constraint trigger tenant_schemas_drop
    after delete on tenancy.tenant_schemas
    deferrable initially deferred
    for each row
    execute function tenancy.drop_schema();

-- What happens in tenants' schemas is no news to REST, which looks at their common shape; ten thousand of them would keep it
-- reading the catalog.
create or replace function extensions.notify_schema_change() returns event_trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if pg_catalog.current_setting('atoll.migrates_tenant', true) = 'on' then
        return;
    end if;
    if exists (
        select 1 from pg_catalog.pg_event_trigger_ddl_commands() as command
        where command.schema_name is distinct from 'pg_temp'
    ) then
        notify pgrst, 'reload schema';
    end if;
end
$$;

create or replace function extensions.notify_schema_drop() returns event_trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if pg_catalog.current_setting('atoll.migrates_tenant', true) = 'on' then
        return;
    end if;
    if exists (select 1 from pg_catalog.pg_event_trigger_dropped_objects() as dropped where not dropped.is_temporary) then
        notify pgrst, 'reload schema';
    end if;
end
$$;
