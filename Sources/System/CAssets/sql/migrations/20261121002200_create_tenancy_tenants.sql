-- SPDX-License-Identifier: Apache-2.0
-- The unit of isolation. Policies follow with tenancy.current_tenant().

set local role atoll_tenancy;

create table tenancy.tenants (
    id uuid not null default gen_random_uuid(),
    name text not null,
    slug text not null,
    domain text,
    owner_id uuid,
    personal boolean not null default false,
    isolation text not null default 'shared',
    plan text not null default 'free',
    status text not null default 'active',
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tenants_pkey primary key (id),
    constraint tenants_slug_key unique (slug),
    constraint tenants_domain_key unique (domain),
    constraint tenants_owner_id_fkey foreign key (owner_id) references auth.users (id) on delete set null,
    constraint tenants_plan_fkey foreign key (plan) references tenancy.plans (name) on update cascade,
    constraint tenants_name_check check (char_length(name) between 1 and 200),
    constraint tenants_slug_check check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    constraint tenants_domain_check check (domain ~ '^[a-z0-9.-]{1,253}$'),
    constraint tenants_isolation_check check (isolation in ('shared', 'schema', 'database')),
    constraint tenants_status_check check (status in ('active', 'suspended', 'deleted')),
    constraint tenants_metadata_check check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 65536)
);

create index tenants_owner_id_idx on tenancy.tenants (owner_id);
create index tenants_plan_idx on tenancy.tenants (plan);
-- One personal tenant a user.
create unique index tenants_personal_owner_key on tenancy.tenants (owner_id) where personal;

create trigger tenants_touch
    before update on tenancy.tenants
    for each row
    execute function tenancy.touch_updated_at();

alter table tenancy.tenants enable row level security;
alter table tenancy.tenants force row level security;

reset role;
