-- SPDX-License-Identifier: Apache-2.0
-- What else people say of themselves.

set local role atoll_tenancy;

alter table tenancy.profiles
    add column first_name text,
    add column last_name text,
    add column bio text,
    add constraint profiles_first_name_check check (char_length(first_name) <= 100),
    add constraint profiles_last_name_check check (char_length(last_name) <= 100),
    add constraint profiles_bio_check check (char_length(bio) <= 4000);

grant update (first_name, last_name, bio) on tenancy.profiles to authenticated;

reset role;
