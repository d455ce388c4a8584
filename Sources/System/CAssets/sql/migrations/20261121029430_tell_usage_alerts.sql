-- SPDX-License-Identifier: Apache-2.0
-- Whoever answers for a tenant hears of a limit that comes near or is reached: by mail, once a month and metric, and in the audit log.

set local role atoll_tenancy;

alter table tenancy.usage_alerts add column told_at timestamptz;
-- Those of before this were told by `GET /api/usage`.
update tenancy.usage_alerts set told_at = at;

create index usage_alerts_told_at_idx on tenancy.usage_alerts (at) where told_at is null;

create function tenancy.audit_usage_alert() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    perform tenancy.audit(
        new.tenant_id,
        case new.level when 'soft' then 'usage.soft_limit_reached' else 'usage.limit_reached' end,
        new.metric,
        jsonb_build_object('period', new.period, 'used', new.used, 'limit', new.allowed));
    return null;
end
$$;

revoke execute on function tenancy.audit_usage_alert() from public;

create trigger usage_alerts_audit
    after insert on tenancy.usage_alerts
    for each row
    execute function tenancy.audit_usage_alert();

reset role;
