-- SPDX-License-Identifier: Apache-2.0
-- A person's social media desk: accounts, posts and the agents that write them. Every row has one owner, who comes from the
-- token; posts and threads point at their account and persona with the owner in the key, so that nobody writes into another's.

create function public.touch_updated_at() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

revoke execute on function public.touch_updated_at() from public, anon, authenticated;

create table public.personas (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    name text not null,
    description text,
    tone text not null default 'professional',
    is_default boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint personas_pkey primary key (id),
    constraint personas_user_id_id_key unique (user_id, id),
    constraint personas_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint personas_name_check check (char_length(name) between 1 and 200)
);

create unique index personas_default_key on public.personas (user_id) where is_default;

create table public.x_accounts (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    username text not null,
    display_name text,
    created_at timestamptz not null default now(),
    constraint x_accounts_pkey primary key (id),
    constraint x_accounts_user_id_id_key unique (user_id, id),
    constraint x_accounts_user_id_username_key unique (user_id, username),
    constraint x_accounts_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);

create table public.tweet_threads (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    persona_id uuid,
    topic text not null,
    created_at timestamptz not null default now(),
    constraint tweet_threads_pkey primary key (id),
    constraint tweet_threads_user_id_id_key unique (user_id, id),
    constraint tweet_threads_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint tweet_threads_persona_fkey
        foreign key (user_id, persona_id) references public.personas (user_id, id) on delete set null (persona_id)
);

create index tweet_threads_persona_idx on public.tweet_threads (user_id, persona_id);

create table public.tweets (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    x_account_id uuid,
    thread_id uuid,
    content text not null,
    status text not null default 'draft',
    scheduled_at timestamptz,
    created_at timestamptz not null default now(),
    constraint tweets_pkey primary key (id),
    constraint tweets_user_id_id_key unique (user_id, id),
    constraint tweets_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint tweets_account_fkey
        foreign key (user_id, x_account_id) references public.x_accounts (user_id, id) on delete set null (x_account_id),
    constraint tweets_thread_fkey
        foreign key (user_id, thread_id) references public.tweet_threads (user_id, id) on delete set null (thread_id),
    constraint tweets_content_check check (char_length(content) between 1 and 25000),
    constraint tweets_status_check check (status in ('draft', 'scheduled', 'posted', 'failed'))
);

create index tweets_user_created_idx on public.tweets (user_id, created_at desc);
create index tweets_account_idx on public.tweets (user_id, x_account_id);
create index tweets_thread_idx on public.tweets (user_id, thread_id);

create table public.tweets_cache (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    external_id text not null,
    author text,
    content text not null,
    status text not null default 'new',
    created_at timestamptz not null default now(),
    constraint tweets_cache_pkey primary key (id),
    constraint tweets_cache_user_id_external_id_key unique (user_id, external_id),
    constraint tweets_cache_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);

create index tweets_cache_user_created_idx on public.tweets_cache (user_id, created_at desc);
create index tweets_cache_user_status_idx on public.tweets_cache (user_id, status);

create table public.blogs (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    title text not null,
    content text not null default '',
    status text not null default 'draft',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint blogs_pkey primary key (id),
    constraint blogs_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint blogs_status_check check (status in ('draft', 'published', 'archived'))
);

create index blogs_user_created_idx on public.blogs (user_id, created_at desc);

create table public.engagement_metrics (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    tweet_id uuid not null,
    likes integer not null default 0,
    reposts integer not null default 0,
    replies integer not null default 0,
    measured_at timestamptz not null default now(),
    constraint engagement_metrics_pkey primary key (id),
    constraint engagement_metrics_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint engagement_metrics_tweet_fkey
        foreign key (user_id, tweet_id) references public.tweets (user_id, id) on delete cascade
);

create index engagement_metrics_tweet_idx on public.engagement_metrics (user_id, tweet_id);

create table public.agent_logs (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid(),
    agent_name text not null,
    action text not null,
    details text,
    created_at timestamptz not null default now(),
    constraint agent_logs_pkey primary key (id),
    constraint agent_logs_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);

create index agent_logs_user_created_idx on public.agent_logs (user_id, created_at desc);

create trigger personas_touch before update on public.personas
    for each row execute function public.touch_updated_at();
create trigger blogs_touch before update on public.blogs
    for each row execute function public.touch_updated_at();

-- The same for all of them: row level security on and forced, nothing for visitors, one policy that compares the owner.
do $$
declare
    owned text;
begin
    foreach owned in array array[
        'personas', 'x_accounts', 'tweet_threads', 'tweets', 'tweets_cache', 'blogs', 'engagement_metrics', 'agent_logs'
    ] loop
        execute format('alter table public.%I enable row level security', owned);
        execute format('alter table public.%I force row level security', owned);
        execute format('revoke all on public.%I from anon', owned);
        execute format(
            'create policy %I on public.%I for all to authenticated '
            'using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()))',
            owned || '_of_their_owner', owned);
    end loop;
end
$$;

-- The history of what agents did is written and read, never rewritten.
revoke update, delete on public.agent_logs from authenticated;

-- A first persona for everybody who signs up. The function passes policies by, so nobody may call it: only the trigger does.
create function public.welcome() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    insert into public.personas (user_id, name, description, is_default)
    values (new.id, 'Default', 'Professional social media persona', true)
    on conflict do nothing;
    insert into public.agent_logs (user_id, agent_name, action, details)
    values (new.id, 'system', 'user_created', 'New account');
    return new;
end
$$;

revoke execute on function public.welcome() from public, anon, authenticated;

create trigger welcome after insert on auth.users
    for each row execute function public.welcome();
