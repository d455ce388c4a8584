-- SPDX-License-Identifier: Apache-2.0
-- The tenant of a request, and the policies of tenants and members that rest on it.

set local role atoll_tenancy;

-- The tenant the token names, if its user is a member of it now and it is active; null otherwise, which no row equals. A
-- token outlives a membership, so the claim alone proves nothing. Wrapped as `(select tenancy.current_tenant())` in a
-- policy it runs once a query.
create function tenancy.current_tenant() returns uuid
    language sql
    stable
    parallel safe
    security definer
    set search_path = ''
begin atomic
    select m.tenant_id
    from tenancy.members as m
    inner join tenancy.tenants as t on t.id = m.tenant_id
    where m.user_id = (select auth.uid())
        and m.tenant_id = (
            select
                case
                    when claim ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then claim::uuid
                end
            from (select auth.jwt() -> 'app_metadata' ->> 'tenant_id') as token (claim)
        )
        and t.status = 'active';
end;

-- The caller's role in that tenant.
create function tenancy.current_member_role() returns text
    language sql
    stable
    parallel safe
    security definer
    set search_path = ''
begin atomic
    select m.role
    from tenancy.members as m
    where m.user_id = (select auth.uid())
        and m.tenant_id = (select tenancy.current_tenant());
end;

create function tenancy.is_current_admin() returns boolean
    language sql
    stable
    parallel safe
    security definer
    set search_path = ''
begin atomic
    select coalesce((select tenancy.current_member_role()) in ('owner', 'admin'), false);
end;

revoke execute on function tenancy.current_tenant() from public;
revoke execute on function tenancy.current_member_role() from public;
revoke execute on function tenancy.is_current_admin() from public;
-- `anon` too, for whom they answer null and false: a policy for everybody that calls one must not fail.
grant execute on function tenancy.current_tenant() to anon, authenticated, service_role, postgres;
grant execute on function tenancy.current_member_role() to anon, authenticated, service_role, postgres;
grant execute on function tenancy.is_current_admin() to anon, authenticated, service_role, postgres;

create policy tenants_owner on tenancy.tenants
    for all
    to atoll_tenancy
    using (true)
    with check (true);

-- All of a user's tenants, so that one can be chosen to switch to.
create policy tenants_read on tenancy.tenants
    for select
    to authenticated
    using (id in (select m.tenant_id from tenancy.members as m where m.user_id = (select auth.uid())));

create policy tenants_update on tenancy.tenants
    for update
    to authenticated
    using (id = (select tenancy.current_tenant()) and (select tenancy.is_current_admin()))
    with check (id = (select tenancy.current_tenant()) and (select tenancy.is_current_admin()));

grant select, update (name, metadata) on tenancy.tenants to authenticated;
grant select, references on tenancy.tenants to postgres;
grant select, insert, update, delete on tenancy.tenants to service_role;

create policy members_owner on tenancy.members
    for all
    to atoll_tenancy
    using (true)
    with check (true);

-- One's own memberships everywhere, and everybody's in the tenant of the request.
create policy members_read on tenancy.members
    for select
    to authenticated
    using (user_id = (select auth.uid()) or tenant_id = (select tenancy.current_tenant()));

grant select on tenancy.members to authenticated;
grant select, references on tenancy.members to postgres;
grant select, insert, update, delete on tenancy.members to service_role;

reset role;
