-- SPDX-License-Identifier: Apache-2.0
-- Bytes and objects of each tenant, exact under concurrency: every change of an object's row changes the tenant's row here in
-- the same transaction, and what is being uploaded is reserved before its bytes are taken.

set local role supabase_storage_admin;

create table storage.usage (
    tenant_id uuid not null,
    bytes bigint not null default 0,
    objects bigint not null default 0,
    reserved_bytes bigint not null default 0,
    reserved_objects bigint not null default 0,
    updated_at timestamptz not null default now(),
    constraint usage_pkey primary key (tenant_id)
);

alter table storage.usage enable row level security;

create policy usage_read on storage.usage
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

grant select on storage.usage to authenticated, service_role;

-- Whose quota an object counts against: the tenant its content was uploaded in.
alter table storage.objects add column tenant_id uuid;

-- Two rows must never share a file.
create unique index objects_version_key on storage.objects (version);

-- The bytes of an object, as its metadata tell.
create function storage.byte_count(metadata jsonb) returns bigint
    language sql
    immutable
    parallel safe
    return coalesce(
        case when jsonb_typeof(metadata -> 'size') = 'number' then (metadata ->> 'size')::numeric::bigint end, 0);

-- Changes a tenant's counters. `enforced` refuses what its plan does not give, and only where something grows.
create function storage.change_usage(
    tenant uuid, byte_delta bigint, object_delta bigint, reserved_byte_delta bigint, reserved_object_delta bigint
) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    after_change storage.usage;
    limits record;
begin
    if tenant is null
        or (byte_delta = 0 and object_delta = 0 and reserved_byte_delta = 0 and reserved_object_delta = 0)
    then
        return;
    end if;
    insert into storage.usage as u (tenant_id, bytes, objects, reserved_bytes, reserved_objects)
    values (tenant, byte_delta, object_delta, reserved_byte_delta, reserved_object_delta)
    on conflict (tenant_id) do update
        set bytes = u.bytes + byte_delta,
            objects = u.objects + object_delta,
            reserved_bytes = u.reserved_bytes + reserved_byte_delta,
            reserved_objects = u.reserved_objects + reserved_object_delta,
            updated_at = now()
    returning * into after_change;
    select * into limits from tenancy.storage_limits(tenant);
    if byte_delta + reserved_byte_delta > 0
        and after_change.bytes + after_change.reserved_bytes > limits.max_bytes
    then
        raise exception 'The tenant may store % bytes', limits.max_bytes using errcode = 'ATQ01';
    end if;
    if object_delta + reserved_object_delta > 0
        and after_change.objects + after_change.reserved_objects > limits.max_objects
    then
        raise exception 'The tenant may store % objects', limits.max_objects using errcode = 'ATQ02';
    end if;
end
$$;

-- Runs before a row is written: whose quota it counts against, and when it changed.
create function storage.stamp_object() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        new.tenant_id := null;
    else
        new.tenant_id := old.tenant_id;
        new.updated_at := now();
    end if;
    if new.version is not null and (tg_op = 'INSERT' or new.version is distinct from old.version) then
        new.tenant_id := storage.upload_tenant(new.version);
    end if;
    return new;
end
$$;

create function storage.upload_tenant(upload text) returns uuid
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select u.tenant_id from storage.uploads as u where u.version = upload;
end;

-- Runs after a row was written: ends the upload the row's version came from, counts, and hands the file of a version that is
-- gone to the server. A request's role may write the version of an upload only, never one of another object's.
create function storage.account_object() returns trigger
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
        if upload.version is null and current_setting('role', true) in ('anon', 'authenticated') then
            raise exception 'The version of an object cannot be chosen' using errcode = '42501';
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

create trigger stamp_object
    before insert or update on storage.objects
    for each row
    execute function storage.stamp_object();

create trigger account_object
    after insert or update or delete on storage.objects
    for each row
    execute function storage.account_object();

-- A bucket says when it changed.
create function storage.touch_bucket() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

create trigger touch_bucket
    before update on storage.buckets
    for each row
    execute function storage.touch_bucket();

revoke execute on function storage.change_usage(uuid, bigint, bigint, bigint, bigint) from public;

reset role;
