-- SPDX-License-Identifier: Apache-2.0
-- Who changed what. Append-only: nobody, not even the owner, has a privilege or a policy to change or delete a row. It
-- outlives the tenant and the user, so it has no foreign keys.

set local role atoll_tenancy;

create table tenancy.audit_log (
    id uuid not null default gen_random_uuid(),
    at timestamptz not null default now(),
    tenant_id uuid,
    actor uuid,
    action text not null,
    target text,
    detail jsonb not null default '{}',
    request_id text,
    constraint audit_log_pkey primary key (id),
    constraint audit_log_action_check check (action ~ '^[a-z][a-z_]*(\.[a-z][a-z_]*)+$'),
    constraint audit_log_target_check check (char_length(target) <= 1024),
    constraint audit_log_request_id_check check (char_length(request_id) <= 128)
);

create index audit_log_tenant_id_at_idx on tenancy.audit_log (tenant_id, at desc);

alter table tenancy.audit_log enable row level security;
alter table tenancy.audit_log force row level security;

create policy audit_log_owner_append on tenancy.audit_log
    for insert
    to atoll_tenancy
    with check (true);

create policy audit_log_owner_read on tenancy.audit_log
    for select
    to atoll_tenancy
    using (true);

create policy audit_log_read on tenancy.audit_log
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()) and (select tenancy.is_current_admin()));

revoke update, delete, truncate on tenancy.audit_log from atoll_tenancy;
grant select on tenancy.audit_log to authenticated, postgres;
grant select, insert on tenancy.audit_log to service_role;

-- Appends an entry for the tenant and user of the running request. For triggers of this schema: callers cannot choose
-- whom they accuse, because the actor comes from the claims.
create function tenancy.audit(tenant uuid, audited_action text, audited_target text, audited_detail jsonb) returns void
    language sql
    security definer
    set search_path = ''
begin atomic
    insert into tenancy.audit_log (tenant_id, actor, action, target, detail, request_id)
    values (
        tenant,
        (select auth.uid()),
        audited_action,
        left(audited_target, 1024),
        coalesce(audited_detail, '{}'),
        left(nullif(current_setting('request.id', true), ''), 128)
    );
end;

revoke execute on function tenancy.audit(uuid, text, text, jsonb) from public;

reset role;
