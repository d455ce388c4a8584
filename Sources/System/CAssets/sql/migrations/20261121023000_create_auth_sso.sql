-- SPDX-License-Identifier: Apache-2.0
-- What else a schema `auth` is expected to have, so that rows of other projects can be copied in and tools that list its
-- tables find them: instances, single sign-on, the state of an external sign-in.

set local role supabase_auth_admin;

create table auth.instances (
    id uuid not null,
    uuid uuid,
    raw_base_config text,
    created_at timestamptz,
    updated_at timestamptz,
    constraint instances_pkey primary key (id)
);

create table auth.schema_migrations (
    version character varying(255) not null,
    constraint schema_migrations_pkey primary key (version)
);

create table auth.sso_providers (
    id uuid not null,
    resource_id text,
    created_at timestamptz,
    updated_at timestamptz,
    disabled boolean,
    constraint sso_providers_pkey primary key (id),
    constraint sso_providers_resource_id_check check (resource_id is null or char_length(resource_id) > 0)
);

create unique index sso_providers_resource_id_idx on auth.sso_providers (lower(resource_id));

create table auth.sso_domains (
    id uuid not null,
    sso_provider_id uuid not null,
    domain text not null,
    created_at timestamptz,
    updated_at timestamptz,
    constraint sso_domains_pkey primary key (id),
    constraint sso_domains_sso_provider_id_fkey
        foreign key (sso_provider_id) references auth.sso_providers (id) on delete cascade,
    constraint sso_domains_domain_check check (char_length(domain) > 0)
);

create unique index sso_domains_domain_idx on auth.sso_domains (lower(domain));
create index sso_domains_sso_provider_id_idx on auth.sso_domains (sso_provider_id);

create table auth.saml_providers (
    id uuid not null,
    sso_provider_id uuid not null,
    entity_id text not null,
    metadata_xml text not null,
    metadata_url text,
    attribute_mapping jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    name_id_format text,
    constraint saml_providers_pkey primary key (id),
    constraint saml_providers_entity_id_key unique (entity_id),
    constraint saml_providers_sso_provider_id_fkey
        foreign key (sso_provider_id) references auth.sso_providers (id) on delete cascade,
    constraint saml_providers_entity_id_check check (char_length(entity_id) > 0),
    constraint saml_providers_metadata_xml_check check (char_length(metadata_xml) > 0),
    constraint saml_providers_metadata_url_check check (metadata_url is null or char_length(metadata_url) > 0)
);

create index saml_providers_sso_provider_id_idx on auth.saml_providers (sso_provider_id);

create table auth.saml_relay_states (
    id uuid not null,
    sso_provider_id uuid not null,
    request_id text not null,
    for_email text,
    redirect_to text,
    created_at timestamptz,
    updated_at timestamptz,
    flow_state_id uuid,
    constraint saml_relay_states_pkey primary key (id),
    constraint saml_relay_states_sso_provider_id_fkey
        foreign key (sso_provider_id) references auth.sso_providers (id) on delete cascade,
    constraint saml_relay_states_flow_state_id_fkey
        foreign key (flow_state_id) references auth.flow_state (id) on delete cascade,
    constraint saml_relay_states_request_id_check check (char_length(request_id) > 0)
);

create index saml_relay_states_sso_provider_id_idx on auth.saml_relay_states (sso_provider_id);
create index saml_relay_states_created_at_idx on auth.saml_relay_states (created_at desc);
create index saml_relay_states_flow_state_id_idx on auth.saml_relay_states (flow_state_id);

create table auth.oauth_client_states (
    id uuid not null,
    provider_type text not null,
    code_verifier text,
    created_at timestamptz not null,
    constraint oauth_client_states_pkey primary key (id)
);

create index oauth_client_states_created_at_idx on auth.oauth_client_states (created_at);

alter table auth.instances enable row level security;
alter table auth.schema_migrations enable row level security;
alter table auth.sso_providers enable row level security;
alter table auth.sso_domains enable row level security;
alter table auth.saml_providers enable row level security;
alter table auth.saml_relay_states enable row level security;
alter table auth.oauth_client_states enable row level security;

reset role;
