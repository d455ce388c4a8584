-- The tables that the guide's first section takes as given, with the columns that its later sections use.
create table tweets (id bigint generated always as identity primary key, content text, created_at timestamptz default now());
create table tweets_cache (
    id bigint generated always as identity primary key,
    content text,
    status text default 'pending',
    created_at timestamptz default now()
);
create table blogs (id bigint generated always as identity primary key, title text, created_at timestamptz default now());
create table tweet_threads (id bigint generated always as identity primary key, title text);
create table x_accounts (id bigint generated always as identity primary key, username text);
create table agent_logs (
    id bigint generated always as identity primary key,
    agent_name text,
    action text,
    details text
);
create table personas (
    id bigint generated always as identity primary key,
    name text,
    description text,
    tone text,
    is_default boolean
);
create table engagement_metrics (id bigint generated always as identity primary key, likes integer);
