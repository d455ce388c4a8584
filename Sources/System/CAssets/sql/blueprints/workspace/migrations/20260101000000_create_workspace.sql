-- SPDX-License-Identifier: Apache-2.0
-- Third-party services provisioned for tenants. Tenants themselves, their members and their status are the platform's
-- (schema tenancy, /api/tenants): a second table of tenants would be a second truth. Views serve them under the names that
-- clients use, with the rights of who asks.

create view public.tenants with (security_invoker = true) as
    select id, name, slug, domain, owner_id, metadata, status, created_at, updated_at
    from tenancy.tenants;

create view public.tenant_services with (security_invoker = true) as
    select tenant_id, service_name, external_id as service_id, config, enabled, status, created_at
    from tenancy.services;

revoke all on public.tenants, public.tenant_services from anon;

-- What a tenant wants of its services; the server's worker takes it from here with the service role.
create table public.provisioning_requests (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null default tenancy.current_tenant(),
    requested_by uuid default auth.uid(),
    service_name text not null,
    state text not null default 'requested',
    created_at timestamptz not null default now(),
    constraint provisioning_requests_pkey primary key (id),
    constraint provisioning_requests_tenant_id_fkey
        foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint provisioning_requests_requested_by_fkey
        foreign key (requested_by) references auth.users (id) on delete set null,
    constraint provisioning_requests_service_name_check
        check (service_name in ('chatwoot', 'botpress', 'n8n', 'odoo')),
    constraint provisioning_requests_state_check check (state in ('requested', 'running', 'done', 'failed'))
);

create index provisioning_requests_tenant_idx on public.provisioning_requests (tenant_id, created_at desc);
create index provisioning_requests_requested_by_idx on public.provisioning_requests (requested_by);

alter table public.provisioning_requests enable row level security;
alter table public.provisioning_requests force row level security;
revoke all on public.provisioning_requests from anon;
revoke update, delete on public.provisioning_requests from authenticated;

create policy provisioning_requests_read on public.provisioning_requests
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy provisioning_requests_make on public.provisioning_requests
    for insert
    to authenticated
    with check (
        tenant_id = (select tenancy.current_tenant())
        and requested_by = (select auth.uid())
        and (select tenancy.is_current_admin())
    );

-- Logos and uploads, in the tenant's folder.
insert into storage.buckets (id, name, public) values ('tenant-assets', 'tenant-assets', false) on conflict do nothing;

create policy tenant_assets on storage.objects
    for all
    to authenticated
    using (
        bucket_id = 'tenant-assets' and (storage.foldername(name))[1] = (select tenancy.current_tenant())::text
    )
    with check (
        bucket_id = 'tenant-assets' and (storage.foldername(name))[1] = (select tenancy.current_tenant())::text
    );
