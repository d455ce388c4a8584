-- SPDX-License-Identifier: Apache-2.0
-- What a plan gives a tenant of Storage. Null is no limit.

set local role atoll_tenancy;

alter table tenancy.plans
    add column storage_bytes bigint,
    add column storage_objects bigint,
    add constraint plans_storage_bytes_check check (storage_bytes >= 0),
    add constraint plans_storage_objects_check check (storage_objects >= 0);

update tenancy.plans set storage_bytes = 5368709120, storage_objects = 100000 where name = 'free';
update tenancy.plans set storage_bytes = 107374182400, storage_objects = 10000000 where name = 'pro';

-- The limits of a tenant, for Storage's own functions; no row for a tenant that is not there.
create function tenancy.storage_limits(tenant uuid) returns table (max_bytes bigint, max_objects bigint)
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select p.storage_bytes, p.storage_objects
    from tenancy.tenants as t
    inner join tenancy.plans as p on p.name = t.plan
    where t.id = tenant;
end;

revoke execute on function tenancy.storage_limits(uuid) from public;
grant execute on function tenancy.storage_limits(uuid) to supabase_storage_admin;
grant execute on function tenancy.current_tenant() to supabase_storage_admin;

reset role;

grant usage on schema tenancy to supabase_storage_admin;
