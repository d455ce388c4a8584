-- SPDX-License-Identifier: Apache-2.0
-- Third-party services provisioned for a tenant.

set local role atoll_tenancy;

create table tenancy.services (
    tenant_id uuid not null,
    service_name text not null,
    external_id text,
    config jsonb not null default '{}',
    enabled boolean not null default true,
    status text not null default 'pending',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint services_pkey primary key (tenant_id, service_name),
    constraint services_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint services_service_name_check check (service_name ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'),
    constraint services_external_id_check check (char_length(external_id) <= 255),
    constraint services_config_check check (jsonb_typeof(config) = 'object' and octet_length(config::text) <= 65536),
    constraint services_status_check check (status in ('pending', 'provisioning', 'active', 'failed', 'removed'))
);

create trigger services_touch
    before update on tenancy.services
    for each row
    execute function tenancy.touch_updated_at();

alter table tenancy.services enable row level security;
alter table tenancy.services force row level security;

create policy services_owner on tenancy.services
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy services_read on tenancy.services
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

grant select on tenancy.services to authenticated;
grant select, references on tenancy.services to postgres;
grant select, insert, update, delete on tenancy.services to service_role;

reset role;
