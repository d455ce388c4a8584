-- SPDX-License-Identifier: Apache-2.0
-- Collections and aliases: names over shared tables, so that a tenant's collection costs a row. A collection belongs to a
-- tenant, or to the project (tenant_id is null): then everybody signed in may name it and finds the rows of their own tenant.

grant usage on schema vectors to authenticated, service_role;
grant usage on schema tenancy to atoll_vectors;
grant select, references on tenancy.tenants to atoll_vectors;
grant select on tenancy.members to atoll_vectors;

set local role atoll_vectors;

create table vectors.collections (
    id bigint not null generated always as identity,
    -- Rises with every change that makes what a server remembers of the collection wrong; ids are never used again.
    revision bigint not null default 1,
    -- The partition of its points.
    bucket integer not null,
    tenant_id uuid,
    name text not null,
    settings jsonb not null,
    payload_schema jsonb not null default '{}',
    created_at timestamptz not null default now(),
    constraint collections_pkey primary key (id),
    constraint collections_tenant_id_name_key unique nulls not distinct (tenant_id, name),
    constraint collections_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint collections_name_check
        check (octet_length(name) between 1 and 255 and name !~ '[/\\<>:"|?*]'),
    constraint collections_settings_check check (jsonb_typeof(settings) = 'object' and octet_length(settings::text) <= 65536),
    constraint collections_payload_schema_check
        check (jsonb_typeof(payload_schema) = 'object' and octet_length(payload_schema::text) <= 65536)
);

create index collections_name_idx on vectors.collections (name);

create table vectors.aliases (
    id bigint not null generated always as identity,
    tenant_id uuid,
    name text not null,
    collection_id bigint not null,
    constraint aliases_pkey primary key (id),
    constraint aliases_tenant_id_name_key unique nulls not distinct (tenant_id, name),
    constraint aliases_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint aliases_collection_id_fkey
        foreign key (collection_id) references vectors.collections (id) on delete cascade,
    constraint aliases_name_check
        check (octet_length(name) between 1 and 255 and name !~ '[/\\<>:"|?*]')
);

create index aliases_collection_id_idx on vectors.aliases (collection_id);
create index aliases_name_idx on vectors.aliases (name);

alter table vectors.collections enable row level security;
alter table vectors.collections force row level security;
alter table vectors.aliases enable row level security;
alter table vectors.aliases force row level security;

create policy collections_owner on vectors.collections
    for all
    to atoll_vectors
    using (true)
    with check (true);

create policy collections_read on vectors.collections
    for select
    to authenticated
    using (
        tenant_id = (select tenancy.current_tenant())
        or tenant_id is null and (select tenancy.current_tenant()) is not null
    );

-- `qdrant_user_<id>` is where the back end keeps a user's vectors: nobody else may own a collection of that name.
create policy collections_insert on vectors.collections
    for insert
    to authenticated
    with check (
        tenant_id = (select tenancy.current_tenant())
        and (
            name !~ '^qdrant_user_'
            or substr(name, 13) in ((select auth.uid())::text, (select tenancy.current_tenant())::text)
        )
    );

create policy collections_update on vectors.collections
    for update
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()))
    with check (tenant_id = (select tenancy.current_tenant()));

create policy collections_delete on vectors.collections
    for delete
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy aliases_owner on vectors.aliases
    for all
    to atoll_vectors
    using (true)
    with check (true);

create policy aliases_read on vectors.aliases
    for select
    to authenticated
    using (
        tenant_id = (select tenancy.current_tenant())
        or tenant_id is null and (select tenancy.current_tenant()) is not null
    );

create policy aliases_insert on vectors.aliases
    for insert
    to authenticated
    with check (
        tenant_id = (select tenancy.current_tenant())
        and name !~ '^qdrant_user_'
        and collection_id in (select c.id from vectors.collections as c)
    );

create policy aliases_update on vectors.aliases
    for update
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()))
    with check (
        tenant_id = (select tenancy.current_tenant())
        and name !~ '^qdrant_user_'
        and collection_id in (select c.id from vectors.collections as c)
    );

create policy aliases_delete on vectors.aliases
    for delete
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

-- A collection never changes its tenant, its name or its place by a request.
grant select, insert (tenant_id, name, bucket, settings), update (settings, payload_schema, revision), delete
    on vectors.collections to authenticated, service_role;
grant select, insert (tenant_id, name, collection_id), update (name), delete
    on vectors.aliases to authenticated, service_role;

reset role;
