-- SPDX-License-Identifier: Apache-2.0
-- Who belongs to a tenant. This table, not the token, decides: see tenancy.current_tenant().

set local role atoll_tenancy;

create table tenancy.members (
    tenant_id uuid not null,
    user_id uuid not null,
    role text not null default 'member',
    created_at timestamptz not null default now(),
    constraint members_pkey primary key (tenant_id, user_id),
    constraint members_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint members_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint members_role_check check (role in ('owner', 'admin', 'member'))
);

create index members_user_id_idx on tenancy.members (user_id);

alter table tenancy.members enable row level security;
alter table tenancy.members force row level security;

reset role;
