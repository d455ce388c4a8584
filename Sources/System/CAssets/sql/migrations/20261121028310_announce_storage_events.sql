-- SPDX-License-Identifier: Apache-2.0
-- What happens to objects, for a scanner or a converter of the project: a job for each change, promised in the transaction of the
-- change. The Storage service says in a setting whether anybody wants to know, so that a row costs nothing more where nobody does.

set local role supabase_storage_admin;

create function storage.announce_object() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
declare
    object storage.objects;
    event text;
begin
    if not storage.is_service() then
        return null;
    end if;
    if tg_op = 'DELETE' then
        object := old;
    else
        object := new;
    end if;
    case
        when object.version is null then event := null;
        when tg_op = 'INSERT' then event := 'object.created';
        when tg_op = 'DELETE' then event := 'object.removed';
        when new.version is distinct from old.version then event := 'object.replaced';
        when (new.bucket_id, new.name) is distinct from (old.bucket_id, old.name) then event := 'object.moved';
        else event := null;
    end case;
    if event is null then
        return null;
    end if;
    insert into jobs.jobs (queue, payload, summary, expires_at)
    values (
        'storage_events',
        jsonb_build_object(
            'type', event, 'timestamp', storage.moment(now()), 'operation', storage.operation(),
            'data', jsonb_build_object(
                'id', object.id, 'bucket_id', object.bucket_id, 'name', object.name, 'version', object.version,
                'owner_id', object.owner_id, 'tenant_id', object.tenant_id, 'metadata', object.metadata,
                'user_metadata', object.user_metadata),
            'old', case
                when event = 'object.moved' then jsonb_build_object('bucket_id', old.bucket_id, 'name', old.name)
                when event = 'object.replaced' then jsonb_build_object('version', old.version)
            end)::text,
        jsonb_build_object('type', event, 'bucket_id', object.bucket_id), now() + interval '7 days');
    return null;
end
$$;

revoke execute on function storage.announce_object() from public;

create trigger announce_created
    after insert on storage.objects
    for each row
    when (current_setting('storage.events', true) = 'on')
    execute function storage.announce_object();

create trigger announce_changed
    after update on storage.objects
    for each row
    when (current_setting('storage.events', true) = 'on')
    execute function storage.announce_object();

create trigger announce_removed
    after delete on storage.objects
    for each row
    when (current_setting('storage.events', true) = 'on')
    execute function storage.announce_object();

reset role;
