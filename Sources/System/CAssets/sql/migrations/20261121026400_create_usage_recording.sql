-- SPDX-License-Identifier: Apache-2.0
-- What the server did for a tenant with the tenant's own keys, noted by the server in the caller's name.

set local role atoll_tenancy;

-- Adds a use to the request's tenant: the event, and the month's sums. A caller can only add to their own.
create function tenancy.record_usage(
    used_service text, used_endpoint text, cost integer, tokens bigint, milliseconds integer
) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
begin
    if tenant is null then
        return;
    end if;
    insert into tenancy.usage_events (
        tenant_id, user_id, service_name, endpoint, cost_cents, tokens_used, response_time_ms)
    values (
        tenant, auth.uid(), used_service, used_endpoint, cost, least(tokens, 2147483647)::integer, milliseconds);
    insert into tenancy.usage_counters as c (tenant_id, period, service_name, cost_cents, tokens, requests)
    values (
        tenant, pg_catalog.date_trunc('month', pg_catalog.now() at time zone 'utc')::date, used_service, cost, tokens, 1)
    on conflict (tenant_id, period, service_name) do update
    set cost_cents = c.cost_cents + excluded.cost_cents, tokens = c.tokens + excluded.tokens,
        requests = c.requests + 1, updated_at = pg_catalog.now();
end
$$;

revoke execute on function tenancy.record_usage(text, text, integer, bigint, integer) from public;
grant execute on function tenancy.record_usage(text, text, integer, bigint, integer) to authenticated;

reset role;
