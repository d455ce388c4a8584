-- SPDX-License-Identifier: Apache-2.0
-- An invitation holds as long as who made it may make it: else somebody who is about to be removed comes back by one to
-- another address of theirs.

set local role atoll_tenancy;

create function tenancy.revoke_invitations_of_member() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    -- A tenant that goes takes its invitations along.
    if not exists (select from tenancy.tenants as t where t.id = old.tenant_id) then
        return null;
    end if;
    update tenancy.invitations as i
    set status = 'revoked'
    where i.tenant_id = old.tenant_id
        and i.invited_by = old.user_id
        and i.status = 'pending'
        and (
            tg_op = 'DELETE'
            or new.role = 'member'
            or (new.role = 'admin' and i.role = 'owner')
        );
    return null;
end
$$;

revoke execute on function tenancy.revoke_invitations_of_member() from public;

create trigger members_revoke_invitations
    after delete or update of role on tenancy.members
    for each row
    execute function tenancy.revoke_invitations_of_member();

-- Of a deleted account: whether its memberships go before its invitations forget who made them is not settled.
create function tenancy.revoke_invitation_of_nobody() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    new.status := 'revoked';
    return new;
end
$$;

revoke execute on function tenancy.revoke_invitation_of_nobody() from public;

create trigger invitations_revoke
    before update of invited_by on tenancy.invitations
    for each row
    when (old.status = 'pending' and new.status = 'pending' and old.invited_by is not null and new.invited_by is null)
    execute function tenancy.revoke_invitation_of_nobody();

reset role;
