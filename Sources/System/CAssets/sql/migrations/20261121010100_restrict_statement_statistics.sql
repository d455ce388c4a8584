-- SPDX-License-Identifier: Apache-2.0
-- All tenants' requests run as one role, and the statistics show a role the texts of its statements: they are for who
-- operates the project.

do $$
declare
    statistics record;
begin
    for statistics in
        select c.oid::regclass as relation
        from pg_catalog.pg_extension as e
        inner join pg_catalog.pg_depend as d
            on d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid
                and d.classid = 'pg_catalog.pg_class'::regclass
        inner join pg_catalog.pg_class as c on c.oid = d.objid
        where e.extname = 'pg_stat_statements' and c.relkind = 'v'
    loop
        execute pg_catalog.format('revoke all on %s from public', statistics.relation);
        execute pg_catalog.format('grant select on %s to postgres', statistics.relation);
    end loop;
end
$$;
