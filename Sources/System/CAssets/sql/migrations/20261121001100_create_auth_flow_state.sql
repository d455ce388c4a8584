-- SPDX-License-Identifier: Apache-2.0
-- The state of a sign-in between two requests (PKCE, external providers).

set local role supabase_auth_admin;

create type auth.code_challenge_method as enum ('s256', 'plain');

create table auth.flow_state (
    id uuid not null,
    user_id uuid,
    auth_code text,
    code_challenge_method auth.code_challenge_method,
    code_challenge text,
    provider_type text not null,
    provider_access_token text,
    provider_refresh_token text,
    created_at timestamptz,
    updated_at timestamptz,
    authentication_method text not null,
    auth_code_issued_at timestamptz,
    invite_token text,
    referrer text,
    oauth_client_state_id uuid,
    linking_target_id uuid,
    email_optional boolean not null default false,
    constraint flow_state_pkey primary key (id)
);

create index flow_state_created_at_idx on auth.flow_state (created_at desc);
create index flow_state_auth_code_idx on auth.flow_state (auth_code);
create index flow_state_user_id_auth_method_idx on auth.flow_state (user_id, authentication_method);

alter table auth.flow_state enable row level security;

reset role;
