-- SPDX-License-Identifier: Apache-2.0
-- What is on its way. A file is named by the version of its row and by nothing else. From the first byte to the commit of the
-- object's row a row here knows the file; from the end of the object's row to the end of the file a row of
-- storage.removed_versions does. So a server that was killed finds every file without an object, and nothing else.

grant usage on schema extensions to supabase_storage_admin;

set local role supabase_storage_admin;

create table storage.uploads (
    version text not null,
    kind text not null,
    -- The server whose disk holds the bytes.
    node uuid not null,
    bucket_id text not null,
    name text not null,
    owner_id text,
    tenant_id uuid,
    reserved_bytes bigint not null default 0,
    reserved_objects bigint not null default 0,
    -- Null until the client says it.
    byte_count bigint,
    upsert boolean not null default false,
    mime_type text,
    cache_control text,
    user_metadata jsonb,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint uploads_pkey primary key (version),
    constraint uploads_kind_check check (kind in ('plain', 'resumable', 'multipart')),
    constraint uploads_reserved_check check (reserved_bytes >= 0 and reserved_objects >= 0),
    constraint uploads_byte_count_check check (byte_count >= 0)
);

create index uploads_node_idx on storage.uploads (node);
create index uploads_expires_at_idx on storage.uploads (expires_at);
create index uploads_bucket_id_name_idx on storage.uploads (bucket_id, name collate "C") where kind = 'multipart';

-- Parts of multipart uploads of the S3 protocol.
create table storage.upload_parts (
    version text not null,
    part_number integer not null,
    -- The file's name below the upload's; a part that is sent again has another.
    file text not null,
    byte_count bigint not null,
    etag text not null,
    created_at timestamptz not null default now(),
    constraint upload_parts_pkey primary key (version, part_number),
    constraint upload_parts_version_fkey foreign key (version) references storage.uploads (version) on delete cascade,
    constraint upload_parts_part_number_check check (part_number between 1 and 10000)
);

create table storage.removed_versions (
    version text not null,
    removed_at timestamptz not null default now(),
    constraint removed_versions_pkey primary key (version)
);

create index removed_versions_removed_at_idx on storage.removed_versions (removed_at);

alter table storage.uploads enable row level security;
alter table storage.upload_parts enable row level security;
alter table storage.removed_versions enable row level security;

reset role;
