-- SPDX-License-Identifier: Apache-2.0
-- How an upload begins, grows and ends. What runs as the caller asks row level security; what reserves space runs as the
-- owner of the schema.

set local role supabase_storage_admin;

-- What the service must know of a bucket, whoever asks: most projects let nobody read storage.buckets.
create function storage.bucket_facts(bucket text)
    returns table (id text, name text, public boolean, file_size_limit bigint, allowed_mime_types text[])
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select b.id, b.name, coalesce(b.public, false), b.file_size_limit, b.allowed_mime_types
    from storage.buckets as b
    where b.id = bucket;
end;

-- An object anybody may read.
create function storage.public_object(bucket text, object_name text) returns setof storage.objects
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select o.*
    from storage.objects as o
    inner join storage.buckets as b on b.id = o.bucket_id
    where b.public and o.bucket_id = bucket and o.name = object_name;
end;

-- Whether a bucket takes a type: no list takes all, `image/*` a whole family.
create function storage.takes_mime_type(allowed text[], mime_type text) returns boolean
    language sql
    immutable
    parallel safe
    return allowed is null
        or cardinality(allowed) = 0
        or lower(split_part(mime_type, ';', 1)) = any (allowed)
        or split_part(lower(mime_type), '/', 1) || '/*' = any (allowed)
        or '*/*' = any (allowed);

-- Asks row level security, and the triggers and constraints of the table, whether the caller may write the object, and
-- leaves nothing behind.
create function storage.try_object(
    bucket text, object_name text, owning_user text, object_metadata jsonb, object_user_metadata jsonb, upsert boolean
) returns void
    language plpgsql
    set search_path = ''
as $$
begin
    if upsert then
        insert into storage.objects (bucket_id, name, owner, owner_id, metadata, user_metadata)
        values (
            bucket, object_name, storage.uuid_or_null(owning_user), owning_user, object_metadata, object_user_metadata)
        on conflict (bucket_id, name) do update
            set metadata = excluded.metadata, user_metadata = excluded.user_metadata, owner = excluded.owner,
                owner_id = excluded.owner_id, updated_at = now();
    else
        insert into storage.objects (bucket_id, name, owner, owner_id, metadata, user_metadata)
        values (
            bucket, object_name, storage.uuid_or_null(owning_user), owning_user, object_metadata, object_user_metadata);
    end if;
    raise exception using errcode = 'ATTRY';
exception
    when sqlstate 'ATTRY' then null;
end
$$;

create function storage.uuid_or_null(text) returns uuid
    language sql
    immutable
    parallel safe
    return case when $1 ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then $1::uuid end;

-- Notes that a file is on its way, and reserves its place in the tenant's quota. Every call of a request that may write.
create function storage.reserve_upload(
    upload text, upload_kind text, server_node uuid, bucket text, object_name text, owning_user text, bytes bigint,
    upsert boolean, type text, caching text, object_user_metadata jsonb, lifetime interval
) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
    replaced storage.objects;
    wanted_bytes bigint := 0;
    wanted_objects bigint := 0;
begin
    if tenant is not null then
        select * into replaced from storage.objects as o where o.bucket_id = bucket and o.name = object_name;
        if replaced.tenant_id is not distinct from tenant then
            wanted_bytes := greatest(0, coalesce(bytes, 0) - storage.byte_count(replaced.metadata));
        else
            wanted_bytes := coalesce(bytes, 0);
            wanted_objects := 1;
        end if;
    end if;
    insert into storage.uploads (
        version, kind, node, bucket_id, name, owner_id, tenant_id, reserved_bytes, reserved_objects, byte_count, upsert,
        mime_type, cache_control, user_metadata, expires_at)
    values (
        upload, upload_kind, server_node, bucket, object_name, owning_user, tenant, wanted_bytes, wanted_objects, bytes,
        upsert, type, caching, object_user_metadata, now() + lifetime);
    perform storage.change_usage(tenant, 0, 0, wanted_bytes, wanted_objects);
end
$$;

-- Begins an upload: the bucket's limits, then the caller's rights, then the quota.
create function storage.begin_upload(
    upload text, upload_kind text, server_node uuid, bucket text, object_name text, owning_user text, bytes bigint,
    upsert boolean, type text, caching text, object_metadata jsonb, object_user_metadata jsonb, global_limit bigint,
    lifetime interval, checks_type boolean
) returns table (max_bytes bigint, allowed_mime_types text[])
    language plpgsql
    set search_path = ''
as $$
declare
    facts record;
    size_limit bigint;
begin
    -- The row of an upload need not outlive a power cut: its object's row comes later, and is waited for.
    perform set_config('synchronous_commit', 'off', true);
    select * into facts from storage.bucket_facts(bucket);
    if facts.id is null then
        raise exception 'Bucket not found' using errcode = 'ATB01';
    end if;
    if checks_type and not storage.takes_mime_type(facts.allowed_mime_types, type) then
        raise exception 'mime type % is not supported', type using errcode = 'ATM01';
    end if;
    size_limit := least(coalesce(facts.file_size_limit, global_limit), global_limit);
    if bytes > size_limit then
        raise exception 'The object exceeded the maximum allowed size' using errcode = 'ATS01';
    end if;
    perform storage.try_object(bucket, object_name, owning_user, object_metadata, object_user_metadata, upsert);
    perform storage.reserve_upload(
        upload, upload_kind, server_node, bucket, object_name, owning_user, bytes, upsert, type, caching,
        object_user_metadata, lifetime);
    return query select size_limit, facts.allowed_mime_types;
end
$$;

-- Reserves more for an upload whose length was not told at the beginning.
create function storage.extend_upload(upload text, more_bytes bigint) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid;
begin
    perform set_config('synchronous_commit', 'off', true);
    update storage.uploads set reserved_bytes = reserved_bytes + more_bytes
    where version = upload and tenant_id is not null
    returning tenant_id into tenant;
    perform storage.change_usage(tenant, 0, 0, more_bytes, 0);
end
$$;

-- Reserves what is missing to a total, for an upload that comes in several requests.
create function storage.reserve_at_least(upload text, total_bytes bigint) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    missing bigint;
begin
    select greatest(0, total_bytes - reserved_bytes) into missing from storage.uploads where version = upload for update;
    perform storage.extend_upload(upload, missing);
end
$$;

-- The length of an upload that began without one.
create function storage.fix_upload_length(upload text, total_bytes bigint) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    perform storage.reserve_at_least(upload, total_bytes);
    update storage.uploads set byte_count = total_bytes where version = upload and byte_count is null;
end
$$;

-- Gives up an upload: its reservation is free again. The server removes the file.
create function storage.cancel_upload(upload text) returns boolean
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    cancelled storage.uploads;
begin
    delete from storage.uploads where version = upload returning * into cancelled;
    perform storage.change_usage(
        cancelled.tenant_id, 0, 0, -cancelled.reserved_bytes, -cancelled.reserved_objects);
    return cancelled.version is not null;
end
$$;

-- Writes the object's row; the trigger on the table ends the upload. The version it replaced has a file to be removed.
create function storage.finish_upload(
    upload text, bucket text, object_name text, owning_user text, object_metadata jsonb, object_user_metadata jsonb,
    upsert boolean
) returns table (object_id uuid, replaced_version text)
    language plpgsql
    set search_path = ''
as $$
begin
    if upsert then
        insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
        values (
            bucket, object_name, storage.uuid_or_null(owning_user), owning_user, upload, object_metadata,
            object_user_metadata)
        on conflict (bucket_id, name) do update
            set metadata = excluded.metadata, user_metadata = excluded.user_metadata, owner = excluded.owner,
                owner_id = excluded.owner_id, version = excluded.version, updated_at = now()
        returning o.id into object_id;
    else
        insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
        values (
            bucket, object_name, storage.uuid_or_null(owning_user), owning_user, upload, object_metadata,
            object_user_metadata)
        returning o.id into object_id;
    end if;
    replaced_version := nullif(current_setting('storage.replaced_version', true), '');
    return next;
end
$$;

-- Begins a copy: the caller must see the source and may write the destination.
create function storage.begin_copy(
    upload text, server_node uuid, source_bucket text, source_name text, bucket text, object_name text,
    owning_user text, upsert boolean, type text, caching text, copies_metadata boolean, object_user_metadata jsonb,
    global_limit bigint, lifetime interval
) returns table (source_version text, object_metadata jsonb, object_user_meta jsonb)
    language plpgsql
    set search_path = ''
as $$
declare
    source storage.objects;
    copied jsonb;
    user_meta jsonb;
begin
    if not exists (select from storage.bucket_facts(source_bucket)) then
        raise exception 'Bucket not found' using errcode = 'ATB01';
    end if;
    select * into source from storage.objects as o where o.bucket_id = source_bucket and o.name = source_name;
    if source.version is null then
        raise exception 'Object not found' using errcode = 'ATK01';
    end if;
    copied := coalesce(source.metadata, '{}');
    if type is not null then copied := copied || jsonb_build_object('mimetype', type); end if;
    if caching is not null then copied := copied || jsonb_build_object('cacheControl', caching); end if;
    user_meta := case when copies_metadata then source.user_metadata else object_user_metadata end;
    perform storage.begin_upload(
        upload, 'plain', server_node, bucket, object_name, owning_user, storage.byte_count(source.metadata), upsert,
        coalesce(copied ->> 'mimetype', 'application/octet-stream'), copied ->> 'cacheControl', copied, user_meta,
        greatest(global_limit, storage.byte_count(source.metadata)), lifetime, true);
    return query select source.version, copied, user_meta;
end
$$;

-- Renames an object, also into another bucket, where it must fit as if it were uploaded. Its file stays where it is.
create function storage.move_object(source_bucket text, source_name text, bucket text, object_name text)
    returns uuid
    language plpgsql
    set search_path = ''
as $$
declare
    source storage.objects;
    facts record;
    object_id uuid;
begin
    if not exists (select from storage.bucket_facts(source_bucket)) then
        raise exception 'Bucket not found' using errcode = 'ATB01';
    end if;
    select * into facts from storage.bucket_facts(bucket);
    if facts.id is null then
        raise exception 'Bucket not found' using errcode = 'ATB01';
    end if;
    select * into source from storage.objects as o where o.bucket_id = source_bucket and o.name = source_name;
    if source.id is null then
        raise exception 'Object not found' using errcode = 'ATK01';
    end if;
    if bucket <> source_bucket then
        if not storage.takes_mime_type(facts.allowed_mime_types, source.metadata ->> 'mimetype') then
            raise exception 'mime type % is not supported', source.metadata ->> 'mimetype' using errcode = 'ATM01';
        end if;
        if storage.byte_count(source.metadata) > facts.file_size_limit then
            raise exception 'The object exceeded the maximum allowed size' using errcode = 'ATS01';
        end if;
        perform storage.try_object(bucket, object_name, source.owner_id, source.metadata, source.user_metadata, false);
    end if;
    update storage.objects as o
    set bucket_id = bucket, name = object_name
    where o.id = source.id
    returning o.id into object_id;
    if object_id is null then
        raise exception 'new row violates row-level security policy' using errcode = '42501';
    end if;
    return object_id;
end
$$;

revoke execute on function storage.public_object(text, text) from public;
grant execute on function storage.public_object(text, text) to anon, authenticated, service_role;

reset role;
