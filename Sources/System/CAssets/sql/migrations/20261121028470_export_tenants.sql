-- SPDX-License-Identifier: Apache-2.0
-- What an owner gets of the tenant beyond what row level security shows one person: all of its files, whoever uploaded them.

set local role atoll_tenancy;

-- An export leaves an entry: it takes everything along.
create function tenancy.note_export() returns void
    language sql
    security definer
    set search_path = ''
begin atomic
    select tenancy.audit(t.id, 'tenant.exported', t.id::text, null)
    from tenancy.tenants as t
    where t.id = (select tenancy.current_tenant()) and (select tenancy.current_member_role()) = 'owner';
end;

revoke execute on function tenancy.note_export() from public;
grant execute on function tenancy.note_export() to authenticated;
grant execute on function tenancy.current_member_role() to supabase_storage_admin;

reset role;
set local role supabase_storage_admin;

create function storage.tenant_objects() returns setof storage.objects
    language sql
    stable
    security definer
    set search_path = ''
as $$
    select o.*
    from storage.objects as o
    where o.tenant_id = (select tenancy.current_tenant()) and (select tenancy.current_member_role()) = 'owner';
$$;

revoke execute on function storage.tenant_objects() from public;
grant execute on function storage.tenant_objects() to authenticated;

reset role;
