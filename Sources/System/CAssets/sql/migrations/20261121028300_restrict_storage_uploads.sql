-- SPDX-License-Identifier: Apache-2.0
-- Uploads are the Storage service's alone. It asks row level security as the role of each request, so its functions run as that role,
-- and a request elsewhere that has the same role (a function called through REST, a schema that a project exposes) could call them
-- as well: reserve a tenant's whole quota, or note an upload under the version of somebody's object, whose file would be removed
-- when that upload expires. What tells the service from everybody else is the login of its session, which no request can change.

set local role supabase_storage_admin;

create function storage.is_service() returns boolean
    language sql
    stable
    parallel safe
    return session_user in ('atoll_storage', 'supabase_storage_admin');

-- Whether a row is written by a request that is not the service's: one of the roles of visitors and users, or any other role that a
-- session has switched to, but for the project's own back end.
create function storage.is_request() returns boolean
    language sql
    stable
    parallel safe
    return not storage.is_service()
        and coalesce(current_setting('role', true), 'none')
            not in ('none', 'service_role', 'postgres', 'supabase_storage_admin');

create or replace function storage.reserve_upload(
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
    if not storage.is_service() then
        raise exception 'permission denied for function reserve_upload' using errcode = '42501';
    end if;
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

-- Runs before a row is written: whose quota it counts against, and when it changed. Only the service gives an object a version, or
-- takes it away. What a tenant uses is counted by the sizes of rows, so a request that changes a row by hand leaves the size as it is.
create or replace function storage.stamp_object() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        new.tenant_id := null;
    else
        new.tenant_id := old.tenant_id;
        new.updated_at := now();
    end if;
    if new.version is distinct from old.version and storage.is_request() then
        raise exception 'The version of an object cannot be chosen' using errcode = '42501';
    end if;
    if new.version is not null and new.version is distinct from old.version then
        select u.tenant_id into new.tenant_id from storage.uploads as u where u.version = new.version;
    elsif tg_op = 'UPDATE' and new.metadata is distinct from old.metadata and storage.is_request() then
        new.metadata :=
            case when jsonb_typeof(new.metadata) = 'object' then new.metadata - 'size' else '{}' end
            || case
                when old.metadata ? 'size' then jsonb_build_object('size', old.metadata -> 'size')
                else '{}'
            end;
    end if;
    return new;
end
$$;

drop function storage.upload_tenant(text);

-- Runs after a row was written: ends the upload the row's version came from, counts, and hands the file of a version that is
-- gone to the server.
create or replace function storage.account_object() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    upload storage.uploads;
    is_new_version boolean := tg_op = 'INSERT';
begin
    if tg_op = 'UPDATE' then
        is_new_version := new.version is distinct from old.version;
    end if;
    if is_new_version and new.version is not null then
        delete from storage.uploads where version = new.version returning * into upload;
        if upload.version is null and storage.is_service() and current_setting('role', true) <> 'none' then
            raise exception 'The upload is not there any more' using errcode = '42501';
        end if;
        if upload.version is not null and (upload.bucket_id, upload.name) is distinct from (new.bucket_id, new.name) then
            raise exception 'The upload is of another object' using errcode = '42501';
        end if;
    end if;

    if tg_op = 'UPDATE' and old.tenant_id is not distinct from new.tenant_id then
        perform storage.change_usage(
            new.tenant_id, storage.byte_count(new.metadata) - storage.byte_count(old.metadata),
            (new.version is not null)::integer - (old.version is not null)::integer,
            -coalesce(upload.reserved_bytes, 0), -coalesce(upload.reserved_objects, 0));
    else
        if tg_op <> 'INSERT' then
            perform storage.change_usage(
                old.tenant_id, -storage.byte_count(old.metadata), -(old.version is not null)::integer, 0, 0);
        end if;
        if tg_op <> 'DELETE' then
            perform storage.change_usage(
                new.tenant_id, storage.byte_count(new.metadata), (new.version is not null)::integer,
                -coalesce(upload.reserved_bytes, 0), -coalesce(upload.reserved_objects, 0));
        end if;
    end if;

    if old.version is not null and (tg_op = 'DELETE' or is_new_version) then
        insert into storage.removed_versions (version) values (old.version) on conflict do nothing;
        if tg_op = 'UPDATE' then
            perform set_config('storage.replaced_version', old.version, true);
        end if;
    end if;
    return null;
end
$$;

revoke execute on function storage.stamp_object() from public;

-- An empty folder's placeholder takes every type because it takes no byte.
create or replace function storage.begin_upload(
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
    if not checks_type then
        size_limit := 0;
    end if;
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

drop function storage.finish_upload(text, text, text, text, jsonb, jsonb, boolean);

-- Writes the object's row; the trigger on the table ends the upload. The version it replaced has a file to be removed.
-- `expected_tag` is the entity tag, without quotes, that the object must have until then; `*` stands for any, null asks for nothing.
create function storage.finish_upload(
    upload text, bucket text, object_name text, owning_user text, object_metadata jsonb, object_user_metadata jsonb,
    upsert boolean, expected_tag text
) returns table (object_id uuid, replaced_version text)
    language plpgsql
    set search_path = ''
as $$
declare
    present_tag text;
begin
    if expected_tag is not null then
        -- The lock keeps the object as it is until this transaction has replaced it.
        select coalesce(trim(both '"' from o.metadata ->> 'eTag'), '') into present_tag
        from storage.objects as o
        where o.bucket_id = bucket and o.name = object_name
        for update;
        if present_tag is null then
            raise exception 'Object not found' using errcode = 'ATK01';
        end if;
        if expected_tag not in ('*', present_tag) then
            raise exception 'A condition of the request does not hold' using errcode = 'ATP01';
        end if;
    end if;
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
        -- `returning` would ask for the right to read, which who may only drop files does not have.
        object_id := gen_random_uuid();
        insert into storage.objects (id, bucket_id, name, owner, owner_id, version, metadata, user_metadata)
        values (
            object_id, bucket, object_name, storage.uuid_or_null(owning_user), owning_user, upload, object_metadata,
            object_user_metadata);
    end if;
    replaced_version := nullif(current_setting('storage.replaced_version', true), '');
    return next;
end
$$;

-- Header fields that an S3 client sent at the beginning of a multipart upload and that downloads carry.
alter table storage.uploads add column content_headers jsonb;

reset role;
