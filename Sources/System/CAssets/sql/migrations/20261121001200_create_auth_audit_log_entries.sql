-- SPDX-License-Identifier: Apache-2.0
-- What happened to accounts and sessions, written by Auth.

set local role supabase_auth_admin;

create table auth.audit_log_entries (
    instance_id uuid,
    id uuid not null,
    payload json,
    created_at timestamptz,
    ip_address character varying(64) not null default '',
    constraint audit_log_entries_pkey primary key (id)
);

create index audit_log_entries_instance_id_idx on auth.audit_log_entries (instance_id);
create index audit_log_entries_created_at_idx on auth.audit_log_entries (created_at);

alter table auth.audit_log_entries enable row level security;

reset role;
