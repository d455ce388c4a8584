-- SPDX-License-Identifier: Apache-2.0
-- Extensions that SQL written for a Supabase project takes for granted. They live outside `public`, on the search path.

create extension if not exists pgcrypto with schema extensions;
create extension if not exists "uuid-ossp" with schema extensions;
create extension if not exists vector with schema extensions;

grant execute on all functions in schema extensions
    to postgres, anon, authenticated, service_role, supabase_auth_admin, supabase_storage_admin;
