-- SPDX-License-Identifier: Apache-2.0
-- Which statements cost most. Projects' migrations name the extension, too, and may not make it themselves: it asks for a
-- superuser. A server without it is fine.

do $$
begin
    if exists (select from pg_catalog.pg_available_extensions where name = 'pg_stat_statements') then
        create extension if not exists pg_stat_statements with schema extensions;
    end if;
end
$$;
