-- SPDX-License-Identifier: Apache-2.0
-- Listings, as the caller: row level security decides on every row.

set local role supabase_storage_admin;

-- A moment as clients of Storage expect it: UTC, milliseconds, `Z`.
create function storage.moment(timestamptz) returns text
    language sql
    stable
    parallel safe
    return to_char($1 at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- The names below a prefix in the order of their bytes, those with a delimiter behind the prefix rolled up into one entry. The
-- index is asked for one folder at a time, so that a folder of a million objects costs as much as one of three.
create function storage.walk(
    bucket text, name_prefix text, delimiter text, start_after text, max_entries integer, matching text default null
) returns table (entry text, is_folder boolean, object_id uuid)
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    position text := coalesce(start_after, '') collate "C";
    is_inclusive boolean := false;
    found_id uuid;
    found_name text;
    rest text;
    cut integer;
    given integer := 0;
    past_prefix text := case
        when name_prefix = '' then null
        else left(name_prefix, -1) || chr(ascii(right(name_prefix, 1)) + 1)
    end;
begin
    if position < name_prefix collate "C" then
        position := name_prefix;
        is_inclusive := true;
    elsif delimiter <> '' and right(position, 1) = delimiter and starts_with(position, name_prefix)
        and length(position) > length(name_prefix)
    then
        -- Behind a whole folder: its last name is below the delimiter's successor.
        position := left(position, -1) || chr(ascii(delimiter) + 1);
        is_inclusive := true;
    end if;
    while given < max_entries loop
        select o.id, o.name
        into found_id, found_name
        from storage.objects as o
        where o.bucket_id = bucket
            and o.name collate "C" >= position
            and (is_inclusive or o.name collate "C" > position)
            and (past_prefix is null or o.name collate "C" < past_prefix)
        order by o.name collate "C"
        limit 1;
        exit when found_id is null;
        rest := substr(found_name, length(name_prefix) + 1);
        cut := case when delimiter = '' then 0 else strpos(rest, delimiter) end;
        if cut > 0 then
            rest := left(rest, cut);
            position := name_prefix || left(rest, -1) || chr(ascii(delimiter) + 1);
            is_inclusive := true;
            if matching is null or rest ilike matching then
                entry := name_prefix || rest;
                is_folder := true;
                object_id := null;
                given := given + 1;
                return next;
            end if;
        else
            position := found_name;
            is_inclusive := false;
            if rest <> '' and (matching is null or rest ilike matching) then
                entry := found_name;
                is_folder := false;
                object_id := found_id;
                given := given + 1;
                return next;
            end if;
        end if;
    end loop;
end
$$;

reset role;
