-- SPDX-License-Identifier: Apache-2.0
-- The run before its steps, as whoever adds to a run locks them: a request and a worker that took them in different orders
-- ended each other.

set local role atoll_tenancy;

create or replace function tenancy.start_setup_step(run uuid, step_name text) returns boolean
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    perform tenancy.require_setup(run);
    perform from tenancy.setup_runs as r where r.id = run for update;
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

reset role;
