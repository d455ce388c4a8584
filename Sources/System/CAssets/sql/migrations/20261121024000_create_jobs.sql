-- SPDX-License-Identifier: Apache-2.0
-- Work that a service promises in a transaction and does after it: mail for now. A job is done at least once; it is gone when it
-- is done, and stays as dead when it cannot be. What it holds is sealed by the program: a reader of this table learns who is
-- written to, not the links and codes in the message.

create schema jobs authorization atoll_jobs;

set local role atoll_jobs;

create type jobs.job_state as enum ('waiting', 'dead');

create table jobs.jobs (
    id uuid not null default gen_random_uuid(),
    queue text not null,
    owner name not null default current_user,
    state jobs.job_state not null default 'waiting',
    payload text not null,
    summary jsonb not null default '{}',
    attempts integer not null default 0,
    run_at timestamptz not null default now(),
    expires_at timestamptz,
    locked_until timestamptz,
    last_error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint jobs_pkey primary key (id),
    constraint jobs_queue_check check (queue ~ '^[a-z][a-z0-9_]{0,62}$'),
    constraint jobs_attempts_check check (attempts >= 0),
    constraint jobs_last_error_check check (char_length(last_error) <= 2000)
);

create index jobs_queue_run_at_idx on jobs.jobs (queue, run_at) where state = 'waiting';
create index jobs_updated_at_idx on jobs.jobs (updated_at) where state = 'dead';

-- A service sees and touches the jobs it made, and no other's.
alter table jobs.jobs enable row level security;

create policy jobs_owner on jobs.jobs
    for all
    using (owner = current_user)
    with check (owner = current_user);

grant usage on schema jobs to supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin, atoll_tenancy, postgres;
grant select, insert, update, delete on jobs.jobs
    to supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin, atoll_tenancy;

-- Wakes the workers of the queues that were added to, once a statement, when the transaction commits.
create function jobs.announce() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    perform pg_catalog.pg_notify('atoll_jobs', added.queue)
    from (select distinct queue from inserted) as added;
    return null;
end
$$;

revoke execute on function jobs.announce() from public;

create trigger announce
    after insert on jobs.jobs
    referencing new table as inserted
    for each statement
    execute function jobs.announce();

-- What could not be done, for the project's owner: whom it was for and why, without its content.
create view jobs.dead_jobs as
    select id, queue, owner, summary, attempts, last_error, created_at, updated_at
    from jobs.jobs
    where state = 'dead';

grant select on jobs.dead_jobs to postgres;

reset role;
