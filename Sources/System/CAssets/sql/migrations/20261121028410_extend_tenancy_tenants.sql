-- SPDX-License-Identifier: Apache-2.0
-- Teams, the roles of their members, and what happens to a tenant in its life. People change these rows through the functions
-- below alone, each of which looks who calls.

set local role atoll_tenancy;

alter table tenancy.tenants
    add column suspended_at timestamptz,
    add column suspended_by text,
    add column suspension_reason text,
    add column deleted_at timestamptz,
    add column purge_at timestamptz,
    add constraint tenants_suspended_by_check check (suspended_by in ('owner', 'operator')),
    add constraint tenants_suspension_reason_check check (char_length(suspension_reason) <= 1000);

-- The caller's role in a tenant, whatever the tenant's status; null for nobody's.
create function tenancy.role_in(wanted uuid) returns text
    language sql
    stable
    set search_path = ''
begin atomic
    select m.role from tenancy.members as m where m.tenant_id = wanted and m.user_id = (select auth.uid());
end;

-- The caller's role in the tenant of the request, which stays locked until the transaction ends: what changes the members of one
-- tenant happens one after another, so that the last owner stays.
create function tenancy.enter_tenant(wanted uuid) returns text
    language plpgsql
    set search_path = ''
as $$
begin
    if wanted is null then
        perform tenancy.refuse(403, 'no_tenant', 'The token''s tenant is not open to this user');
    end if;
    perform from tenancy.tenants as t where t.id = wanted for no key update;
    return tenancy.role_in(wanted);
end
$$;

-- The one who answers for a tenant is an owner among its members.
create function tenancy.settle_owner(wanted uuid) returns void
    language sql
    set search_path = ''
begin atomic
    update tenancy.tenants as t
    set owner_id = (
        select m.user_id from tenancy.members as m
        where m.tenant_id = wanted and m.role = 'owner'
        order by m.created_at, m.user_id
        limit 1
    )
    where t.id = wanted
        and not exists (
            select from tenancy.members as m
            where m.tenant_id = wanted and m.user_id = t.owner_id and m.role = 'owner'
        );
end;

-- Without a slug one is made of the name.
create function tenancy.create_team(team_name text, team_metadata jsonb, wanted_slug text default null) returns uuid
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    caller uuid := auth.uid();
    made uuid := gen_random_uuid();
    readable text := btrim(left(btrim(regexp_replace(lower(team_name), '[^a-z0-9]+', '-', 'g'), '-'), 48), '-');
    allowed integer;
begin
    -- One after another for a person, so that their bound holds.
    perform from tenancy.profiles as p where p.user_id = caller for update;
    if not found then
        perform tenancy.refuse(401, 'unauthorized', 'Unauthorized');
    end if;
    if coalesce(auth.jwt() ->> 'is_anonymous', 'false') = 'true' then
        perform tenancy.refuse(403, 'forbidden', 'An anonymous user cannot own a team');
    end if;
    select r.max_teams into allowed from tenancy.rules as r;
    if (select count(*) from tenancy.tenants as t where t.owner_id = caller and not t.personal) >= allowed then
        perform tenancy.refuse(409, 'too_many', format('A person may own %s teams', allowed));
    end if;
    insert into tenancy.tenants (id, name, slug, owner_id, metadata)
    values (
        made, btrim(team_name),
        coalesce(wanted_slug, coalesce(nullif(readable, ''), 'team') || '-' || left(made::text, 8)), caller,
        coalesce(team_metadata, '{}'))
    on conflict (slug) do nothing;
    if not found then
        perform tenancy.refuse(409, 'slug_taken', 'Another tenant has this slug');
    end if;
    insert into tenancy.members (tenant_id, user_id, role) values (made, caller, 'owner');
    insert into tenancy.settings (tenant_id) values (made);
    perform tenancy.audit(made, 'tenant.created', made::text, jsonb_build_object('user_id', caller));
    return made;
end
$$;

-- The members of the request's tenant with what one member may know of another.
create function tenancy.list_members()
    returns table (user_id uuid, role text, email text, full_name text, avatar_url text, created_at timestamptz)
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select m.user_id, m.role, p.email, p.full_name, p.avatar_url, m.created_at
    from tenancy.members as m
    left join tenancy.profiles as p on p.user_id = m.user_id
    where m.tenant_id = (select tenancy.current_tenant())
    order by array_position(array['owner', 'admin', 'member'], m.role), m.created_at, m.user_id;
end;

create function tenancy.count_owners(wanted uuid) returns bigint
    language sql
    stable
    set search_path = ''
begin atomic
    select count(*) from tenancy.members as m where m.tenant_id = wanted and m.role = 'owner';
end;

create function tenancy.change_member_role(member uuid, new_role text) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
    mine text := tenancy.enter_tenant(tenant);
    theirs text;
begin
    if mine is distinct from 'owner' and mine is distinct from 'admin' then
        perform tenancy.refuse(403, 'forbidden', 'Only owners and admins change roles');
    end if;
    if new_role is null or new_role not in ('owner', 'admin', 'member') then
        perform tenancy.refuse(400, 'invalid_request', 'role must be owner, admin or member');
    end if;
    select m.role into theirs from tenancy.members as m where m.tenant_id = tenant and m.user_id = member;
    if not found then
        perform tenancy.refuse(404, 'not_found', 'No such member');
    end if;
    if mine = 'admin' and (theirs = 'owner' or new_role = 'owner') then
        perform tenancy.refuse(403, 'forbidden', 'Only an owner makes owners and changes them');
    end if;
    if theirs = 'owner' and new_role <> 'owner' and tenancy.count_owners(tenant) = 1 then
        perform tenancy.refuse(409, 'last_owner', 'The last owner stays: make another member an owner first');
    end if;
    update tenancy.members as m set role = new_role
    where m.tenant_id = tenant and m.user_id = member and m.role <> new_role;
    perform tenancy.settle_owner(tenant);
end
$$;

-- Removes a member, or oneself.
create function tenancy.remove_member(member uuid) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
    mine text := tenancy.enter_tenant(tenant);
    theirs text;
begin
    select m.role into theirs from tenancy.members as m where m.tenant_id = tenant and m.user_id = member;
    if member is distinct from auth.uid() then
        if mine is distinct from 'owner' and mine is distinct from 'admin' then
            perform tenancy.refuse(403, 'forbidden', 'Only owners and admins remove members');
        end if;
        if theirs is null then
            perform tenancy.refuse(404, 'not_found', 'No such member');
        end if;
        if mine = 'admin' and theirs = 'owner' then
            perform tenancy.refuse(403, 'forbidden', 'Only an owner removes owners');
        end if;
    end if;
    if exists (select from tenancy.tenants as t where t.id = tenant and t.personal and t.owner_id = member) then
        perform tenancy.refuse(409, 'personal_tenant', 'A person stays in their personal tenant');
    end if;
    if theirs = 'owner' and tenancy.count_owners(tenant) = 1 then
        perform tenancy.refuse(
            409, 'last_owner', 'The last owner stays: hand the team over to another member, or delete it');
    end if;
    delete from tenancy.members as m where m.tenant_id = tenant and m.user_id = member;
    perform tenancy.settle_owner(tenant);
end
$$;

-- Hands the team over: the other answers for it from now on, the caller is an admin.
create function tenancy.transfer_ownership(new_owner uuid) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
    mine text := tenancy.enter_tenant(tenant);
    caller uuid := auth.uid();
    found_tenant tenancy.tenants;
begin
    select t.* into found_tenant from tenancy.tenants as t where t.id = tenant;
    if mine is distinct from 'owner' or found_tenant.owner_id is distinct from caller then
        perform tenancy.refuse(403, 'forbidden', 'Only the owner who answers for a team hands it over');
    end if;
    if found_tenant.personal then
        perform tenancy.refuse(409, 'personal_tenant', 'A personal tenant stays with its person');
    end if;
    if new_owner is not distinct from caller then
        perform tenancy.refuse(400, 'invalid_request', 'The team is yours already');
    end if;
    if not exists (select from tenancy.members as m where m.tenant_id = tenant and m.user_id = new_owner) then
        perform tenancy.refuse(404, 'not_found', 'No such member');
    end if;
    update tenancy.members as m set role = 'owner'
    where m.tenant_id = tenant and m.user_id = new_owner and m.role <> 'owner';
    update tenancy.members as m set role = 'admin' where m.tenant_id = tenant and m.user_id = caller;
    update tenancy.tenants as t set owner_id = new_owner where t.id = tenant;
end
$$;

revoke execute on all functions in schema tenancy from public;
grant execute on function
    tenancy.create_team(text, jsonb, text), tenancy.list_members(), tenancy.change_member_role(uuid, text),
    tenancy.remove_member(uuid), tenancy.transfer_ownership(uuid)
    to authenticated;

reset role;
