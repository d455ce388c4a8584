-- SPDX-License-Identifier: Apache-2.0
-- What a tenant may use in a calendar month. Null is no limit.

-- Every definer function of this schema reads auth.uid() and the table of accounts no further than this.
grant references (id) on auth.users to atoll_tenancy;

set local role atoll_tenancy;

create table tenancy.plans (
    name text not null,
    title text not null,
    monthly_cost_cents bigint,
    monthly_tokens bigint,
    monthly_requests bigint,
    created_at timestamptz not null default now(),
    constraint plans_pkey primary key (name),
    constraint plans_name_check check (name ~ '^[a-z][a-z0-9_-]{0,31}$'),
    constraint plans_monthly_cost_cents_check check (monthly_cost_cents >= 0),
    constraint plans_monthly_tokens_check check (monthly_tokens >= 0),
    constraint plans_monthly_requests_check check (monthly_requests >= 0)
);

alter table tenancy.plans enable row level security;
alter table tenancy.plans force row level security;

create policy plans_owner on tenancy.plans
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy plans_read on tenancy.plans
    for select
    to authenticated
    using (true);

grant select on tenancy.plans to authenticated, postgres;
grant select, insert, update, delete on tenancy.plans to service_role;

insert into tenancy.plans (name, title, monthly_cost_cents, monthly_tokens, monthly_requests)
values
    ('free', 'Free', 1000, 1000000, 10000),
    ('pro', 'Pro', 50000, 50000000, 1000000),
    ('enterprise', 'Enterprise', null, null, null);

reset role;
