-- SPDX-License-Identifier: Apache-2.0
-- Every change of a tenant, its members, settings and services leaves an entry, whoever makes it. What goes because the tenant
-- goes leaves the tenant's own entry alone.

set local role atoll_tenancy;

create function tenancy.audit_member() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        -- The first owner is part of the tenant's making.
        if exists (select from tenancy.tenants as t where t.id = new.tenant_id and t.created_at <> now()) then
            perform tenancy.audit(
                new.tenant_id, 'member.added', new.user_id::text, jsonb_build_object('role', new.role));
        end if;
    elsif tg_op = 'DELETE' then
        if exists (select from tenancy.tenants as t where t.id = old.tenant_id) then
            perform tenancy.audit(
                old.tenant_id, 'member.removed', old.user_id::text, jsonb_build_object('role', old.role));
        end if;
    elsif old.role is distinct from new.role then
        perform tenancy.audit(
            new.tenant_id, 'member.role_changed', new.user_id::text,
            jsonb_build_object('from', old.role, 'to', new.role));
    end if;
    return null;
end
$$;

create trigger members_audit
    after insert or update or delete on tenancy.members
    for each row
    execute function tenancy.audit_member();

create function tenancy.audit_tenant() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    action text;
    changed jsonb := '{}';
begin
    if old.status is distinct from new.status then
        action := case
            when new.status = 'suspended' and old.status = 'active' then 'tenant.suspended'
            when new.status = 'deleted' then 'tenant.deletion_began'
            when old.status = 'deleted' then 'tenant.restored'
            else 'tenant.resumed'
        end;
        perform tenancy.audit(
            new.id, action, new.id::text,
            jsonb_strip_nulls(jsonb_build_object(
                'by', case when new.status = 'suspended' then new.suspended_by end,
                'reason', case when new.status = 'suspended' then new.suspension_reason end,
                'purge_at', case when new.status = 'deleted' then new.purge_at end)));
    end if;
    if old.owner_id is distinct from new.owner_id then
        perform tenancy.audit(
            new.id, 'tenant.owner_changed', new.id::text,
            jsonb_build_object('from', old.owner_id, 'to', new.owner_id));
    end if;
    if old.plan is distinct from new.plan then
        perform tenancy.audit(
            new.id, 'tenant.plan_changed', new.id::text, jsonb_build_object('from', old.plan, 'to', new.plan));
    end if;
    if old.name is distinct from new.name then
        changed := changed || jsonb_build_object('name', jsonb_build_object('from', old.name, 'to', new.name));
    end if;
    if old.domain is distinct from new.domain then
        changed := changed || jsonb_build_object('domain', jsonb_build_object('from', old.domain, 'to', new.domain));
    end if;
    if old.slug is distinct from new.slug then
        changed := changed || jsonb_build_object('slug', jsonb_build_object('from', old.slug, 'to', new.slug));
    end if;
    if old.isolation is distinct from new.isolation then
        changed := changed || jsonb_build_object(
            'isolation', jsonb_build_object('from', old.isolation, 'to', new.isolation));
    end if;
    -- What is in it may be large, and is nobody's business but the tenant's.
    if old.metadata is distinct from new.metadata then
        changed := changed || jsonb_build_object('metadata', true);
    end if;
    if changed <> '{}' then
        perform tenancy.audit(new.id, 'tenant.updated', new.id::text, changed);
    end if;
    return null;
end
$$;

create trigger tenants_audit
    after update on tenancy.tenants
    for each row
    execute function tenancy.audit_tenant();

create function tenancy.audit_settings() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if old.preferences is distinct from new.preferences then
        perform tenancy.audit(
            new.tenant_id, 'settings.changed', 'preferences',
            jsonb_build_object('keys', (
                select coalesce(jsonb_agg(key order by key), '[]')
                from (
                    select key from jsonb_object_keys(old.preferences || new.preferences) as each (key) limit 100
                ) as named
                where old.preferences -> key is distinct from new.preferences -> key)));
    end if;
    if old.vector_collection is distinct from new.vector_collection then
        perform tenancy.audit(
            new.tenant_id, 'settings.changed', 'vector_collection',
            jsonb_build_object('from', old.vector_collection, 'to', new.vector_collection));
    end if;
    return null;
end
$$;

create trigger settings_audit
    after update on tenancy.settings
    for each row
    execute function tenancy.audit_settings();

create function tenancy.audit_service() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        perform tenancy.audit(
            new.tenant_id, 'service.added', new.service_name, jsonb_build_object('status', new.status));
    elsif tg_op = 'DELETE' then
        if exists (select from tenancy.tenants as t where t.id = old.tenant_id) then
            perform tenancy.audit(old.tenant_id, 'service.removed', old.service_name, null);
        end if;
    elsif (old.external_id, old.config, old.enabled, old.status)
        is distinct from (new.external_id, new.config, new.enabled, new.status)
    then
        perform tenancy.audit(
            new.tenant_id, 'service.changed', new.service_name,
            jsonb_build_object('enabled', new.enabled, 'status', new.status));
    end if;
    return null;
end
$$;

create trigger services_audit
    after insert or update or delete on tenancy.services
    for each row
    execute function tenancy.audit_service();

create function tenancy.audit_plan() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        perform tenancy.audit(null, 'plan.created', new.name, to_jsonb(new) - 'created_at');
    elsif tg_op = 'DELETE' then
        perform tenancy.audit(null, 'plan.deleted', old.name, null);
    elsif new is distinct from old then
        perform tenancy.audit(
            null, 'plan.changed', new.name,
            jsonb_build_object('from', to_jsonb(old) - 'created_at', 'to', to_jsonb(new) - 'created_at'));
    end if;
    return null;
end
$$;

create trigger plans_audit
    after insert or update or delete on tenancy.plans
    for each row
    execute function tenancy.audit_plan();

revoke execute on function
    tenancy.audit_member(), tenancy.audit_tenant(), tenancy.audit_settings(), tenancy.audit_service(),
    tenancy.audit_plan()
    from public;

create index audit_log_tenant_id_action_at_idx on tenancy.audit_log (tenant_id, action, at desc);

reset role;
