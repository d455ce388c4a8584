-- SPDX-License-Identifier: Apache-2.0
-- Suspending, deleting with time to think it over, and then removing everything: a job of the server does that, since rows of
-- other schemas and files go too.

grant select, references on tenancy.tenants to supabase_storage_admin;

set local role supabase_storage_admin;

create index objects_tenant_id_idx on storage.objects (tenant_id) where tenant_id is not null;

-- Removes objects of a tenant, at most `batch` of them; their files follow as those of every removed object do.
create function storage.remove_tenant(wanted uuid, batch integer) returns bigint
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    removed bigint;
begin
    perform set_config('storage.allow_delete_query', 'true', true);
    delete from storage.objects as o
    where o.id in (select c.id from storage.objects as c where c.tenant_id = wanted limit batch);
    get diagnostics removed = row_count;
    if removed = 0 then
        update storage.uploads as u set expires_at = now() where u.tenant_id = wanted and u.expires_at > now();
        delete from storage.usage as u
        where u.tenant_id = wanted and not exists (select from storage.uploads as o where o.tenant_id = wanted);
    end if;
    return removed;
end
$$;

revoke execute on function storage.remove_tenant(uuid, integer) from public;
grant usage on schema storage to atoll_tenancy;
grant execute on function storage.remove_tenant(uuid, integer) to atoll_tenancy;

reset role;

-- Rows of the project's own tables that carry the tenant's id. Tables that refer to each other are emptied in whichever order works.
create function tenancy.remove_project_rows(wanted uuid) returns bigint
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    each record;
    removed bigint := 0;
    found_rows bigint;
    has_progress boolean := true;
    blocked text;
begin
    while has_progress loop
        has_progress := false;
        blocked := null;
        for each in
            select c.oid::regclass as name
            from pg_catalog.pg_class as c
            inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            inner join pg_catalog.pg_attribute as a on a.attrelid = c.oid
            where c.relkind in ('r', 'p')
                -- A tenant's own schema goes as a whole.
                and n.nspname !~ '^tenant_'
                and not c.relispartition
                and a.attname = 'tenant_id'
                and a.atttypid = 'pg_catalog.uuid'::regtype
                and not a.attisdropped
                and c.relowner = 'postgres'::regrole
            order by c.oid
        loop
            begin
                execute format('delete from %s where tenant_id = $1', each.name) using wanted;
                get diagnostics found_rows = row_count;
                removed := removed + found_rows;
                has_progress := has_progress or found_rows > 0;
            exception when foreign_key_violation or restrict_violation then
                blocked := each.name::text;
            end;
        end loop;
        exit when blocked is null;
    end loop;
    if blocked is not null then
        raise exception 'rows of % are referred to by rows without a tenant', blocked using errcode = '23503';
    end if;
    return removed;
end
$$;

alter function tenancy.remove_project_rows(uuid) owner to postgres;
revoke execute on function tenancy.remove_project_rows(uuid) from public;
grant execute on function tenancy.remove_project_rows(uuid) to atoll_tenancy;

set local role atoll_tenancy;

create function tenancy.queue_removal(wanted uuid, due timestamptz) returns void
    language sql
    set search_path = ''
begin atomic
    insert into jobs.jobs (queue, payload, summary, run_at)
    values ('tenant_removal', wanted::text, jsonb_build_object('tenant_id', wanted), due);
end;

-- What a tenant goes through; the two functions below look who may.
create function tenancy.change_status(wanted uuid, wanted_action text, by text, why text) returns void
    language plpgsql
    set search_path = ''
as $$
declare
    found_tenant tenancy.tenants;
    caller_role text;
begin
    select t.* into found_tenant from tenancy.tenants as t where t.id = wanted for no key update;
    if by = 'owner' then
        caller_role := tenancy.role_in(wanted);
        if caller_role is null then
            perform tenancy.refuse(404, 'not_found', 'No such tenant');
        elsif caller_role <> 'owner' then
            perform tenancy.refuse(403, 'forbidden', 'Only an owner does this');
        end if;
    elsif found_tenant.id is null then
        perform tenancy.refuse(404, 'not_found', 'No such tenant');
    end if;
    if found_tenant.personal and (by = 'owner' or wanted_action = 'delete') then
        perform tenancy.refuse(409, 'personal_tenant', 'A personal tenant goes with its account');
    end if;
    case wanted_action
        when 'suspend' then
            if found_tenant.status <> 'active' then
                perform tenancy.refuse(409, 'wrong_status', format('The tenant is %s', found_tenant.status));
            end if;
            update tenancy.tenants as t
            set status = 'suspended', suspended_at = now(), suspended_by = by, suspension_reason = left(why, 1000)
            where t.id = wanted;
        when 'resume' then
            if found_tenant.status <> 'suspended' then
                perform tenancy.refuse(409, 'wrong_status', format('The tenant is %s', found_tenant.status));
            end if;
            if by = 'owner' and found_tenant.suspended_by is distinct from 'owner' then
                perform tenancy.refuse(403, 'suspended_by_operator', 'The operator has suspended the tenant');
            end if;
            update tenancy.tenants as t
            set status = 'active', suspended_at = null, suspended_by = null, suspension_reason = null
            where t.id = wanted;
        when 'delete' then
            if found_tenant.status = 'deleted' then
                perform tenancy.refuse(409, 'wrong_status', 'The tenant is deleted');
            end if;
            update tenancy.tenants as t
            set status = 'deleted', deleted_at = now(),
                purge_at = now() + (select r.deletion_grace_seconds from tenancy.rules as r) * interval '1 second'
            where t.id = wanted
            returning * into found_tenant;
            perform tenancy.queue_removal(wanted, found_tenant.purge_at);
        when 'restore' then
            if found_tenant.status <> 'deleted' or (by = 'owner' and found_tenant.purge_at <= now()) then
                perform tenancy.refuse(409, 'wrong_status', 'There is nothing to restore, or not any more');
            end if;
            update tenancy.tenants as t
            set status = case when t.suspended_at is null then 'active' else 'suspended' end,
                deleted_at = null, purge_at = null
            where t.id = wanted;
        else
            perform tenancy.refuse(400, 'invalid_request', 'Unknown action');
    end case;
end
$$;

-- `suspend`, `resume`, `delete` or `restore` by an owner, also of a tenant that the token could not work in.
create function tenancy.change_own_tenant(wanted uuid, wanted_action text, why text) returns void
    language sql
    security definer
    set search_path = ''
begin atomic
    select tenancy.change_status(wanted, wanted_action, 'owner', why);
end;

create function tenancy.administer_tenant(wanted uuid, wanted_action text, why text) returns void
    language sql
    security definer
    set search_path = ''
begin atomic
    select tenancy.change_status(wanted, wanted_action, 'operator', why);
end;

-- The last step of a removal: the tenant's row, with everything that hangs on it. False when it must not go (any more).
create function tenancy.finish_removal(wanted uuid) returns boolean
    language plpgsql
    set search_path = ''
as $$
begin
    perform set_config('tenancy.removing', wanted::text, true);
    delete from tenancy.tenants as t where t.id = wanted and t.status = 'deleted' and t.purge_at <= now();
    if not found then
        return false;
    end if;
    perform tenancy.audit(wanted, 'tenant.removed', wanted::text, null);
    return true;
end
$$;

-- What may be removed of a tenant now: everything (`due`), what an earlier deletion of its row has left (`gone`), or nothing
-- (`kept`).
create function tenancy.removal_state(wanted uuid) returns text
    language sql
    stable
    set search_path = ''
begin atomic
    select coalesce(
        (
            select case when t.status = 'deleted' and t.purge_at <= now() then 'due' else 'kept' end
            from tenancy.tenants as t
            where t.id = wanted
        ),
        'gone');
end;

-- A tenant's row can also go at once: with an account, or by the service key. What it leaves elsewhere goes afterwards.
create function tenancy.remove_remains() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if coalesce(current_setting('tenancy.removing', true), '') <> old.id::text then
        perform tenancy.queue_removal(old.id, now());
    end if;
    return null;
end
$$;

create trigger tenants_remains
    after delete on tenancy.tenants
    for each row
    execute function tenancy.remove_remains();

revoke execute on function
    tenancy.queue_removal(uuid, timestamptz), tenancy.change_status(uuid, text, text, text),
    tenancy.change_own_tenant(uuid, text, text), tenancy.administer_tenant(uuid, text, text),
    tenancy.finish_removal(uuid), tenancy.removal_state(uuid), tenancy.remove_remains()
    from public;
grant execute on function tenancy.change_own_tenant(uuid, text, text) to authenticated;
grant execute on function tenancy.administer_tenant(uuid, text, text) to service_role;

reset role;
