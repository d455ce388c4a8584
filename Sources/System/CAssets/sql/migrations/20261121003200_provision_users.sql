-- SPDX-License-Identifier: Apache-2.0
-- Sign-up is one transaction: inserting an account makes its home, and an account without a home cannot exist.

set local role atoll_tenancy;

-- Chooses the personal tenant's id before the row is stored, so that `returning` shows it and the first token carries it.
create function tenancy.assign_tenant() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if pg_catalog.jsonb_typeof(new.raw_app_meta_data) is distinct from 'object' then
        new.raw_app_meta_data := '{}';
    end if;
    new.raw_app_meta_data :=
        new.raw_app_meta_data || pg_catalog.jsonb_build_object('tenant_id', pg_catalog.gen_random_uuid());
    return new;
end
$$;

-- An update that forgets the tenant keeps it: Auth replaces the whole document, administrators too.
create function tenancy.keep_tenant() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if pg_catalog.jsonb_typeof(new.raw_app_meta_data) is distinct from 'object' then
        new.raw_app_meta_data := '{}';
    end if;
    new.raw_app_meta_data := new.raw_app_meta_data
        || pg_catalog.jsonb_build_object('tenant_id', old.raw_app_meta_data -> 'tenant_id');
    return new;
end
$$;

-- Profile, personal tenant, membership, settings.
create function tenancy.provision_user() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    home uuid := (new.raw_app_meta_data ->> 'tenant_id')::uuid;
    -- What the person typed: bounded here, because a check that fails would refuse the sign-up.
    full_name text := nullif(btrim(left(
        coalesce(new.raw_user_meta_data ->> 'full_name', new.raw_user_meta_data ->> 'name'), 200)), '');
    company_name text := nullif(btrim(left(new.raw_user_meta_data ->> 'company_name', 200)), '');
    avatar_url text := left(new.raw_user_meta_data ->> 'avatar_url', 2048);
begin
    insert into tenancy.profiles (user_id, email, full_name, company_name, avatar_url)
    values (new.id, nullif(new.email, ''), full_name, company_name, avatar_url);

    insert into tenancy.tenants (id, name, slug, owner_id, personal)
    values (
        home,
        coalesce(company_name, full_name, nullif(left(split_part(new.email, '@', 1), 200), ''), 'Personal'),
        'u-' || replace(home::text, '-', ''),
        new.id,
        true);

    insert into tenancy.members (tenant_id, user_id, role)
    values (home, new.id, 'owner');

    insert into tenancy.settings (tenant_id)
    values (home);

    perform tenancy.audit(home, 'tenant.created', home::text, jsonb_build_object('user_id', new.id));
    return null;
end
$$;

create function tenancy.follow_email() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    update tenancy.profiles
    set email = nullif(new.email, '')
    where user_id = new.id;
    return null;
end
$$;

-- A person who leaves takes along the tenants nobody else belongs to; a team that stays gets an owner.
create function tenancy.release_user() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    owned record;
    heir uuid;
begin
    for owned in
        select t.id, t.personal
        from tenancy.tenants as t
        where t.owner_id = old.id
        order by t.id
        for update
    loop
        heir := null;
        if not owned.personal then
            select m.user_id into heir
            from tenancy.members as m
            where m.tenant_id = owned.id
                and m.user_id <> old.id
            order by array_position(array['owner', 'admin', 'member'], m.role), m.created_at, m.user_id
            limit 1;
        end if;
        if heir is null then
            delete from tenancy.tenants where id = owned.id;
            perform tenancy.audit(
                owned.id, 'tenant.deleted', owned.id::text, jsonb_build_object('user_id', old.id));
        else
            update tenancy.tenants set owner_id = heir where id = owned.id;
            update tenancy.members set role = 'owner' where tenant_id = owned.id and user_id = heir;
            perform tenancy.audit(
                owned.id, 'tenant.inherited', owned.id::text,
                jsonb_build_object('from', old.id, 'to', heir));
        end if;
    end loop;
    return old;
end
$$;

revoke execute on function tenancy.assign_tenant() from public;
revoke execute on function tenancy.keep_tenant() from public;
revoke execute on function tenancy.provision_user() from public;
revoke execute on function tenancy.follow_email() from public;
revoke execute on function tenancy.release_user() from public;
grant execute on function
    tenancy.assign_tenant(), tenancy.keep_tenant(), tenancy.provision_user(), tenancy.follow_email(),
    tenancy.release_user()
    to supabase_auth_admin;

reset role;
set local role supabase_auth_admin;

-- Triggers fire in the order of their names: these come before a project's own, which may count on the tenant.
create trigger atoll_assign_tenant
    before insert on auth.users
    for each row
    execute function tenancy.assign_tenant();

create trigger atoll_keep_tenant
    before update of raw_app_meta_data on auth.users
    for each row
    when (
        old.raw_app_meta_data ->> 'tenant_id' is not null
        and new.raw_app_meta_data ->> 'tenant_id' is null
    )
    execute function tenancy.keep_tenant();

create trigger atoll_provision_user
    after insert on auth.users
    for each row
    execute function tenancy.provision_user();

create trigger atoll_follow_email
    after update of email on auth.users
    for each row
    when (old.email is distinct from new.email)
    execute function tenancy.follow_email();

create trigger atoll_release_user
    before delete on auth.users
    for each row
    execute function tenancy.release_user();

reset role;
