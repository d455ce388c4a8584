-- SPDX-License-Identifier: Apache-2.0
-- What policies on storage.objects ask about an object's name and about the running operation. `return` bodies for the
-- reasons told with auth.uid().

set local role supabase_storage_admin;

create function storage.foldername(name text) returns text[]
    language sql
    immutable
    parallel safe
    return (string_to_array(name, '/'))[1:array_length(string_to_array(name, '/'), 1) - 1];

create function storage.filename(name text) returns text
    language sql
    immutable
    parallel safe
    return (string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)];

create function storage.extension(name text) returns text
    language sql
    immutable
    parallel safe
    return reverse(split_part(reverse(storage.filename(name)), '.', 1));

create function storage.operation() returns text
    language sql
    stable
    parallel safe
    return current_setting('storage.operation', true);

-- Names are accepted with and without a leading `storage.`.
create function storage.allow_any_operation(expected_operations text[]) returns boolean
    language sql
    stable
    parallel safe
    return coalesce(
        (
            select bool_or(
                regexp_replace(expected, '^storage\.', '')
                = regexp_replace(current_setting('storage.operation', true), '^storage\.', '')
            )
            from unnest(expected_operations) as names (expected)
        ),
        false
    );

create function storage.allow_only_operation(expected_operation text) returns boolean
    language sql
    stable
    parallel safe
    return storage.allow_any_operation(array[expected_operation]);

reset role;
