-- SPDX-License-Identifier: Apache-2.0
-- What `postgres` makes in `public` is open to the API roles, and row level security decides on the rows: the privileges
-- that SQL written for a Supabase project relies on without saying so.

alter default privileges for role postgres in schema public
    grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on sequences to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on functions to postgres, anon, authenticated, service_role;

alter default privileges for role postgres in schema graphql_public
    grant all on functions to postgres, anon, authenticated, service_role;

-- A function made in a service schema is open to nobody until it is granted.
alter default privileges for role atoll_tenancy
    revoke execute on functions from public;
alter default privileges for role atoll_vectors
    revoke execute on functions from public;
