-- SPDX-License-Identifier: Apache-2.0
-- Tells servers which tenants are closed: they refuse requests of those before a service sees them, also where a policy asks for the
-- user alone.

set local role atoll_tenancy;

create index tenants_closed_idx on tenancy.tenants (id) where status <> 'active';

create function tenancy.announce_status() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    perform pg_catalog.pg_notify('atoll_tenant_status', new.id || ' ' || new.status);
    return null;
end
$$;

revoke execute on function tenancy.announce_status() from public;

create trigger tenants_announce_status
    after update of status on tenancy.tenants
    for each row
    when (old.status is distinct from new.status)
    execute function tenancy.announce_status();

reset role;
