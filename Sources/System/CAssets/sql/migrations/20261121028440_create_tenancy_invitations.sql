-- SPDX-License-Identifier: Apache-2.0
-- Invitations: for one address, once, for a time. The token is in the mail alone; here is its digest, which no API role reads.

set local role atoll_tenancy;

create table tenancy.invitations (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null,
    email text not null,
    role text not null default 'member',
    token_hash text not null,
    invited_by uuid,
    status text not null default 'pending',
    sent_at timestamptz not null default now(),
    sent_count integer not null default 1,
    expires_at timestamptz not null,
    accepted_by uuid,
    accepted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint invitations_pkey primary key (id),
    constraint invitations_token_hash_key unique (token_hash),
    constraint invitations_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint invitations_invited_by_fkey foreign key (invited_by) references auth.users (id) on delete set null,
    constraint invitations_accepted_by_fkey foreign key (accepted_by) references auth.users (id) on delete set null,
    constraint invitations_email_check check (email = lower(email) and octet_length(email) between 3 and 254),
    constraint invitations_role_check check (role in ('owner', 'admin', 'member')),
    constraint invitations_status_check check (status in ('pending', 'accepted', 'revoked')),
    constraint invitations_token_hash_check check (token_hash ~ '^[0-9a-f]{64}$')
);

create unique index invitations_tenant_id_email_key on tenancy.invitations (tenant_id, email) where status = 'pending';
create index invitations_tenant_id_created_at_idx on tenancy.invitations (tenant_id, created_at desc);
create index invitations_invited_by_idx on tenancy.invitations (invited_by);
create index invitations_accepted_by_idx on tenancy.invitations (accepted_by);

create trigger invitations_touch
    before update on tenancy.invitations
    for each row
    execute function tenancy.touch_updated_at();

alter table tenancy.invitations enable row level security;
alter table tenancy.invitations force row level security;

create policy invitations_owner on tenancy.invitations
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy invitations_read on tenancy.invitations
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()) and (select tenancy.is_current_admin()));

grant
    select (
        id, tenant_id, email, role, invited_by, status, sent_at, sent_count, expires_at, accepted_by, accepted_at,
        created_at, updated_at
    )
    on tenancy.invitations to authenticated, service_role, postgres;

create function tenancy.audit_invitation() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        perform tenancy.audit(
            new.tenant_id, 'invitation.created', new.email, jsonb_build_object('id', new.id, 'role', new.role));
    elsif old.status is distinct from new.status then
        perform tenancy.audit(
            new.tenant_id, 'invitation.' || new.status, new.email,
            jsonb_strip_nulls(jsonb_build_object('id', new.id, 'role', new.role, 'user_id', new.accepted_by)));
    elsif old.token_hash is distinct from new.token_hash then
        perform tenancy.audit(new.tenant_id, 'invitation.resent', new.email, jsonb_build_object('id', new.id));
    end if;
    return null;
end
$$;

create trigger invitations_audit
    after insert or update on tenancy.invitations
    for each row
    execute function tenancy.audit_invitation();

-- The mail of an invitation, sealed by the server: who reads the queue learns who is written to, and no token.
create function tenancy.queue_invitation(mail uuid, payload text, summary jsonb, until timestamptz) returns void
    language sql
    set search_path = ''
begin atomic
    insert into jobs.jobs (id, queue, payload, summary, expires_at)
    values (mail, 'invitations', payload, summary, until);
end;

-- Invites an address into the request's tenant. Whether it has an account changes nothing.
create function tenancy.invite(
    address text, wanted_role text, hash text, mail uuid, payload text, summary jsonb
) returns uuid
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
    mine text := tenancy.enter_tenant(tenant);
    rules tenancy.rules;
    made tenancy.invitations;
begin
    if mine is distinct from 'owner' and mine is distinct from 'admin' then
        perform tenancy.refuse(403, 'forbidden', 'Only owners and admins invite');
    end if;
    if wanted_role is null or wanted_role not in ('owner', 'admin', 'member') then
        perform tenancy.refuse(400, 'invalid_request', 'role must be owner, admin or member');
    end if;
    if mine = 'admin' and wanted_role = 'owner' then
        perform tenancy.refuse(403, 'forbidden', 'Only an owner makes owners and changes them');
    end if;
    if exists (select from tenancy.tenants as t where t.id = tenant and t.personal) then
        perform tenancy.refuse(409, 'personal_tenant', 'A personal tenant has one member: make a team first');
    end if;
    select r.* into rules from tenancy.rules as r;
    update tenancy.invitations as i set status = 'revoked'
    where i.tenant_id = tenant and i.email = address and i.status = 'pending' and i.expires_at <= now();
    if exists (
        select from tenancy.invitations as i
        where i.tenant_id = tenant and i.email = address and i.status = 'pending'
    ) then
        perform tenancy.refuse(409, 'already_invited', 'There is an invitation for this address: send it again or revoke it');
    end if;
    if exists (
        select from tenancy.members as m
        inner join tenancy.profiles as p on p.user_id = m.user_id
        where m.tenant_id = tenant and lower(p.email) = address
    ) then
        perform tenancy.refuse(409, 'already_member', 'Somebody with this address is a member');
    end if;
    -- Also those of the last day that were revoked, so that nobody sends mail without end by revoking.
    if (
        select count(*) from tenancy.invitations as i
        where i.tenant_id = tenant and (i.status = 'pending' or i.created_at > now() - interval '1 day')
    ) >= rules.max_invitations then
        perform tenancy.refuse(409, 'too_many', format('A team may have %s open invitations', rules.max_invitations));
    end if;
    insert into tenancy.invitations (tenant_id, email, role, token_hash, invited_by, expires_at)
    values (
        tenant, address, wanted_role, hash, auth.uid(), now() + rules.invitation_seconds * interval '1 second')
    returning * into made;
    perform tenancy.queue_invitation(mail, payload, summary, made.expires_at);
    return made.id;
end
$$;

-- Another mail with another token; the earlier one is worth nothing from now on.
create function tenancy.resend_invitation(wanted uuid, hash text, mail uuid, payload text, summary jsonb) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
    mine text := tenancy.enter_tenant(tenant);
    rules tenancy.rules;
    known tenancy.invitations;
begin
    if mine is distinct from 'owner' and mine is distinct from 'admin' then
        perform tenancy.refuse(403, 'forbidden', 'Only owners and admins invite');
    end if;
    select r.* into rules from tenancy.rules as r;
    select i.* into known from tenancy.invitations as i
    where i.id = wanted and i.tenant_id = tenant and i.status = 'pending';
    if not found or lower(summary ->> 'to') is distinct from known.email then
        perform tenancy.refuse(404, 'not_found', 'No such invitation');
    end if;
    if mine = 'admin' and known.role = 'owner' then
        perform tenancy.refuse(403, 'forbidden', 'Only an owner makes owners and changes them');
    end if;
    if known.sent_at + rules.invitation_pause_seconds * interval '1 second' > now() then
        perform tenancy.refuse(
            429, 'too_soon',
            format('The invitation was sent a moment ago: wait %s seconds', rules.invitation_pause_seconds));
    end if;
    if known.sent_count >= 20 then
        perform tenancy.refuse(409, 'too_many', 'The invitation was sent 20 times: revoke it');
    end if;
    update tenancy.invitations as i
    set token_hash = hash, sent_at = now(), sent_count = i.sent_count + 1, invited_by = auth.uid(),
        expires_at = now() + rules.invitation_seconds * interval '1 second'
    where i.id = wanted
    returning * into known;
    perform tenancy.queue_invitation(mail, payload, summary, known.expires_at);
end
$$;

create function tenancy.revoke_invitation(wanted uuid) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
    mine text := tenancy.enter_tenant(tenant);
begin
    if mine is distinct from 'owner' and mine is distinct from 'admin' then
        perform tenancy.refuse(403, 'forbidden', 'Only owners and admins revoke invitations');
    end if;
    update tenancy.invitations as i set status = 'revoked'
    where i.id = wanted and i.tenant_id = tenant and i.status = 'pending';
    if not found then
        perform tenancy.refuse(404, 'not_found', 'No such invitation');
    end if;
end
$$;

-- Makes the person a member by the invitation with this digest, if it is for their address and holds. Null says no more than that
-- it does not.
create function tenancy.redeem_invitation(hash text, person uuid) returns uuid
    language plpgsql
    set search_path = ''
as $$
declare
    tenant uuid;
    found_invitation tenancy.invitations;
    allowed integer;
begin
    select i.tenant_id into tenant from tenancy.invitations as i where i.token_hash = hash;
    if not found then
        return null;
    end if;
    -- As the changes of members do, the tenant first.
    perform from tenancy.tenants as t where t.id = tenant and t.status = 'active' for no key update;
    if not found then
        return null;
    end if;
    select i.* into found_invitation
    from tenancy.invitations as i
    where i.token_hash = hash
        and i.status = 'pending'
        and i.expires_at > now()
        and i.email = (select lower(p.email) from tenancy.profiles as p where p.user_id = person)
    for update;
    if not found then
        return null;
    end if;
    select r.max_members into allowed from tenancy.rules as r;
    if (select count(*) from tenancy.members as m where m.tenant_id = tenant) >= allowed then
        perform tenancy.refuse(409, 'too_many', format('A team may have %s members', allowed));
    end if;
    insert into tenancy.members (tenant_id, user_id, role)
    values (tenant, person, found_invitation.role)
    on conflict (tenant_id, user_id) do nothing;
    update tenancy.invitations as i
    set status = 'accepted', accepted_by = person, accepted_at = now()
    where i.id = found_invitation.id;
    return tenant;
end
$$;

create function tenancy.accept_invitation(hash text) returns uuid
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.redeem_invitation(hash, auth.uid());
begin
    if tenant is null then
        perform tenancy.refuse(404, 'invitation_invalid', 'The invitation is not valid for this account, or not any more');
    end if;
    return tenant;
end
$$;

-- Somebody new accepts while signing up, with `invitation_token` among the data. The token is kept out of the account, and one that
-- is not good changes nothing of the sign-up.
create function tenancy.hold_invitation() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    perform set_config('tenancy.invitation', new.id || ' ' || left(new.raw_user_meta_data ->> 'invitation_token', 256), true);
    new.raw_user_meta_data := new.raw_user_meta_data - 'invitation_token';
    return new;
end
$$;

create function tenancy.accept_at_sign_up() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    held text := current_setting('tenancy.invitation', true);
begin
    if held is not null and held like new.id || ' %' then
        perform set_config('tenancy.invitation', '', true);
        begin
            perform tenancy.redeem_invitation(
                encode(sha256(convert_to(substr(held, 38), 'UTF8')), 'hex'), new.id);
        exception when sqlstate 'PT409' then
            null;
        end;
    end if;
    return null;
end
$$;

revoke execute on all functions in schema tenancy from public;
grant execute on function
    tenancy.invite(text, text, text, uuid, text, jsonb),
    tenancy.resend_invitation(uuid, text, uuid, text, jsonb),
    tenancy.revoke_invitation(uuid),
    tenancy.accept_invitation(text)
    to authenticated;
grant execute on function tenancy.hold_invitation(), tenancy.accept_at_sign_up() to supabase_auth_admin;

reset role;
set local role supabase_auth_admin;

create trigger atoll_hold_invitation
    before insert on auth.users
    for each row
    when (jsonb_typeof(new.raw_user_meta_data -> 'invitation_token') = 'string')
    execute function tenancy.hold_invitation();

-- After atoll_provision_user, by its name.
create trigger atoll_redeem_invitation
    after insert on auth.users
    for each row
    when (current_setting('tenancy.invitation', true) like new.id || ' %')
    execute function tenancy.accept_at_sign_up();

reset role;
