-- SPDX-License-Identifier: Apache-2.0
-- What applications look for in `public`: profiles, settings, keys, use and tenants under the names they usually have, as views of
-- what the platform keeps in `tenancy`. Each runs with the rights of who asks, so that row level security decides there as it
-- does everywhere. Change them as your application needs.

-- People: what each says of themselves, and what they are in the tenant of the request, which nobody says of themselves.

create view public.profiles with (security_invoker = true) as
    select
        p.user_id as id, p.email, p.full_name, p.first_name, p.last_name, p.company_name as company, p.bio, p.avatar_url,
        (
            select case when m.role in ('owner', 'admin') and not t.personal then 'team_admin' else 'user' end
            from tenancy.members as m
            inner join tenancy.tenants as t on t.id = m.tenant_id
            where m.user_id = p.user_id and m.tenant_id = (select tenancy.current_tenant())
        ) as role,
        p.setup_completed, p.created_at, p.updated_at
    from tenancy.profiles as p;

-- The same with plan, limit and use: of the tenant of the request; for the service key of the person's own.
create view public.user_profiles with (security_invoker = true) as
    select
        p.user_id as id, p.user_id, p.email, p.full_name, p.company_name, p.avatar_url,
        t.plan as subscription_tier, l.monthly_cost_cents as api_usage_limit,
        coalesce(u.cost_cents, 0) as api_usage_current,
        p.setup_completed, p.created_at, p.updated_at
    from tenancy.profiles as p
    left join tenancy.tenants as t
        on t.id = coalesce(
            (select tenancy.current_tenant()),
            (select h.id from tenancy.tenants as h where h.owner_id = p.user_id and h.personal))
    left join tenancy.plans as l on l.name = t.plan
    left join tenancy.usage_totals as u on u.tenant_id = t.id and u.period = tenancy.current_period();

create function public.change_user_profile() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if (new.user_id, new.email, new.subscription_tier, new.api_usage_limit, new.api_usage_current)
        is distinct from (old.user_id, old.email, old.subscription_tier, old.api_usage_limit, old.api_usage_current)
    then
        raise exception 'Only full_name, company_name, avatar_url and setup_completed can be changed'
            using errcode = '42501';
    end if;
    update tenancy.profiles as p
    set full_name = new.full_name, company_name = new.company_name, avatar_url = new.avatar_url,
        setup_completed = new.setup_completed
    where p.user_id = old.user_id
    returning p.updated_at into new.updated_at;
    return new;
end
$$;

create trigger change_user_profile
    instead of update on public.user_profiles
    for each row
    execute function public.change_user_profile();

-- Third-party keys: that they are there, never what they are, so `encrypted_key` is always null. `POST /api/user/api-keys` stores one.

create view public.user_api_keys with (security_invoker = true) as
    select
        s.id, s.user_id, s.tenant_id, s.service_name, null::text as encrypted_key, s.is_active, s.last_used_at, s.created_at,
        s.updated_at
    from tenancy.secrets as s;

create function public.refuse_user_api_key() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    raise exception 'Keys are sealed by the server: store them with POST /api/user/api-keys' using errcode = '42501';
end
$$;

create trigger refuse_user_api_key
    instead of insert on public.user_api_keys
    for each row
    execute function public.refuse_user_api_key();

-- Settings of the tenant, and the vector collection that its set-up made.

create view public.user_settings with (security_invoker = true) as
    select
        t.owner_id as user_id, s.tenant_id, s.vector_collection as qdrant_collection, s.preferences, s.created_at,
        s.updated_at
    from tenancy.settings as s
    inner join tenancy.tenants as t on t.id = s.tenant_id;

create function public.change_user_settings() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if (new.user_id, new.tenant_id, new.qdrant_collection)
        is distinct from (old.user_id, old.tenant_id, old.qdrant_collection)
    then
        raise exception 'Only preferences can be changed' using errcode = '42501';
    end if;
    update tenancy.settings as s
    set preferences = new.preferences
    where s.tenant_id = old.tenant_id
    returning s.updated_at into new.updated_at;
    if not found then
        raise exception 'Only owners and admins change the settings' using errcode = '42501';
    end if;
    return new;
end
$$;

create trigger change_user_settings
    instead of update on public.user_settings
    for each row
    execute function public.change_user_settings();

-- Use: each one, and the function that meters. Both refuse what the plan does not give, with 429.

create view public.api_usage_logs with (security_invoker = true) as
    select
        e.id, e.user_id, e.tenant_id, e.service_name, e.endpoint, e.cost_cents, e.tokens_used, e.response_time_ms,
        e.created_at
    from tenancy.usage_events as e;

create function public.increment_api_usage(p_user_id uuid, p_service_name text, p_cost_cents integer default 1)
    returns void
    language plpgsql
    set search_path = ''
as $$
begin
    if current_user = 'service_role' then
        perform tenancy.charge_person(p_user_id, p_service_name, null, p_cost_cents, 0);
    elsif p_user_id is distinct from auth.uid() then
        raise exception 'Use is metered in one''s own name' using errcode = '42501';
    else
        perform tenancy.charge(p_service_name, null, p_cost_cents, 0, null, false);
    end if;
end
$$;

create function public.add_api_usage_log() returns trigger
    language plpgsql
    set search_path = ''
as $$
declare
    charged jsonb;
begin
    if current_user = 'service_role' then
        charged := tenancy.charge_person(
            new.user_id, new.service_name, new.endpoint, coalesce(new.cost_cents, 0), coalesce(new.tokens_used, 0));
    elsif coalesce(new.user_id, auth.uid()) is distinct from auth.uid() then
        raise exception 'Use is metered in one''s own name' using errcode = '42501';
    else
        charged := tenancy.charge(
            new.service_name, new.endpoint, coalesce(new.cost_cents, 0), coalesce(new.tokens_used, 0),
            new.response_time_ms, false);
    end if;
    select e.id, e.user_id, e.tenant_id, e.created_at
    into new.id, new.user_id, new.tenant_id, new.created_at
    from tenancy.usage_events as e
    where e.id = (charged ->> 'event_id')::uuid;
    return new;
end
$$;

create trigger add_api_usage_log
    instead of insert on public.api_usage_logs
    for each row
    execute function public.add_api_usage_log();

-- Months begin by themselves; this is here for schedules that call it.
create function public.reset_monthly_usage() returns void
    language sql
    set search_path = ''
begin atomic
    select;
end;

-- Tenants and the services they use.

create view public.tenants with (security_invoker = true) as
    select
        t.id, t.name, t.slug, t.domain, t.owner_id, t.personal, t.plan, t.metadata, t.status, t.created_at, t.updated_at
    from tenancy.tenants as t;

-- A team of the caller's, or with the service key of somebody's.
create function public.create_tenant() returns trigger
    language plpgsql
    set search_path = ''
as $$
declare
    made uuid;
begin
    if current_user = 'service_role' then
        insert into tenancy.tenants (id, name, slug, domain, owner_id, metadata)
        values (
            coalesce(new.id, gen_random_uuid()), new.name, new.slug, new.domain, new.owner_id,
            coalesce(new.metadata, '{}'))
        returning id into made;
        insert into tenancy.settings (tenant_id) values (made);
        if new.owner_id is not null then
            insert into tenancy.members (tenant_id, user_id, role) values (made, new.owner_id, 'owner');
        end if;
    else
        if coalesce(new.owner_id, auth.uid()) is distinct from auth.uid() then
            raise exception 'A tenant is made in one''s own name' using errcode = '42501';
        end if;
        if new.domain is not null then
            raise exception 'The operator sets domains' using errcode = '42501';
        end if;
        made := tenancy.create_team(new.name, new.metadata, new.slug);
    end if;
    select t.id, t.name, t.slug, t.domain, t.owner_id, t.personal, t.plan, t.metadata, t.status, t.created_at, t.updated_at
    into new
    from tenancy.tenants as t
    where t.id = made;
    return new;
end
$$;

create trigger create_tenant
    instead of insert on public.tenants
    for each row
    execute function public.create_tenant();

create view public.tenant_services with (security_invoker = true) as
    select
        md5(s.tenant_id || ' ' || s.service_name)::uuid as id, s.tenant_id, s.service_name, s.external_id as service_id,
        s.config, s.enabled, s.status, s.created_at, s.updated_at
    from tenancy.services as s;

-- Nobody who is not signed in has anything here.

revoke all on
    public.profiles, public.user_profiles, public.user_api_keys, public.user_settings, public.api_usage_logs,
    public.tenants, public.tenant_services
    from anon, authenticated, service_role;
grant select, update on public.profiles, public.user_profiles, public.user_settings to authenticated, service_role;
grant select, insert, update, delete on public.user_api_keys to authenticated, service_role;
grant select, insert on public.api_usage_logs to authenticated, service_role;
grant select, insert, update on public.tenants to authenticated, service_role;
grant select on public.tenant_services to authenticated;
grant select, insert, update, delete on public.tenant_services to service_role;
revoke execute on function
    public.increment_api_usage(uuid, text, integer), public.reset_monthly_usage(), public.change_user_profile(),
    public.refuse_user_api_key(), public.change_user_settings(), public.add_api_usage_log(), public.create_tenant()
    from public, anon;
revoke execute on function public.reset_monthly_usage() from authenticated;
