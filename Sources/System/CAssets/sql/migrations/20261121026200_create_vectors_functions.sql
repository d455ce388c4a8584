-- SPDX-License-Identifier: Apache-2.0
-- What requests and the index builder call.

set local role atoll_vectors;

-- Refuses (VC001) when a collection is not what the server remembers, or not open to the caller any more. A read calls it
-- after its query: revisions only rise, so what holds afterwards held before.
create function vectors.check_collection(wanted bigint, known_revision bigint) returns void
    language plpgsql
    stable
    parallel safe
    set search_path = ''
as $$
begin
    if not exists (
        select from vectors.collections as c where c.id = wanted and c.revision = known_revision
    ) then
        raise exception 'the collection has changed' using errcode = 'VC001';
    end if;
end
$$;

-- The same before a write. The lock keeps the collection from being removed or moved until the write has committed; the
-- check comes after it and with a newer snapshot.
create function vectors.enter_collection(wanted bigint, known_revision bigint) returns void
    language plpgsql
    set search_path = ''
as $$
begin
    perform pg_catalog.pg_advisory_xact_lock_shared(wanted);
    perform vectors.check_collection(wanted, known_revision);
end
$$;

-- Refuses (VC404, with the first missing id) unless the caller sees all of the points. Without a tenant the collection is a
-- shared one.
create function vectors.require_points(in_bucket integer, wanted bigint, in_tenant uuid, ids bytea[]) returns void
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    missing bytea;
begin
    select i.id into missing
    from unnest(ids) as i (id)
    where case
        when in_tenant is null then not exists (
            select from vectors.points as p
            where p.bucket = in_bucket and p.collection_id = wanted and p.is_shared and p.id = i.id)
        else not exists (
            select from vectors.points as p
            where p.bucket = in_bucket and p.tenant_id = in_tenant and p.collection_id = wanted and p.id = i.id)
    end
    order by i.id
    limit 1;
    if found then
        raise exception 'no such point' using errcode = 'VC404', detail = pg_catalog.encode(missing, 'hex');
    end if;
end
$$;

-- The points of a collection go with it. The lock waits for writes that have entered.
create function vectors.clear_collection() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    perform pg_catalog.pg_advisory_xact_lock(old.id);
    if old.bucket < 1000 then
        -- Each form finds its rows by an index.
        if old.tenant_id is null then
            delete from vectors.points as p
            where p.bucket = old.bucket and p.collection_id = old.id and p.is_shared;
            delete from vectors.named_vectors as n
            where n.bucket = old.bucket and n.collection_id = old.id and n.is_shared;
        else
            delete from vectors.points as p
            where p.bucket = old.bucket and p.tenant_id = old.tenant_id and p.collection_id = old.id;
            delete from vectors.named_vectors as n
            where n.bucket = old.bucket and n.tenant_id = old.tenant_id and n.collection_id = old.id;
        end if;
    else
        -- The index builder drops the empty partition later.
        execute pg_catalog.format('truncate vectors.points_%s, vectors.named_vectors_%s', old.bucket, old.bucket);
    end if;
    return null;
end
$$;

-- A tenant's rows in shared collections go with the tenant.
create function vectors.clear_tenant() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    delete from vectors.points as p where p.tenant_id = old.id;
    delete from vectors.named_vectors as n where n.tenant_id = old.id;
    return null;
end
$$;

-- Moves a collection into partitions of its own, where an index can be built over it alone. Reads go on; writes wait. The
-- next bucket is a number that no collection can have had.
create function vectors.separate_collection(wanted bigint) returns integer
    language plpgsql
    set search_path = ''
as $$
declare
    found_collection vectors.collections;
    new_bucket integer := (1000 + wanted)::integer;
    column_list constant text := 'collection_id, version, bucket, tenant_id, is_shared, id, embedding, payload';
    named_list constant text :=
        'collection_id, version, bucket, slot, tenant_id, is_shared, id, embedding, parts, indices, weights';
begin
    perform pg_catalog.pg_advisory_xact_lock(wanted);
    select c.* into found_collection from vectors.collections as c where c.id = wanted for update;
    if not found or found_collection.bucket >= 1000 then
        return found_collection.bucket;
    end if;
    perform vectors.create_partition(new_bucket, is_inline => found_collection.bucket < 8);
    execute pg_catalog.format(
        'insert into vectors.points_%1$s (%2$s)
         select collection_id, version, %1$s, tenant_id, is_shared, id, embedding, payload
         from vectors.points where bucket = %3$s and collection_id = %4$s',
        new_bucket, column_list, found_collection.bucket, wanted);
    execute pg_catalog.format(
        'insert into vectors.named_vectors_%1$s (%2$s)
         select collection_id, version, %1$s, slot, tenant_id, is_shared, id, embedding, parts, indices, weights
         from vectors.named_vectors where bucket = %3$s and collection_id = %4$s',
        new_bucket, named_list, found_collection.bucket, wanted);
    delete from vectors.points as p where p.bucket = found_collection.bucket and p.collection_id = wanted;
    delete from vectors.named_vectors as n where n.bucket = found_collection.bucket and n.collection_id = wanted;
    -- With the check the rows need not be read again; what is younger than an index is found by version.
    execute pg_catalog.format('create index on vectors.points_%s (version)', new_bucket);
    execute pg_catalog.format('create index on vectors.named_vectors_%s (slot, version)', new_bucket);
    execute pg_catalog.format(
        'alter table vectors.points_%1$s add constraint bucket_check check (bucket = %1$s)', new_bucket);
    execute pg_catalog.format(
        'alter table vectors.named_vectors_%1$s add constraint bucket_check check (bucket = %1$s)', new_bucket);
    execute pg_catalog.format(
        'alter table vectors.points attach partition vectors.points_%1$s for values in (%1$s)', new_bucket);
    execute pg_catalog.format(
        'alter table vectors.named_vectors attach partition vectors.named_vectors_%1$s for values in (%1$s)', new_bucket);
    update vectors.collections as c
    set bucket = new_bucket, revision = c.revision + 1
    where c.id = wanted;
    return new_bucket;
end
$$;

revoke execute on function vectors.check_collection(bigint, bigint) from public;
revoke execute on function vectors.enter_collection(bigint, bigint) from public;
revoke execute on function vectors.require_points(integer, bigint, uuid, bytea[]) from public;
revoke execute on function vectors.clear_collection() from public;
revoke execute on function vectors.clear_tenant() from public;
revoke execute on function vectors.separate_collection(bigint) from public;
grant execute on function
    vectors.check_collection(bigint, bigint), vectors.enter_collection(bigint, bigint),
    vectors.require_points(integer, bigint, uuid, bytea[])
    to authenticated, service_role;

create trigger collections_clear
    after delete on vectors.collections
    for each row
    execute function vectors.clear_collection();

-- The tenant of a user, for what the back end writes in a user's name: the personal one.
create function vectors.tenant_of_user(wanted text) returns uuid
    language sql
    stable
    set search_path = ''
begin atomic
    select t.id
    from tenancy.tenants as t
    where t.personal
        and t.owner_id = case
            when wanted ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then wanted::uuid
        end;
end;

revoke execute on function vectors.tenant_of_user(text) from public;
grant execute on function vectors.tenant_of_user(text) to service_role;

reset role;

create trigger atoll_clear_vectors
    after delete on tenancy.tenants
    for each row
    execute function vectors.clear_tenant();
