-- SPDX-License-Identifier: Apache-2.0
-- Pictures of people, in the bucket `atoll-pictures` once there is one: each writes in a folder of their own, and those who belong to the
-- same tenant see it.

set local role atoll_tenancy;

-- Whether the owner of a folder of pictures is the caller, or belongs to the tenant of the request.
create function tenancy.shares_tenant(folder text) returns boolean
    language sql
    stable
    parallel safe
    security definer
    set search_path = ''
begin atomic
    select
        folder = (select auth.uid())::text
        or exists (
            select
            from tenancy.members as m
            where m.tenant_id = (select tenancy.current_tenant())
                and m.user_id::text = folder
        );
end;

revoke execute on function tenancy.shares_tenant(text) from public;
grant execute on function tenancy.shares_tenant(text) to authenticated;

reset role;
set local role supabase_storage_admin;

create policy atoll_pictures_read on storage.objects
    for select
    to authenticated
    using (bucket_id = 'atoll-pictures' and tenancy.shares_tenant((storage.foldername(name))[1]));

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
