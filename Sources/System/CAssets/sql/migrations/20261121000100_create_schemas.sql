-- SPDX-License-Identifier: Apache-2.0
-- The schemas of a project and who may name things in them. Tables and functions are granted where they are made.

create schema if not exists auth authorization supabase_auth_admin;
create schema if not exists storage authorization supabase_storage_admin;
create schema if not exists realtime authorization supabase_realtime_admin;
create schema if not exists tenancy authorization atoll_tenancy;
create schema if not exists vectors authorization atoll_vectors;
create schema if not exists extensions authorization postgres;
create schema if not exists graphql_public authorization postgres;
create schema if not exists supabase_migrations authorization postgres;

grant usage, create on schema public to postgres with grant option;
grant usage on schema public, extensions, graphql_public, auth, storage, realtime, tenancy
    to anon, authenticated, service_role;
grant usage on schema public, extensions to supabase_auth_admin, supabase_storage_admin, atoll_tenancy, atoll_vectors;
grant usage on schema auth
    to supabase_storage_admin, supabase_realtime_admin, atoll_tenancy, atoll_vectors;
grant usage on schema tenancy to supabase_auth_admin, postgres;
