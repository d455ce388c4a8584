create table public.notes (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    title text not null check (length(title) > 0),
    done boolean not null default false,
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);

create index notes_user_id_idx on public.notes (user_id);

-- Forced: the policy binds the table's owner, too.
alter table public.notes enable row level security;
alter table public.notes force row level security;

-- Wrapped in a select, the question who is calling is asked once a query and not once a row.
create policy notes_of_their_owner on public.notes
    for all to authenticated
    using (user_id = (select auth.uid()))
    with check (user_id = (select auth.uid()));

grant select, insert, update, delete on public.notes to authenticated;
grant all on public.notes to service_role;

create function public.count_my_notes() returns bigint
    language sql stable
    set search_path = ''
    as $$ select count(*) from public.notes $$;

revoke execute on function public.count_my_notes() from public, anon;
grant execute on function public.count_my_notes() to authenticated;
