-- SPDX-License-Identifier: Apache-2.0
-- Third-party API keys of a tenant, sealed by the server: ciphertext only, bound to tenant and service name. No API role
-- may read `envelope` from the table; tenancy.use_secret() gives it for the tenant of the request.

set local role atoll_tenancy;

create table tenancy.secrets (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null,
    user_id uuid,
    service_name text not null,
    envelope text not null,
    is_active boolean not null default true,
    last_used_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint secrets_pkey primary key (id),
    constraint secrets_tenant_id_service_name_key unique (tenant_id, service_name),
    constraint secrets_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint secrets_user_id_fkey foreign key (user_id) references auth.users (id) on delete set null,
    constraint secrets_service_name_check check (service_name ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'),
    constraint secrets_envelope_check check (char_length(envelope) between 32 and 16384)
);

create index secrets_user_id_idx on tenancy.secrets (user_id);

create trigger secrets_touch
    before update on tenancy.secrets
    for each row
    when (old.envelope is distinct from new.envelope or old.is_active is distinct from new.is_active)
    execute function tenancy.touch_updated_at();

alter table tenancy.secrets enable row level security;
alter table tenancy.secrets force row level security;

create policy secrets_owner on tenancy.secrets
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy secrets_read on tenancy.secrets
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy secrets_insert on tenancy.secrets
    for insert
    to authenticated
    with check (
        tenant_id = (select tenancy.current_tenant())
        and user_id = (select auth.uid())
        and (select tenancy.is_current_admin())
    );

create policy secrets_update on tenancy.secrets
    for update
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()) and (select tenancy.is_current_admin()))
    with check (
        tenant_id = (select tenancy.current_tenant())
        and user_id = (select auth.uid())
        and (select tenancy.is_current_admin())
    );

create policy secrets_delete on tenancy.secrets
    for delete
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()) and (select tenancy.is_current_admin()));

grant
    select (id, tenant_id, user_id, service_name, is_active, last_used_at, created_at, updated_at),
    insert (tenant_id, user_id, service_name, envelope, is_active),
    update (user_id, envelope, is_active),
    delete
    on tenancy.secrets
    to authenticated;
grant
    select (id, tenant_id, user_id, service_name, is_active, last_used_at, created_at, updated_at),
    delete
    on tenancy.secrets
    to service_role;
grant select (id, tenant_id, user_id, service_name, is_active, last_used_at, created_at, updated_at)
    on tenancy.secrets
    to postgres;

-- A bound, so that a tenant cannot fill the database with ciphertext. Two requests at once may go one over it.
create function tenancy.limit_secrets() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if (select count(*) from tenancy.secrets as s where s.tenant_id = new.tenant_id) >= 200 then
        raise exception 'a tenant has at most 200 secrets' using errcode = '54000';
    end if;
    return new;
end
$$;

revoke execute on function tenancy.limit_secrets() from public;

create trigger secrets_limit
    before insert on tenancy.secrets
    for each row
    execute function tenancy.limit_secrets();

-- Every change of a secret leaves an entry, whoever makes it. Storing the same envelope again is no change.
create function tenancy.audit_secret() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        perform tenancy.audit(new.tenant_id, 'secret.created', new.service_name, null);
    elsif tg_op = 'DELETE' then
        perform tenancy.audit(old.tenant_id, 'secret.deleted', old.service_name, null);
    elsif old.envelope is distinct from new.envelope then
        perform tenancy.audit(new.tenant_id, 'secret.replaced', new.service_name, null);
    elsif old.is_active is distinct from new.is_active then
        perform tenancy.audit(
            new.tenant_id,
            case when new.is_active then 'secret.activated' else 'secret.revoked' end,
            new.service_name,
            null);
    end if;
    return null;
end
$$;

revoke execute on function tenancy.audit_secret() from public;

create trigger secrets_audit
    after insert or update or delete on tenancy.secrets
    for each row
    execute function tenancy.audit_secret();

-- The envelope of an active secret of the request's tenant, for the server to open on the tenant's behalf. The tenant comes
-- from the claims, never from the caller; the use is recorded.
create function tenancy.use_secret(wanted_service text)
    returns table (tenant_id uuid, service_name text, envelope text)
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    found_secret tenancy.secrets;
begin
    update tenancy.secrets as s
    set last_used_at = now()
    where s.tenant_id = (select tenancy.current_tenant())
        and s.service_name = wanted_service
        and s.is_active
    returning s.* into found_secret;
    if not found then
        return;
    end if;
    perform tenancy.audit(found_secret.tenant_id, 'secret.used', found_secret.service_name, null);
    return query select found_secret.tenant_id, found_secret.service_name, found_secret.envelope;
end
$$;

revoke execute on function tenancy.use_secret(text) from public;
grant execute on function tenancy.use_secret(text) to authenticated;

reset role;
