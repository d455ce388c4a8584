-- SPDX-License-Identifier: Apache-2.0
-- Metering that refuses. A tenant's sum of the calendar month (UTC) is one row, which every charge changes: charges of one tenant
-- happen one after another, and none goes over the plan. A month begins when its first charge is made; nothing has to be reset.

set local role atoll_tenancy;

create table tenancy.usage_totals (
    tenant_id uuid not null,
    period date not null,
    cost_cents bigint not null default 0,
    tokens bigint not null default 0,
    requests bigint not null default 0,
    updated_at timestamptz not null default now(),
    constraint usage_totals_pkey primary key (tenant_id, period),
    constraint usage_totals_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint usage_totals_period_check check (extract(day from period) = 1)
);

create table tenancy.usage_days (
    tenant_id uuid not null,
    day date not null,
    service_name text not null,
    cost_cents bigint not null default 0,
    tokens bigint not null default 0,
    requests bigint not null default 0,
    constraint usage_days_pkey primary key (tenant_id, day, service_name),
    constraint usage_days_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade
);

-- When a tenant came near a limit (`soft`) and when it reached it (`hard`): once a month and metric.
create table tenancy.usage_alerts (
    tenant_id uuid not null,
    period date not null,
    metric text not null,
    level text not null,
    used bigint not null,
    allowed bigint not null,
    at timestamptz not null default now(),
    constraint usage_alerts_pkey primary key (tenant_id, period, metric, level),
    constraint usage_alerts_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
    constraint usage_alerts_metric_check check (metric in ('cost_cents', 'tokens', 'requests')),
    constraint usage_alerts_level_check check (level in ('soft', 'hard'))
);

alter table tenancy.usage_totals enable row level security;
alter table tenancy.usage_totals force row level security;
alter table tenancy.usage_days enable row level security;
alter table tenancy.usage_days force row level security;
alter table tenancy.usage_alerts enable row level security;
alter table tenancy.usage_alerts force row level security;

create policy usage_totals_owner on tenancy.usage_totals
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy usage_totals_read on tenancy.usage_totals
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy usage_days_owner on tenancy.usage_days
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy usage_days_read on tenancy.usage_days
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

create policy usage_alerts_owner on tenancy.usage_alerts
    for all
    to atoll_tenancy
    using (true)
    with check (true);

create policy usage_alerts_read on tenancy.usage_alerts
    for select
    to authenticated
    using (tenant_id = (select tenancy.current_tenant()));

grant select on tenancy.usage_totals, tenancy.usage_days, tenancy.usage_alerts to authenticated, postgres;
grant select, insert, update, delete on tenancy.usage_totals, tenancy.usage_days, tenancy.usage_alerts to service_role;

insert into tenancy.usage_totals (tenant_id, period, cost_cents, tokens, requests)
select c.tenant_id, c.period, sum(c.cost_cents), sum(c.tokens), sum(c.requests)
from tenancy.usage_counters as c
group by c.tenant_id, c.period;

insert into tenancy.usage_days (tenant_id, day, service_name, cost_cents, tokens, requests)
select
    e.tenant_id, (e.created_at at time zone 'utc')::date, e.service_name, sum(e.cost_cents),
    sum(coalesce(e.tokens_used, 0)), count(*)
from tenancy.usage_events as e
group by 1, 2, 3;

-- An event whose amounts are the server's estimate until it is settled.
alter table tenancy.usage_events add column is_estimate boolean not null default false;

create function tenancy.current_period() returns date
    language sql
    stable
    set search_path = ''
begin atomic
    select date_trunc('month', now() at time zone 'utc')::date;
end;

-- Adds amounts, which may be negative, to the sums of the time a use was made.
create function tenancy.add_usage(
    tenant uuid, at timestamptz, used_service text, cost bigint, used_tokens bigint, used_requests bigint
) returns tenancy.usage_totals
    language plpgsql
    set search_path = ''
as $$
declare
    used_day date := (at at time zone 'utc')::date;
    used_period date := date_trunc('month', at at time zone 'utc')::date;
    total tenancy.usage_totals;
begin
    insert into tenancy.usage_totals as t (tenant_id, period, cost_cents, tokens, requests)
    values (tenant, used_period, cost, used_tokens, used_requests)
    on conflict (tenant_id, period) do update
    set cost_cents = t.cost_cents + excluded.cost_cents, tokens = t.tokens + excluded.tokens,
        requests = t.requests + excluded.requests, updated_at = now()
    returning * into total;
    insert into tenancy.usage_counters as c (tenant_id, period, service_name, cost_cents, tokens, requests)
    values (tenant, used_period, used_service, cost, used_tokens, used_requests)
    on conflict (tenant_id, period, service_name) do update
    set cost_cents = c.cost_cents + excluded.cost_cents, tokens = c.tokens + excluded.tokens,
        requests = c.requests + excluded.requests, updated_at = now();
    insert into tenancy.usage_days as d (tenant_id, day, service_name, cost_cents, tokens, requests)
    values (tenant, used_day, used_service, cost, used_tokens, used_requests)
    on conflict (tenant_id, day, service_name) do update
    set cost_cents = d.cost_cents + excluded.cost_cents, tokens = d.tokens + excluded.tokens,
        requests = d.requests + excluded.requests;
    return total;
end
$$;

-- Charges a tenant for a use, or refuses it with 429: REST answers this form of error with its status and headers.
--
-- Returns the event's id, when the period ends, and what is near its limit:
-- `{"event_id", "reset_at", "warnings": [{"metric", "used", "limit", "level"}]}`.
create function tenancy.charge_tenant(
    tenant uuid, person uuid, used_service text, used_endpoint text, cost bigint, used_tokens bigint,
    milliseconds integer, estimated boolean, enforced boolean
) returns jsonb
    language plpgsql
    set search_path = ''
as $$
declare
    reset_at timestamptz := (tenancy.current_period() + interval '1 month') at time zone 'utc';
    soft_percent integer;
    total tenancy.usage_totals;
    event uuid := gen_random_uuid();
    warnings jsonb := '[]';
    metric record;
    announced integer;
begin
    if cost < 0 or used_tokens < 0 or milliseconds < 0 or cost > 2147483647 then
        perform tenancy.refuse(400, 'invalid_request', 'Amounts of use are not negative');
    end if;
    total := tenancy.add_usage(tenant, now(), used_service, coalesce(cost, 0), coalesce(used_tokens, 0), 1);
    select r.soft_limit_percent into soft_percent from tenancy.rules as r;
    for metric in
        select m.*
        from tenancy.tenants as t
        inner join tenancy.plans as p on p.name = t.plan
        cross join lateral (
            values
                ('cost_cents', p.monthly_cost_cents, total.cost_cents, coalesce(cost, 0)),
                ('tokens', p.monthly_tokens, total.tokens, coalesce(used_tokens, 0)),
                ('requests', p.monthly_requests, total.requests, 1)
        ) as m (name, allowed, used, added)
        where t.id = tenant and m.allowed is not null
    loop
        if enforced and metric.added > 0 and metric.used > metric.allowed then
            raise sqlstate 'PGRST' using
                message = jsonb_build_object(
                    'code', 'usage_limit_reached',
                    'message', format('The plan''s monthly limit of %s is reached', metric.name),
                    'details', jsonb_build_object(
                        'metric', metric.name, 'limit', metric.allowed, 'used', metric.used - metric.added,
                        'requested', metric.added, 'reset_at', reset_at)::text,
                    'hint', 'Wait until the limit starts anew, or change the plan')::text,
                detail = jsonb_build_object(
                    'status', 429,
                    'headers', jsonb_build_object(
                        'Retry-After',
                        ceil(extract(epoch from reset_at - clock_timestamp()))::bigint::text))::text;
        end if;
        if metric.used * 100 >= metric.allowed * soft_percent then
            warnings := warnings || jsonb_build_object(
                'metric', metric.name, 'used', metric.used, 'limit', metric.allowed,
                'level', case when metric.used >= metric.allowed then 'hard' else 'soft' end);
            insert into tenancy.usage_alerts (tenant_id, period, metric, level, used, allowed)
            select tenant, total.period, metric.name, each.level, metric.used, metric.allowed
            from (values ('soft', true), ('hard', metric.used >= metric.allowed)) as each (level, is_reached)
            where each.is_reached
            on conflict do nothing;
            get diagnostics announced = row_count;
            if announced > 0 then
                perform pg_notify(
                    'atoll_usage',
                    jsonb_build_object(
                        'tenant_id', tenant, 'metric', metric.name, 'used', metric.used,
                        'limit', metric.allowed)::text);
            end if;
        end if;
    end loop;
    insert into tenancy.usage_events (
        id, tenant_id, user_id, service_name, endpoint, cost_cents, tokens_used, response_time_ms, is_estimate)
    values (
        event, tenant, person, used_service, left(used_endpoint, 2048), coalesce(cost, 0)::integer,
        least(used_tokens, 2147483647)::integer, milliseconds, coalesce(estimated, false));
    return jsonb_build_object('event_id', event, 'reset_at', reset_at, 'warnings', warnings);
end
$$;

-- The one call of services that work for a tenant: charges the request's tenant, or refuses.
create function tenancy.charge(
    used_service text, used_endpoint text, cost bigint, used_tokens bigint, milliseconds integer, estimated boolean
) returns jsonb
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
begin
    if tenant is null then
        perform tenancy.refuse(403, 'no_tenant', 'The token''s tenant is not open to this user');
    end if;
    return tenancy.charge_tenant(
        tenant, auth.uid(), used_service, used_endpoint, cost, used_tokens, milliseconds, estimated, true);
end
$$;

-- Puts what a use has cost in the place of what was charged for it beforehand. The use has been made: nothing is refused.
create function tenancy.settle_usage(event uuid, cost bigint, used_tokens bigint, milliseconds integer) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    known tenancy.usage_events;
begin
    select e.* into known from tenancy.usage_events as e
    where e.id = event
        and e.tenant_id = (select tenancy.current_tenant())
        and e.user_id = (select auth.uid())
        and e.is_estimate
    for update;
    if not found then
        return;
    end if;
    update tenancy.usage_events as e
    set cost_cents = greatest(cost, 0)::integer, tokens_used = least(greatest(used_tokens, 0), 2147483647)::integer,
        response_time_ms = milliseconds, is_estimate = false
    where e.id = event;
    perform tenancy.add_usage(
        known.tenant_id, known.created_at, known.service_name, greatest(cost, 0) - known.cost_cents,
        greatest(used_tokens, 0) - coalesce(known.tokens_used, 0), 0);
end
$$;

-- For the back end, which works for people with the service key: charges a person's own tenant.
create function tenancy.charge_person(person uuid, used_service text, used_endpoint text, cost bigint, used_tokens bigint)
    returns jsonb
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid;
begin
    select t.id into tenant from tenancy.tenants as t where t.owner_id = person and t.personal;
    if not found then
        perform tenancy.refuse(404, 'not_found', 'No such user');
    end if;
    return tenancy.charge_tenant(tenant, person, used_service, used_endpoint, cost, used_tokens, null, false, true);
end
$$;

-- As before, and without refusing: the use has been made.
create or replace function tenancy.record_usage(
    used_service text, used_endpoint text, cost integer, tokens bigint, milliseconds integer
) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
begin
    if tenant is not null then
        perform tenancy.charge_tenant(
            tenant, auth.uid(), used_service, used_endpoint, cost, record_usage.tokens, milliseconds, false, false);
    end if;
end
$$;

revoke execute on function
    tenancy.current_period(),
    tenancy.add_usage(uuid, timestamptz, text, bigint, bigint, bigint),
    tenancy.charge_tenant(uuid, uuid, text, text, bigint, bigint, integer, boolean, boolean),
    tenancy.charge(text, text, bigint, bigint, integer, boolean),
    tenancy.settle_usage(uuid, bigint, bigint, integer),
    tenancy.charge_person(uuid, text, text, bigint, bigint)
    from public;
grant execute on function tenancy.current_period() to authenticated, service_role;
grant execute on function
    tenancy.charge(text, text, bigint, bigint, integer, boolean), tenancy.settle_usage(uuid, bigint, bigint, integer)
    to authenticated;
grant execute on function tenancy.charge_person(uuid, text, text, bigint, bigint) to service_role;

reset role;
