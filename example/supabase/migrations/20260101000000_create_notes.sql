create table public.notes (
    id bigint generated always as identity primary key,
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    title text not null check (length(title) > 0),
    done boolean not null default false,
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);

alter table public.notes enable row level security;

create policy notes_of_their_owner on public.notes
    for all to authenticated
    using (auth.uid() = user_id)
    with check (auth.uid() = user_id);

grant select, insert, update, delete on public.notes to authenticated;
grant all on public.notes to service_role;

create function public.count_my_notes() returns bigint
    language sql stable
    as $$ select count(*) from public.notes $$;

grant execute on function public.count_my_notes() to authenticated;
