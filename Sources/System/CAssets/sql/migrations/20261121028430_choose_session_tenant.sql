-- SPDX-License-Identifier: Apache-2.0
-- A session works in one tenant: the account's own, or the one it was switched to. Auth puts it into the session's tokens after it
-- has asked, each time, whether the person still belongs to it.

set local role supabase_auth_admin;

alter table auth.sessions add column tenant_id uuid;

reset role;
set local role atoll_tenancy;

-- The tenant if the person may work in it, else null. Its owner may enter one that is suspended or deleted, to resume, restore or
-- export it.
create function tenancy.session_tenant(person uuid, wanted uuid) returns uuid
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select t.id
    from tenancy.members as m
    inner join tenancy.tenants as t on t.id = m.tenant_id
    where m.user_id = person
        and m.tenant_id = wanted
        and (t.status = 'active' or m.role = 'owner');
end;

create function tenancy.note_switch(person uuid, wanted uuid, request text) returns void
    language sql
    security definer
    set search_path = ''
begin atomic
    insert into tenancy.audit_log (tenant_id, actor, action, target, request_id)
    values (wanted, person, 'tenant.entered', wanted::text, left(request, 128));
end;

revoke execute on function tenancy.session_tenant(uuid, uuid), tenancy.note_switch(uuid, uuid, text) from public;
grant execute on function tenancy.session_tenant(uuid, uuid), tenancy.note_switch(uuid, uuid, text)
    to supabase_auth_admin;

reset role;
