-- SPDX-License-Identifier: Apache-2.0
-- A row deleted by hand would leave its bytes behind, so only the Storage service deletes, which says so in a setting.

set local role supabase_storage_admin;

create function storage.protect_delete() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' then
        raise exception 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
            using errcode = '42501', hint = 'The files of the deleted rows would stay behind.';
    end if;
    return null;
end
$$;

create trigger protect_buckets_delete
    before delete on storage.buckets
    for each statement
    execute function storage.protect_delete();

create trigger protect_objects_delete
    before delete on storage.objects
    for each statement
    execute function storage.protect_delete();

reset role;
