-- SPDX-License-Identifier: Apache-2.0
-- How the server carries a tenant's set-up on in the name of one of its admins: each call names the run, belongs to the
-- tenant of the request's token and leaves what other tenants do untouched.

set local role atoll_tenancy;

-- What a step did, for people: names of keys, the collection, the schema. Never a value of a key.
alter table tenancy.setup_steps
    add column detail jsonb not null default '{}',
    add constraint setup_steps_detail_check check (jsonb_typeof(detail) = 'object' and octet_length(detail::text) <= 16384);

-- What was asked for and is not done yet, sealed by the server, since it holds keys. Gone when the run is completed.
create table tenancy.setup_inputs (
    run_id uuid not null,
    envelope text not null,
    updated_at timestamptz not null default now(),
    constraint setup_inputs_pkey primary key (run_id),
    constraint setup_inputs_run_id_fkey foreign key (run_id) references tenancy.setup_runs (id) on delete cascade,
    constraint setup_inputs_envelope_check check (char_length(envelope) <= 1048576)
);

alter table tenancy.setup_inputs enable row level security;
alter table tenancy.setup_inputs force row level security;

create policy setup_inputs_owner on tenancy.setup_inputs
    for all
    to atoll_tenancy
    using (true)
    with check (true);

-- The tenant of the request, for one of its admins only.
create function tenancy.require_admin() returns uuid
    language plpgsql
    stable
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.current_tenant();
begin
    if tenant is null or not tenancy.is_current_admin() then
        raise exception 'only an owner or an admin of the tenant may do this' using errcode = '42501';
    end if;
    return tenant;
end
$$;

-- The unfinished run of the request's tenant, made when there is none, and what it still has to do.
create function tenancy.begin_setup(step_names text[])
    returns table (run_id uuid, envelope text)
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.require_admin();
    run uuid;
begin
    -- More than once only when the run that is in the way is completed between the two statements.
    while run is null loop
        insert into tenancy.setup_runs (tenant_id, started_by)
        values (tenant, auth.uid())
        on conflict (tenant_id) where status <> 'completed' do nothing
        returning id into run;
        if found then
            perform tenancy.audit(tenant, 'setup.started', run::text, null);
        else
            -- Holds the row until the request has stored its input, so that of two requests both are heeded.
            update tenancy.setup_runs as r
            set status = 'running', finished_at = null
            where r.tenant_id = tenant
                and r.status <> 'completed'
            returning r.id into run;
        end if;
    end loop;
    insert into tenancy.setup_steps (run_id, name, position)
    select run, s.name, s.position
    from unnest(step_names) with ordinality as s (name, position)
    on conflict do nothing;
    return query
        select run, i.envelope
        from (select) as one
        left join tenancy.setup_inputs as i on i.run_id = run;
end
$$;

-- Whether the run belongs to the request's tenant and the caller may carry it on.
create function tenancy.require_setup(run uuid) returns uuid
    language plpgsql
    stable
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.require_admin();
begin
    if not exists (select from tenancy.setup_runs as r where r.id = run and r.tenant_id = tenant) then
        raise exception 'the run is not of this tenant' using errcode = '42501';
    end if;
    return tenant;
end
$$;

create function tenancy.put_setup_input(run uuid, sealed text) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    perform tenancy.require_setup(run);
    insert into tenancy.setup_inputs as i (run_id, envelope)
    values (run, sealed)
    on conflict (run_id) do update
    set envelope = excluded.envelope, updated_at = now();
end
$$;

-- Locks it until the transaction ends, so that what is taken out of it is not put in again by another request.
create function tenancy.setup_input(run uuid) returns text
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    sealed text;
begin
    perform tenancy.require_setup(run);
    perform from tenancy.setup_runs as r where r.id = run for update;
    select i.envelope into sealed from tenancy.setup_inputs as i where i.run_id = run;
    return sealed;
end
$$;

-- False when the step needs nothing any more.
create function tenancy.start_setup_step(run uuid, step_name text) returns boolean
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    perform tenancy.require_setup(run);
    update tenancy.setup_steps as s
    set
        status = 'running', attempts = s.attempts + 1, error = null, started_at = pg_catalog.clock_timestamp(),
        finished_at = null
    where s.run_id = run
        and s.name = step_name
        and s.status not in ('completed', 'skipped');
    if not found then
        return false;
    end if;
    update tenancy.setup_runs set status = 'running' where id = run;
    return true;
end
$$;

create function tenancy.end_setup_step(
    run uuid, step_name text, outcome text, failure text, step_detail jsonb
) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.require_setup(run);
begin
    -- A request that adds to the run's input holds this row: either it comes first, or it finds the run completed.
    perform from tenancy.setup_runs as r where r.id = run for update;
    update tenancy.setup_steps as s
    set
        status = outcome, error = left(failure, 4096), detail = coalesce(step_detail, '{}'),
        finished_at = pg_catalog.clock_timestamp()
    where s.run_id = run
        and s.name = step_name;
    if outcome = 'failed' then
        update tenancy.setup_runs
        set status = 'failed', finished_at = pg_catalog.clock_timestamp()
        where id = run;
        perform tenancy.audit(tenant, 'setup.failed', step_name, null);
    elsif not exists (
        select from tenancy.setup_steps as s where s.run_id = run and s.status not in ('completed', 'skipped')
    ) then
        update tenancy.setup_runs
        set status = 'completed', finished_at = pg_catalog.clock_timestamp()
        where id = run;
        delete from tenancy.setup_inputs as i where i.run_id = run;
        perform tenancy.audit(tenant, 'setup.completed', run::text, null);
    end if;
end
$$;

-- Has a step of an unfinished run done again, or for the first time after it was skipped.
create function tenancy.reopen_setup_step(run uuid, step_name text) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    perform tenancy.require_setup(run);
    update tenancy.setup_steps as s
    set status = 'pending', error = null
    where s.run_id = run
        and s.name = step_name
        and s.status in ('completed', 'skipped');
end
$$;

-- Notes in an unfinished run, if there is one, that a step was done outside of it.
create function tenancy.note_setup_step(step_name text, step_detail jsonb) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.require_admin();
begin
    update tenancy.setup_steps as s
    set
        status = 'completed', attempts = s.attempts + 1, error = null, detail = coalesce(step_detail, '{}'),
        started_at = coalesce(s.started_at, pg_catalog.now()), finished_at = pg_catalog.clock_timestamp()
    from tenancy.setup_runs as r
    where r.tenant_id = tenant
        and r.status <> 'completed'
        and s.run_id = r.id
        and s.name = step_name
        and s.status in ('pending', 'failed');
end
$$;

-- The name of the collection of the request's tenant: the one it has, else that of the person.
create function tenancy.setup_collection() returns text
    language plpgsql
    stable
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.require_admin();
begin
    return coalesce(
        (select s.vector_collection from tenancy.settings as s where s.tenant_id = tenant),
        'qdrant_user_' || auth.uid()::text);
end
$$;

-- Stores that name, which is the server's to choose.
create function tenancy.store_collection() returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    tenant uuid := tenancy.require_admin();
begin
    insert into tenancy.settings as s (tenant_id, vector_collection)
    values (tenant, 'qdrant_user_' || auth.uid()::text)
    on conflict (tenant_id) do update
    set vector_collection = coalesce(s.vector_collection, excluded.vector_collection);
end
$$;

-- The lock that a server holds while it works on a run; gone with its connection, however the server ended.
create function tenancy.lock_setup(run uuid) returns boolean
    language sql
    set search_path = ''
begin atomic
    select pg_catalog.pg_try_advisory_xact_lock(1635020649, pg_catalog.hashtext(run::text));
end;

-- The latest run of the request's tenant as its members see it; null when there is none.
create function tenancy.setup_state() returns jsonb
    language sql
    stable
    security definer
    set search_path = ''
begin atomic
    select jsonb_build_object(
        'run_id', r.id,
        'status', case
            when r.status = 'running' and not exists (
                select from pg_catalog.pg_locks as l
                where l.locktype = 'advisory'
                    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
                    and l.classid = 1635020649
                    and l.objid = (pg_catalog.hashtext(r.id::text)::bigint & 4294967295)::oid
                    and l.granted
            ) then 'interrupted'
            else r.status
        end,
        'started_by', r.started_by,
        'started_at', r.created_at,
        'updated_at', r.updated_at,
        'finished_at', r.finished_at,
        'steps', (
            select coalesce(jsonb_agg(
                jsonb_build_object(
                    'name', s.name,
                    'status', s.status,
                    'attempts', s.attempts,
                    'error', s.error,
                    'started_at', s.started_at,
                    'finished_at', s.finished_at,
                    'duration_ms', round(extract(epoch from s.finished_at - s.started_at) * 1000),
                    'detail', s.detail)
                order by s.position), '[]')
            from tenancy.setup_steps as s
            where s.run_id = r.id
        ))
    from tenancy.setup_runs as r
    where r.tenant_id = (select tenancy.current_tenant())
    order by r.created_at desc, (r.status <> 'completed') desc
    limit 1;
end;

revoke execute on function
    tenancy.require_admin(), tenancy.begin_setup(text[]), tenancy.require_setup(uuid),
    tenancy.put_setup_input(uuid, text), tenancy.setup_input(uuid), tenancy.start_setup_step(uuid, text),
    tenancy.end_setup_step(uuid, text, text, text, jsonb), tenancy.reopen_setup_step(uuid, text),
    tenancy.note_setup_step(text, jsonb), tenancy.setup_collection(), tenancy.store_collection(),
    tenancy.lock_setup(uuid), tenancy.setup_state()
    from public;
grant execute on function
    tenancy.require_admin(), tenancy.begin_setup(text[]), tenancy.put_setup_input(uuid, text), tenancy.setup_input(uuid),
    tenancy.start_setup_step(uuid, text), tenancy.end_setup_step(uuid, text, text, text, jsonb),
    tenancy.reopen_setup_step(uuid, text), tenancy.note_setup_step(text, jsonb), tenancy.setup_collection(),
    tenancy.store_collection(), tenancy.lock_setup(uuid), tenancy.setup_state()
    to authenticated;

reset role;
