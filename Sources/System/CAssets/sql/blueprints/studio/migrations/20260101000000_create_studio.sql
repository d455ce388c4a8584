-- SPDX-License-Identifier: Apache-2.0
-- Studios with bots that answer their customers: the studio belongs to a tenant, and so does everything below it. Every key below
-- carries the tenant, so that no row can hang on another tenant's studio.

create table public.studios (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null default tenancy.current_tenant(),
    name text not null,
    whatsapp_number text,
    created_at timestamptz not null default now(),
    constraint studios_pkey primary key (id),
    constraint studios_tenant_id_id_key unique (tenant_id, id),
    constraint studios_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint studios_name_check check (char_length(name) between 1 and 200),
    constraint studios_whatsapp_number_check check (whatsapp_number ~ '^\+[0-9]{6,15}$')
);

create table public.bot_configs (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null default tenancy.current_tenant(),
    studio_id uuid not null,
    greeting text not null default '',
    tone text not null default 'friendly',
    opening_hours jsonb not null default '{}',
    updated_at timestamptz not null default now(),
    constraint bot_configs_pkey primary key (id),
    constraint bot_configs_tenant_id_studio_id_key unique (tenant_id, studio_id),
    constraint bot_configs_studio_fkey
        foreign key (tenant_id, studio_id) references public.studios (tenant_id, id) on delete cascade
);

create table public.conversations (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null default tenancy.current_tenant(),
    studio_id uuid not null,
    customer_name text,
    state text not null default 'open',
    created_at timestamptz not null default now(),
    constraint conversations_pkey primary key (id),
    constraint conversations_tenant_id_id_key unique (tenant_id, id),
    constraint conversations_studio_fkey
        foreign key (tenant_id, studio_id) references public.studios (tenant_id, id) on delete cascade,
    constraint conversations_state_check check (state in ('open', 'waiting', 'closed'))
);

create index conversations_studio_idx on public.conversations (tenant_id, studio_id, created_at desc);

create table public.messages (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid not null default tenancy.current_tenant(),
    conversation_id uuid not null,
    sender text not null,
    body text not null,
    sent_at timestamptz not null default now(),
    constraint messages_pkey primary key (id),
    constraint messages_conversation_fkey
        foreign key (tenant_id, conversation_id) references public.conversations (tenant_id, id) on delete cascade,
    constraint messages_sender_check check (sender in ('customer', 'bot', 'studio'))
);

create index messages_conversation_idx on public.messages (tenant_id, conversation_id, sent_at);

do $$
declare
    owned text;
begin
    foreach owned in array array['studios', 'bot_configs', 'conversations', 'messages'] loop
        execute format('alter table public.%I enable row level security', owned);
        execute format('alter table public.%I force row level security', owned);
        execute format('revoke all on public.%I from anon', owned);
        execute format(
            'create policy %I on public.%I for all to authenticated '
            'using (tenant_id = (select tenancy.current_tenant())) '
            'with check (tenant_id = (select tenancy.current_tenant()))',
            owned || '_of_the_tenant', owned);
    end loop;
end
$$;

-- Pictures of a studio's work, in the tenant's folder.
insert into storage.buckets (id, name, public) values ('studio-media', 'studio-media', false) on conflict do nothing;

create policy studio_media on storage.objects
    for all
    to authenticated
    using (
        bucket_id = 'studio-media' and (storage.foldername(name))[1] = (select tenancy.current_tenant())::text
    )
    with check (
        bucket_id = 'studio-media' and (storage.foldername(name))[1] = (select tenancy.current_tenant())::text
    );
