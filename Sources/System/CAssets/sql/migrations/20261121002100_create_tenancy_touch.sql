-- SPDX-License-Identifier: Apache-2.0
-- Keeps `updated_at` true whoever writes the row.

set local role atoll_tenancy;

create function tenancy.touch_updated_at() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

revoke execute on function tenancy.touch_updated_at() from public;

reset role;
