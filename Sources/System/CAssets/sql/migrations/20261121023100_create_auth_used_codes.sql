-- SPDX-License-Identifier: Apache-2.0
-- The periods of an authenticator app's codes that were accepted: no code counts twice (RFC 6238 section 5.2). A table of
-- its own, so that `auth.mfa_factors` keeps the columns other programs copy.

set local role supabase_auth_admin;

create table auth.mfa_used_codes (
    factor_id uuid not null,
    step bigint not null,
    used_at timestamptz not null default now(),
    constraint mfa_used_codes_pkey primary key (factor_id, step),
    constraint mfa_used_codes_factor_id_fkey
        foreign key (factor_id) references auth.mfa_factors (id) on delete cascade
);

create index mfa_used_codes_used_at_idx on auth.mfa_used_codes (used_at);

alter table auth.mfa_used_codes enable row level security;

reset role;
