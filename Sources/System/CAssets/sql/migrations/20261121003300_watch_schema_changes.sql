-- SPDX-License-Identifier: Apache-2.0
-- Says so on the channel `pgrst` when a statement changes the schema, so that REST reads it again. Several statements of one
-- transaction make one notification, sent when it commits.

create function extensions.notify_schema_change() returns event_trigger
    language plpgsql
    set search_path = ''
    as $$
begin
    if exists (
        select 1 from pg_catalog.pg_event_trigger_ddl_commands() as command
        where command.schema_name is distinct from 'pg_temp'
    ) then
        notify pgrst, 'reload schema';
    end if;
end
$$;

create function extensions.notify_schema_drop() returns event_trigger
    language plpgsql
    set search_path = ''
    as $$
begin
    if exists (select 1 from pg_catalog.pg_event_trigger_dropped_objects() as dropped where not dropped.is_temporary) then
        notify pgrst, 'reload schema';
    end if;
end
$$;

create event trigger atoll_schema_change on ddl_command_end execute function extensions.notify_schema_change();
create event trigger atoll_schema_drop on sql_drop execute function extensions.notify_schema_drop();
