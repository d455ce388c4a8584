-- SPDX-License-Identifier: Apache-2.0
-- Who a request speaks for, sealed by the server. A function that runs what its caller sends as SQL can set `request.jwt.claims` to
-- anything; it cannot make this seal, so that whose tenant it is stays what the server has verified.

set local role atoll_tenancy;

-- The key of the seals, as the two keys of HMAC (RFC 2104) with SHA-256. The server writes it when it starts; nobody else reads it.
create table tenancy.identity_keys (
    only_one boolean not null default true,
    inner_pad bytea not null,
    outer_pad bytea not null,
    constraint identity_keys_pkey primary key (only_one),
    constraint identity_keys_only_one_check check (only_one),
    constraint identity_keys_inner_pad_check check (octet_length(inner_pad) = 64),
    constraint identity_keys_outer_pad_check check (octet_length(outer_pad) = 64)
);

alter table tenancy.identity_keys enable row level security;
alter table tenancy.identity_keys force row level security;

create policy identity_keys_owner on tenancy.identity_keys for all to atoll_tenancy using (true) with check (true);

-- The user of the request. On the connections of people's requests the seal says who it is: 36 characters for the user, 36 for the
-- tenant, 64 hexadecimal digits over both. Elsewhere (psql, tests, the server's own work) the claims do, as for `auth.uid()`.
create function tenancy.current_person() returns uuid
    language plpgsql
    stable
    parallel safe
    security definer
    set search_path = ''
as $$
declare
    sealed text;
begin
    if session_user <> 'atoll_requests' then
        return auth.uid();
    end if;
    sealed := current_setting('request.identity', true);
    if sealed is null or octet_length(sealed) <> 136 then
        return null;
    end if;
    return (
        select left(sealed, 36)::uuid
        from tenancy.identity_keys as k
        where sha256(k.outer_pad || sha256(k.inner_pad || convert_to(left(sealed, 72), 'UTF8')))
            = decode(substr(sealed, 73), 'hex')
    );
end
$$;

-- The tenant the token names, if its user is a member of it now and it is active; null otherwise. In PL/pgSQL, whose statements keep
-- their plans: in half the time of the function in SQL that this replaces, the seal included.
create or replace function tenancy.current_tenant() returns uuid
    language plpgsql
    stable
    parallel safe
    security definer
    set search_path = ''
as $$
declare
    sealed text;
    claim text;
    person uuid;
    tenant uuid;
begin
    if session_user = 'atoll_requests' then
        sealed := current_setting('request.identity', true);
        if sealed is null or octet_length(sealed) <> 136 then
            return null;
        end if;
        select m.tenant_id into tenant
        from tenancy.identity_keys as k
        cross join tenancy.members as m
        inner join tenancy.tenants as t on t.id = m.tenant_id
        where m.user_id = left(sealed, 36)::uuid
            and m.tenant_id = substr(sealed, 37, 36)::uuid
            and t.status = 'active'
            and sha256(k.outer_pad || sha256(k.inner_pad || convert_to(left(sealed, 72), 'UTF8')))
                = decode(substr(sealed, 73), 'hex');
        return tenant;
    end if;
    claim := auth.jwt() -> 'app_metadata' ->> 'tenant_id';
    person := auth.uid();
    if claim is null or person is null or claim !~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then
        return null;
    end if;
    select m.tenant_id into tenant
    from tenancy.members as m
    inner join tenancy.tenants as t on t.id = m.tenant_id
    where m.user_id = person
        and m.tenant_id = claim::uuid
        and t.status = 'active';
    return tenant;
end
$$;

revoke execute on function tenancy.current_person() from public;
grant execute on function tenancy.current_person()
    to anon, authenticated, service_role, postgres, supabase_auth_admin, supabase_storage_admin, atoll_vectors;

-- What the platform decides by the user of a request, it decides by the sealed one.
do $do$
declare
    found record;
begin
    perform pg_catalog.set_config('search_path', '', true);
    for found in
        select p.oid
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'tenancy'::regnamespace
            and p.prokind = 'f'
            and p.proname not in ('current_person', 'current_tenant')
            and pg_catalog.pg_get_functiondef(p.oid) like '%auth.uid()%'
    loop
        execute replace(pg_catalog.pg_get_functiondef(found.oid), 'auth.uid()', 'tenancy.current_person()');
    end loop;
    for found in
        select
            p.polrelid::regclass as relation, p.polname as name, pg_catalog.pg_get_expr(p.polqual, p.polrelid) as qual,
            pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as with_check
        from pg_catalog.pg_policy as p
        inner join pg_catalog.pg_class as c on c.oid = p.polrelid
        where c.relnamespace = 'tenancy'::regnamespace
            and concat(
                pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
            ) like '%auth.uid()%'
    loop
        execute pg_catalog.format(
            'alter policy %I on %s%s%s', found.name, found.relation,
            ' using (' || replace(found.qual, '( SELECT auth.uid() AS uid)', '(select tenancy.current_person())') || ')',
            ' with check (' || replace(found.with_check, '( SELECT auth.uid() AS uid)', '(select tenancy.current_person())') || ')');
    end loop;
end
$do$;

-- The pads of the key, for the server.
create function tenancy.keep_identity_key(inner_key bytea, outer_key bytea) returns void
    language sql
    set search_path = ''
begin atomic
    insert into tenancy.identity_keys as k (inner_pad, outer_pad)
    values (inner_key, outer_key)
    on conflict (only_one) do update
    set inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad
    where k.inner_pad <> excluded.inner_pad;
end;

revoke execute on function tenancy.keep_identity_key(bytea, bytea) from public;

reset role;
