-- SPDX-License-Identifier: Apache-2.0
-- A tenant's objects are granted by name. `grant ... on all tables in schema` reads the whole of `pg_class`, several times over, as no index
-- there begins with the schema: beside 9,000 schemas that was a tenth of a second for each tenant. What a schema holds is in
-- `pg_depend`, which has an index on it.

create function tenancy.grant_schema(schema name) returns void
    language plpgsql
    set search_path = ''
as $$
declare
    tables text;
    sequences text;
begin
    select
        pg_catalog.string_agg(c.oid::regclass::text, ', ') filter (where c.relkind in ('r', 'p', 'v', 'm', 'f')),
        pg_catalog.string_agg(c.oid::regclass::text, ', ') filter (where c.relkind = 'S')
    into tables, sequences
    from pg_catalog.pg_namespace as n
    inner join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = n.oid
    inner join pg_catalog.pg_class as c on d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid
    where n.nspname = schema;
    if tables is not null then
        execute pg_catalog.format('grant select, insert, update, delete on table %s to %I', tables, schema);
    end if;
    if sequences is not null then
        execute pg_catalog.format('grant usage, select, update on sequence %s to %I', sequences, schema);
    end if;
end
$$;

revoke execute on function tenancy.grant_schema(name) from public;
grant execute on function tenancy.grant_schema(name) to postgres;
