-- SPDX-License-Identifier: Apache-2.0
-- A link's token is a secret of its own, kept as a digest beside that of the code; wrong codes are counted.

set local role supabase_auth_admin;

alter table auth.one_time_tokens
    add column link_hash text,
    add column attempts integer not null default 0,
    add column issued_at timestamptz not null default now(),
    add constraint one_time_tokens_attempts_check check (attempts >= 0);

create unique index one_time_tokens_link_hash_key on auth.one_time_tokens (link_hash);

reset role;
