-- SPDX-License-Identifier: Apache-2.0
-- A coaching product: a tenant's people train with scenarios, their sessions are their own, and a library is everybody's to read.

create table public.profiles (
    id uuid not null default auth.uid(),
    first_name text,
    last_name text,
    avatar_url text,
    company text,
    bio text,
    created_at timestamptz not null default now(),
    constraint profiles_pkey primary key (id),
    constraint profiles_id_fkey foreign key (id) references auth.users (id) on delete cascade
);

-- A scenario without a tenant is everybody's to read, and the server's to write.
create table public.scenarios (
    id uuid not null default gen_random_uuid(),
    tenant_id uuid default tenancy.current_tenant(),
    title text not null,
    description text,
    difficulty text not null default 'beginner',
    flow jsonb not null default '{}',
    created_at timestamptz not null default now(),
    constraint scenarios_pkey primary key (id),
    constraint scenarios_tenant_id_id_key unique (tenant_id, id),
    constraint scenarios_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint scenarios_difficulty_check check (difficulty in ('beginner', 'intermediate', 'advanced'))
);

-- A session is of one person within one tenant: both are compared.
create table public.sessions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    tenant_id uuid not null default tenancy.current_tenant(),
    scenario_id uuid,
    status text not null default 'in_progress',
    duration_seconds integer not null default 0,
    score integer,
    transcript_path text,
    feedback jsonb,
    embedding extensions.vector(1536),
    created_at timestamptz not null default now(),
    completed_at timestamptz,
    constraint sessions_pkey primary key (id),
    constraint sessions_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint sessions_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint sessions_scenario_fkey
        foreign key (tenant_id, scenario_id) references public.scenarios (tenant_id, id) on delete set null (scenario_id),
    constraint sessions_status_check check (status in ('in_progress', 'completed', 'abandoned')),
    constraint sessions_score_check check (score between 0 and 100)
);

create index sessions_user_idx on public.sessions (user_id, created_at desc);
create index sessions_tenant_idx on public.sessions (tenant_id);
create index sessions_scenario_idx on public.sessions (tenant_id, scenario_id);
create index sessions_embedding_idx on public.sessions using hnsw (embedding extensions.vector_cosine_ops);

create table public.video_content (
    id uuid not null default gen_random_uuid(),
    title text not null,
    phase smallint,
    video_url text not null,
    order_index integer not null default 0,
    constraint video_content_pkey primary key (id)
);

create table public.user_progress (
    user_id uuid not null default auth.uid(),
    video_id uuid not null,
    completed boolean not null default false,
    last_watched_at timestamptz,
    constraint user_progress_pkey primary key (user_id, video_id),
    constraint user_progress_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint user_progress_video_id_fkey foreign key (video_id) references public.video_content (id) on delete cascade
);

create index user_progress_video_id_idx on public.user_progress (video_id);

create table public.help_articles (
    id uuid not null default gen_random_uuid(),
    title text not null,
    slug text not null,
    content text not null,
    status text not null default 'draft',
    embedding extensions.vector(1536),
    constraint help_articles_pkey primary key (id),
    constraint help_articles_slug_key unique (slug),
    constraint help_articles_status_check check (status in ('draft', 'published', 'archived'))
);

create index help_articles_embedding_idx on public.help_articles using hnsw (embedding extensions.vector_cosine_ops);

alter table public.profiles enable row level security;
alter table public.profiles force row level security;
alter table public.scenarios enable row level security;
alter table public.scenarios force row level security;
alter table public.sessions enable row level security;
alter table public.sessions force row level security;
alter table public.video_content enable row level security;
alter table public.user_progress enable row level security;
alter table public.user_progress force row level security;
alter table public.help_articles enable row level security;

revoke all on
    public.profiles, public.scenarios, public.sessions, public.video_content, public.user_progress, public.help_articles
    from anon;
-- The library is the server's to write.
revoke insert, update, delete on public.video_content, public.help_articles from authenticated;

create policy profiles_of_their_person on public.profiles
    for all
    to authenticated
    using (id = (select auth.uid()))
    with check (id = (select auth.uid()));

create policy scenarios_read on public.scenarios
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()) or tenant_id is null and (select auth.uid()) is not null);

create policy scenarios_insert on public.scenarios
    for insert
    to authenticated
    with check (tenant_id = (select tenancy.current_tenant()));

create policy scenarios_update on public.scenarios
    for update
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()))
    with check (tenant_id = (select tenancy.current_tenant()));

create policy scenarios_delete on public.scenarios
    for delete
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy sessions_of_their_person on public.sessions
    for all
    to authenticated
    using (user_id = (select auth.uid()) and tenant_id = (select tenancy.current_tenant()))
    with check (user_id = (select auth.uid()) and tenant_id = (select tenancy.current_tenant()));

create policy video_content_read on public.video_content for select to authenticated using (true);

create policy user_progress_of_their_person on public.user_progress
    for all
    to authenticated
    using (user_id = (select auth.uid()))
    with check (user_id = (select auth.uid()));

create policy help_articles_read on public.help_articles for select to authenticated using (status = 'published');

-- Both searches run with the rights of who asks: what policies hide is not found.
create function public.search_similar_sessions(
    query_embedding extensions.vector, match_threshold double precision default 0.8, match_count integer default 10
) returns table (id uuid, scenario_id uuid, score integer, similarity double precision)
    language sql
    stable
    set search_path = ''
as $$
    select s.id, s.scenario_id, s.score, 1 - (s.embedding operator(extensions.<=>) query_embedding)
    from public.sessions as s
    where 1 - (s.embedding operator(extensions.<=>) query_embedding) > match_threshold
    order by s.embedding operator(extensions.<=>) query_embedding
    limit least(match_count, 100)
$$;

create function public.search_help_articles(
    query_embedding extensions.vector, match_threshold double precision default 0.7, match_count integer default 5
) returns table (id uuid, title text, slug text, similarity double precision)
    language sql
    stable
    set search_path = ''
as $$
    select a.id, a.title, a.slug, 1 - (a.embedding operator(extensions.<=>) query_embedding)
    from public.help_articles as a
    where a.status = 'published' and 1 - (a.embedding operator(extensions.<=>) query_embedding) > match_threshold
    order by a.embedding operator(extensions.<=>) query_embedding
    limit least(match_count, 100)
$$;

insert into storage.buckets (id, name, public)
values
    ('session-transcripts', 'session-transcripts', false), ('audio-uploads', 'audio-uploads', false),
    ('avatars', 'avatars', true), ('resources', 'resources', false)
on conflict do nothing;

-- Each person's files stand in the folder of their id. Avatars are read by their public address, which needs no policy; one for
-- select on the whole bucket would only let everybody list it.
create policy files_of_their_person on storage.objects
    for all
    to authenticated
    using (
        bucket_id in ('session-transcripts', 'audio-uploads', 'avatars')
        and (storage.foldername(name))[1] = (select auth.uid())::text
    )
    with check (
        bucket_id in ('session-transcripts', 'audio-uploads', 'avatars')
        and (storage.foldername(name))[1] = (select auth.uid())::text
    );

-- What the server puts into the folder `library` is for everybody signed in.
create policy library on storage.objects
    for select
    to authenticated
    using (bucket_id = 'resources' and (storage.foldername(name))[1] = 'library' and (select auth.uid()) is not null);
