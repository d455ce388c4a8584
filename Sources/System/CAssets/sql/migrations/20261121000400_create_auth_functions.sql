-- SPDX-License-Identifier: Apache-2.0
-- What policies ask about a request. The server sets `request.jwt.claims` for one transaction; the older settings, one a
-- claim, are read where it is absent. The bodies are `return` expressions: parsed once when made, so that no search path
-- can change what they mean, and inlined into the query, which a `set search_path` clause would prevent.

set local role supabase_auth_admin;

create function auth.jwt() returns jsonb
    language sql
    stable
    parallel safe
    return coalesce(
        nullif(current_setting('request.jwt.claims', true), ''),
        nullif(current_setting('request.jwt.claim', true), '')
    )::jsonb;

create function auth.uid() returns uuid
    language sql
    stable
    parallel safe
    return coalesce(
        nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''),
        nullif(current_setting('request.jwt.claim.sub', true), '')
    )::uuid;

create function auth.role() returns text
    language sql
    stable
    parallel safe
    return coalesce(
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role',
        nullif(current_setting('request.jwt.claim.role', true), '')
    );

create function auth.email() returns text
    language sql
    stable
    parallel safe
    return coalesce(
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email',
        nullif(current_setting('request.jwt.claim.email', true), '')
    );

reset role;
