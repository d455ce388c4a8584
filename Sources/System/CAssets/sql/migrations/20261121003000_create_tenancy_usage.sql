-- SPDX-License-Identifier: Apache-2.0
-- Metering: each use, and its sums by calendar month (UTC), from which limits are told without a scheduled job.

set local role atoll_tenancy;

create table tenancy.usage_events (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null,
    user_id uuid,
    service_name text not null,
    endpoint text,
    cost_cents integer not null default 0,
    tokens_used integer,
    response_time_ms integer,
    created_at timestamptz not null default now(),
    constraint usage_events_pkey primary key (id),
    constraint usage_events_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint usage_events_user_id_fkey foreign key (user_id) references auth.users (id) on delete set null,
    constraint usage_events_service_name_check check (service_name ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'),
    constraint usage_events_endpoint_check check (char_length(endpoint) <= 2048),
    constraint usage_events_cost_cents_check check (cost_cents >= 0),
    constraint usage_events_tokens_used_check check (tokens_used >= 0),
    constraint usage_events_response_time_ms_check check (response_time_ms >= 0)
);

create index usage_events_tenant_id_created_at_idx on tenancy.usage_events (tenant_id, created_at desc);
create index usage_events_user_id_idx on tenancy.usage_events (user_id);

create table tenancy.usage_counters (
    tenant_id uuid not null,
    period date not null,
    service_name text not null,
    cost_cents bigint not null default 0,
    tokens bigint not null default 0,
    requests bigint not null default 0,
    updated_at timestamptz not null default now(),
    constraint usage_counters_pkey primary key (tenant_id, period, service_name),
    constraint usage_counters_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint usage_counters_period_check check (extract(day from period) = 1)
);

alter table tenancy.usage_events enable row level security;
alter table tenancy.usage_events force row level security;
alter table tenancy.usage_counters enable row level security;
alter table tenancy.usage_counters force row level security;

create policy usage_events_owner on tenancy.usage_events
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy usage_events_read on tenancy.usage_events
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy usage_counters_owner on tenancy.usage_counters
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy usage_counters_read on tenancy.usage_counters
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

grant select on tenancy.usage_events, tenancy.usage_counters to authenticated;
grant select, references on tenancy.usage_events, tenancy.usage_counters to postgres;
grant select, insert, update, delete on tenancy.usage_events, tenancy.usage_counters to service_role;

reset role;
