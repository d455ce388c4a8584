-- SPDX-License-Identifier: Apache-2.0
-- What a person says of themselves. `email` follows auth.users.

set local role atoll_tenancy;

create table tenancy.profiles (
    user_id uuid not null,
    email text,
    full_name text,
    company_name text,
    avatar_url text,
    setup_completed boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint profiles_pkey primary key (user_id),
    constraint profiles_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
    constraint profiles_full_name_check check (char_length(full_name) <= 200),
    constraint profiles_company_name_check check (char_length(company_name) <= 200),
    constraint profiles_avatar_url_check check (char_length(avatar_url) <= 2048)
);

create trigger profiles_touch
    before update on tenancy.profiles
    for each row
    execute function tenancy.touch_updated_at();

alter table tenancy.profiles enable row level security;
alter table tenancy.profiles force row level security;

create policy profiles_owner on tenancy.profiles
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy profiles_read on tenancy.profiles
    for select
    to authenticated
    using (user_id = (select auth.uid()));

create policy profiles_update on tenancy.profiles
    for update
    to authenticated
    using (user_id = (select auth.uid()))
    with check (user_id = (select auth.uid()));

grant select, update (full_name, company_name, avatar_url, setup_completed) on tenancy.profiles to authenticated;
grant select, references on tenancy.profiles to postgres;
grant select, insert, update, delete on tenancy.profiles to service_role;

reset role;
