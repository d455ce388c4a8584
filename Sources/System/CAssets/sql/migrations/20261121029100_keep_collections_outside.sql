-- SPDX-License-Identifier: Apache-2.0
-- Collections whose points an external Qdrant keeps. The row stays here, and with it who reaches the collection; what it is
-- called there is a random number of the row's, which no request chooses.

grant usage on schema jobs to atoll_vectors;

set local role atoll_jobs;

grant select, insert, update, delete on jobs.jobs to atoll_vectors;

reset role;

set local role atoll_vectors;

alter table vectors.collections
    add column is_external boolean not null default false,
    add column external_id uuid not null default gen_random_uuid();

create unique index collections_external_id_idx on vectors.collections (external_id) where is_external;

grant insert (is_external) on vectors.collections to authenticated, service_role;

-- What the other server holds goes by a job, in the transaction that removes the row: the job is done when that server is back.
create function vectors.forget_external_collection() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    insert into jobs.jobs (queue, payload, summary)
    values (
        'vectors_external', 'collection ' || old.external_id,
        jsonb_build_object('collection', old.name, 'tenant_id', old.tenant_id));
    return null;
end
$$;

-- A tenant's rows in the project's collections. A request that was let in just before ends within its time: the second job finds
-- what it has written.
create function vectors.forget_external_tenant() returns trigger
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    if exists (select from vectors.collections as c where c.is_external and c.tenant_id is null) then
        insert into jobs.jobs (queue, payload, summary, run_at)
        select 'vectors_external', 'tenant ' || old.id, jsonb_build_object('tenant_id', old.id), due.at
        from (values (now()), (now() + interval '10 minutes')) as due (at);
    end if;
    return null;
end
$$;

revoke execute on function vectors.forget_external_collection(), vectors.forget_external_tenant() from public;

create trigger collections_forget_external
    after delete on vectors.collections
    for each row
    when (old.is_external)
    execute function vectors.forget_external_collection();

reset role;

create trigger atoll_forget_external_vectors
    after delete on tenancy.tenants
    for each row
    execute function vectors.forget_external_tenant();
