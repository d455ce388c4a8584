-- SPDX-License-Identifier: Apache-2.0
-- Whether a service took a tenant's key when it was last asked, and keys that are kept but not used.

set local role atoll_tenancy;

alter table tenancy.secrets
    add column validation text,
    add column validated_at timestamptz,
    add constraint secrets_validation_check check (validation in ('valid', 'invalid', 'unknown'));

grant select (validation, validated_at) on tenancy.secrets to authenticated, service_role, postgres;

-- Another key has not been tried yet.
create function tenancy.forget_validation() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    new.validation := null;
    new.validated_at := null;
    return new;
end
$$;

create trigger secrets_forget_validation
    before update of envelope on tenancy.secrets
    for each row
    when (old.envelope is distinct from new.envelope and old.validated_at is not distinct from new.validated_at)
    execute function tenancy.forget_validation();

-- Notes what a service said of the key of the request's tenant. Any member may have it asked; nothing else can be changed by it.
create function tenancy.record_validation(wanted_service text, outcome text) returns boolean
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
begin
    update tenancy.secrets as s
    set validation = outcome, validated_at = pg_catalog.clock_timestamp()
    where s.tenant_id = tenant
        and s.service_name = wanted_service;
    if not found then
        return false;
    end if;
    perform tenancy.audit(tenant, 'secret.validated', wanted_service, jsonb_build_object('outcome', outcome));
    return true;
end
$$;

revoke execute on function tenancy.forget_validation(), tenancy.record_validation(text, text) from public;
grant execute on function tenancy.record_validation(text, text) to authenticated;

reset role;
