-- SPDX-License-Identifier: Apache-2.0
-- `rpc('execute_sql')` for the project's own back end, unless the project has a function of that name: REST calls it as if it were
-- in the first exposed schema. It runs as the owner of the project's objects, and nobody but the service role may call it.

create function tenancy.execute_sql(sql text) returns void
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    -- For the statements of the caller; undone when the function returns.
    perform pg_catalog.set_config('search_path', 'public, extensions, pg_temp', true);
    execute sql;
end
$$;

-- As its owner it would be the superuser who installs the platform.
grant create on schema tenancy to postgres;
alter function tenancy.execute_sql(text) owner to postgres;
revoke create on schema tenancy from postgres;

revoke execute on function tenancy.execute_sql(text) from public;
grant execute on function tenancy.execute_sql(text) to service_role;
