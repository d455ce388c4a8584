-- SPDX-License-Identifier: Apache-2.0
-- What a tenant's set-up stored.

set local role atoll_tenancy;

create table tenancy.settings (
    tenant_id uuid not null,
    vector_collection text,
    preferences jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint settings_pkey primary key (tenant_id),
    constraint settings_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint settings_vector_collection_check check (vector_collection ~ '^[A-Za-z0-9_-]{1,255}$'),
    constraint settings_preferences_check
        check (jsonb_typeof(preferences) = 'object' and octet_length(preferences::text) <= 65536)
);

create trigger settings_touch
    before update on tenancy.settings
    for each row
    execute function tenancy.touch_updated_at();

alter table tenancy.settings enable row level security;
alter table tenancy.settings force row level security;

create policy settings_owner on tenancy.settings
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy settings_read on tenancy.settings
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy settings_update on tenancy.settings
    for update
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()) and (select tenancy.is_current_admin()))
    with check (tenant_id = (select tenancy.current_tenant()) and (select tenancy.is_current_admin()));

-- The collection's name is the server's to choose: it must never name another tenant's.
grant select, update (preferences) on tenancy.settings to authenticated;
grant select, references on tenancy.settings to postgres;
grant select, insert, update, delete on tenancy.settings to service_role;

reset role;
