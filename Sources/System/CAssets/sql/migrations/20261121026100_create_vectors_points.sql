-- SPDX-License-Identifier: Apache-2.0
-- Points and their vectors. One table for all collections, partitioned by bucket: small collections share buckets 0 to 15,
-- a collection that has outgrown them gets a partition of its own (vectors.separate_collection).

grant usage on schema extensions to atoll_vectors;

set local role atoll_vectors;

create table vectors.points (
    collection_id bigint not null,
    -- The operation that wrote the point last: microseconds since 1970, rising within a server.
    version bigint not null,
    bucket integer not null,
    -- Whose the row is; all zeros for what the back end wrote in nobody's name. Each tenant has its own ids, so that nobody
    -- can take or find another's by writing it.
    tenant_id uuid not null,
    -- Whether the collection is the project's, where rows of many tenants lie side by side.
    is_shared boolean not null,
    -- 0x00 and 8 bytes for a number, 0x01 and 16 bytes for a UUID: ids sort as Qdrant sorts them.
    id bytea not null,
    -- The first single dense vector of the collection; the others are in vectors.named_vectors.
    embedding extensions.vector,
    payload jsonb,
    -- Whose a point of a shared collection is, as the payload says it.
    owner text generated always as (left(payload ->> 'user_id', 64)) stored,
    constraint points_pkey primary key (tenant_id, collection_id, id, bucket),
    constraint points_id_check check (octet_length(id) in (9, 17))
) partition by list (bucket);

-- For the service key, which sees all tenants' rows of a shared collection.
create index points_collection_id_id_idx on vectors.points (collection_id, id) where is_shared;
create index points_collection_id_owner_idx on vectors.points (collection_id, owner)
    where is_shared and owner is not null;

create table vectors.named_vectors (
    collection_id bigint not null,
    version bigint not null,
    bucket integer not null,
    slot smallint not null,
    tenant_id uuid not null,
    is_shared boolean not null,
    id bytea not null,
    -- A dense vector, or the rows of a multivector, or indices and values of a sparse one.
    embedding extensions.vector,
    parts extensions.vector[],
    indices bigint[],
    weights real[],
    constraint named_vectors_pkey primary key (tenant_id, collection_id, slot, id, bucket),
    constraint named_vectors_kind_check check (num_nonnulls(embedding, parts, indices) = 1),
    constraint named_vectors_weights_check
        check ((indices is null) = (weights is null) and cardinality(indices) = cardinality(weights))
) partition by list (bucket);

create index named_vectors_collection_id_slot_id_idx on vectors.named_vectors (collection_id, slot, id) where is_shared;

-- The indexes that are built in the background. Each covers the points of one collection that were last written after
-- `after` and no later than `up_to`; younger ones are searched exactly, so that no write has to wait for a graph.
create table vectors.indexes (
    collection_id bigint not null,
    slot smallint not null,
    after bigint not null,
    up_to bigint not null,
    name text not null,
    -- What the index holds: vector, halfvec, bit, or gin over a sparse vector's indices.
    kind text not null,
    -- Whether searches may use it.
    ready boolean not null default false,
    created_at timestamptz not null default now(),
    constraint indexes_pkey primary key (collection_id, slot, after, up_to),
    constraint indexes_collection_id_fkey
        foreign key (collection_id) references vectors.collections (id) on delete cascade,
    constraint indexes_kind_check check (kind in ('vector', 'halfvec', 'bit', 'gin'))
);

alter table vectors.points enable row level security;
alter table vectors.points force row level security;
alter table vectors.named_vectors enable row level security;
alter table vectors.named_vectors force row level security;
alter table vectors.indexes enable row level security;
alter table vectors.indexes force row level security;

create policy points_all on vectors.points
    for all
    to atoll_vectors
    using (true)
    with check (true);

-- The tenant of the token owns the row. In a shared collection the payload may not say it is somebody else's: the back end
-- filters by that member.
create policy points_tenant on vectors.points
    for all
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()))
    with check (
        tenant_id = (select tenancy.current_tenant())
        and (
            not is_shared
            and collection_id in (
                select c.id from vectors.collections as c where c.tenant_id = (select tenancy.current_tenant()))
            or is_shared
            and collection_id in (select c.id from vectors.collections as c where c.tenant_id is null)
            and (
                owner is null
                or owner in (
                    select m.user_id::text
                    from tenancy.members as m
                    where m.tenant_id = (select tenancy.current_tenant()))
            )
        )
    );

create policy named_vectors_all on vectors.named_vectors
    for all
    to atoll_vectors
    using (true)
    with check (true);

create policy named_vectors_tenant on vectors.named_vectors
    for all
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()))
    with check (
        tenant_id = (select tenancy.current_tenant())
        and collection_id in (
            select c.id from vectors.collections as c where (c.tenant_id is null) = is_shared)
    );

create policy indexes_all on vectors.indexes
    for all
    to atoll_vectors
    using (true)
    with check (true);

create policy indexes_read on vectors.indexes
    for select
    to authenticated
    using (collection_id in (select c.id from vectors.collections as c));

grant select, insert, update, delete on vectors.points, vectors.named_vectors to authenticated, service_role;
grant select on vectors.indexes to authenticated, service_role;

-- Makes the partition of a bucket in both tables. A vector that fits a page beside the rest of its row stays in it
-- (`plain`): reading one out of line took three times as long.
create function vectors.create_partition(wanted integer, is_inline boolean) returns void
    language plpgsql
    set search_path = ''
as $$
declare
    parent text;
    child text;
begin
    foreach parent in array array['points', 'named_vectors'] loop
        child := pg_catalog.format('%s_%s', parent, wanted);
        execute pg_catalog.format(
            'create table vectors.%I (like vectors.%I including all) with (toast_tuple_target = 8160)', child, parent);
        if is_inline then
            execute pg_catalog.format('alter table vectors.%I alter column embedding set storage plain', child);
        end if;
        -- Requests reach the rows through the parent, whose policies then hold.
        execute pg_catalog.format('alter table vectors.%I enable row level security', child);
        execute pg_catalog.format('alter table vectors.%I force row level security', child);
        execute pg_catalog.format(
            'create policy %I on vectors.%I for all to atoll_vectors using (true) with check (true)',
            child || '_all', child);
    end loop;
end
$$;

revoke execute on function vectors.create_partition(integer, boolean) from public;

do $partitions$
begin
    for bucket in 0..15 loop
        perform vectors.create_partition(bucket, is_inline => bucket < 8);
        execute pg_catalog.format(
            'alter table vectors.points attach partition vectors.points_%s for values in (%s)', bucket, bucket);
        execute pg_catalog.format(
            'alter table vectors.named_vectors attach partition vectors.named_vectors_%s for values in (%s)',
            bucket, bucket);
    end loop;
end
$partitions$;

reset role;
