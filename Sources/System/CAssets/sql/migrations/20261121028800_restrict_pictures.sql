-- SPDX-License-Identifier: Apache-2.0
-- Pictures of people, in the bucket `atoll-pictures` once there is one: each writes in a folder of their own, and those who belong to the
-- same tenant see it.

set local role atoll_tenancy;

-- The folders of pictures that the caller may see: their own, and those of who belongs to the tenant of the request.
create function tenancy.picture_folders() returns text[]
    language sql
    stable
    parallel safe
    set search_path = ''
begin atomic
    select
        array_agg(m.user_id::text) || (select auth.uid())::text
    from tenancy.members as m
    where m.tenant_id = (select tenancy.current_tenant());
end;

revoke execute on function tenancy.picture_folders() from public;
grant execute on function tenancy.picture_folders() to authenticated;

reset role;
set local role supabase_storage_admin;

create policy atoll_pictures_read on storage.objects
    for select
    to authenticated
    using (
        bucket_id = 'atoll-pictures'
        and (storage.foldername(name))[1] = any ((select tenancy.picture_folders())::text[])
    );

create policy atoll_pictures_insert on storage.objects
    for insert
    to authenticated
    with check (bucket_id = 'atoll-pictures' and name = (select auth.uid())::text || '/avatar');

create policy atoll_pictures_update on storage.objects
    for update
    to authenticated
    using (bucket_id = 'atoll-pictures' and name = (select auth.uid())::text || '/avatar')
    with check (bucket_id = 'atoll-pictures' and name = (select auth.uid())::text || '/avatar');

create policy atoll_pictures_delete on storage.objects
    for delete
    to authenticated
    using (bucket_id = 'atoll-pictures' and name = (select auth.uid())::text || '/avatar');

reset role;
