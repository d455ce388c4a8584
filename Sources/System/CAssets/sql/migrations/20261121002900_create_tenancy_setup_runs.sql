-- SPDX-License-Identifier: Apache-2.0
-- What the set-up wizard did: one run with its steps, which can be resumed.

set local role atoll_tenancy;

create table tenancy.setup_runs (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null,
    started_by uuid,
    status text not null default 'running',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint setup_runs_pkey primary key (id),
    constraint setup_runs_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint setup_runs_started_by_fkey foreign key (started_by) references auth.users (id) on delete set null,
    constraint setup_runs_status_check check (status in ('running', 'failed', 'completed'))
);

create index setup_runs_tenant_id_created_at_idx on tenancy.setup_runs (tenant_id, created_at desc);
create index setup_runs_started_by_idx on tenancy.setup_runs (started_by);
-- A tenant has one unfinished run, which a second request resumes.
create unique index setup_runs_unfinished_key on tenancy.setup_runs (tenant_id) where status <> 'completed';

create trigger setup_runs_touch
    before update on tenancy.setup_runs
    for each row
    execute function tenancy.touch_updated_at();

create table tenancy.setup_steps (
    run_id uuid not null,
    name text not null,
    position smallint not null,
    status text not null default 'pending',
    attempts integer not null default 0,
    error text,
    started_at timestamptz,
    finished_at timestamptz,
    constraint setup_steps_pkey primary key (run_id, name),
    constraint setup_steps_run_id_position_key unique (run_id, position),
    constraint setup_steps_run_id_fkey foreign key (run_id) references tenancy.setup_runs (id) on delete cascade,
    constraint setup_steps_name_check check (name ~ '^[a-z][a-z0-9_]{0,63}$'),
    constraint setup_steps_status_check check (status in ('pending', 'running', 'failed', 'completed', 'skipped')),
    constraint setup_steps_attempts_check check (attempts >= 0),
    constraint setup_steps_error_check check (char_length(error) <= 4096)
);

alter table tenancy.setup_runs enable row level security;
alter table tenancy.setup_runs force row level security;
alter table tenancy.setup_steps enable row level security;
alter table tenancy.setup_steps force row level security;

create policy setup_runs_owner on tenancy.setup_runs
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy setup_runs_read on tenancy.setup_runs
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy setup_steps_owner on tenancy.setup_steps
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy setup_steps_read on tenancy.setup_steps
    for select
    to authenticated
    using (run_id in (select r.id from tenancy.setup_runs as r where r.tenant_id = (select tenancy.current_tenant())));

grant select on tenancy.setup_runs, tenancy.setup_steps to authenticated;
grant select, references on tenancy.setup_runs, tenancy.setup_steps to postgres;
grant select, insert, update, delete on tenancy.setup_runs, tenancy.setup_steps to service_role;

reset role;
