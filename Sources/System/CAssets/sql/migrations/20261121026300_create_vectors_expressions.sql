-- SPDX-License-Identifier: Apache-2.0
-- Functions that filters, formulas and changes of payloads are written with.

set local role atoll_vectors;

-- A date-time as Qdrant reads payloads: a date, or date and time with `T` or a space, fractions, and a zone (none is UTC).
-- Null for any other text.
create function vectors.instant(value text) returns timestamptz
    language plpgsql
    immutable
    parallel safe
    set search_path = ''
as $$
declare
    parts text[];
begin
    parts := regexp_match(
        value,
        '^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])'
        '([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?( ?([Zz]|[+-](0\d|1[0-5])(:?[0-5]\d)?))?)?$');
    if parts is null or parts[1] = '0000' then
        return null;
    end if;
    -- The month has the day?
    if parts[3]::integer > 28
        and parts[3]::integer > extract(
            day from make_date(parts[1]::integer, parts[2]::integer, 1) + interval '1 month' - interval '1 day')
    then
        return null;
    end if;
    if parts[9] is not null then
        return value::timestamptz;
    end if;
    return value::timestamp at time zone 'UTC';
end
$$;

-- Metres between two places on the mean sphere.
create function vectors.geo_distance(lon_a float8, lat_a float8, lon_b float8, lat_b float8) returns float8
    language sql
    immutable
    parallel safe
    set search_path = ''
return
    2 * 6371008.8 * asin(
        least(
            1,
            sqrt(
                power(sin(radians(lat_b - lat_a) / 2), 2)
                + cos(radians(lat_a)) * cos(radians(lat_b)) * power(sin(radians(lon_b - lon_a) / 2), 2))));

-- Whether a place lies inside a closed ring, by the parity of the edges west of it.
create function vectors.in_ring(lon float8, lat float8, lons float8[], lats float8[]) returns boolean
    language sql
    immutable
    parallel safe
    set search_path = ''
begin atomic
    select coalesce(
        count(*) filter (
            where (a.lat > in_ring.lat) <> (b.lat > in_ring.lat)
                and in_ring.lon < (b.lon - a.lon) * (in_ring.lat - a.lat) / nullif(b.lat - a.lat, 0) + a.lon
        ) % 2 = 1,
        false)
    from unnest(lons, lats) with ordinality as a (lon, lat, place)
    inner join unnest(lons, lats) with ordinality as b (lon, lat, place) on b.place = a.place + 1;
end;

-- Writes `value`, an object, under a path of a payload: merged into an object that is there, in the place of anything else.
-- The path is a JSON array of names, array positions and null for every element.
create function vectors.set_payload(document jsonb, path jsonb, value jsonb) returns jsonb
    language plpgsql
    immutable
    parallel safe
    set search_path = ''
as $$
declare
    step jsonb := path -> 0;
    rest jsonb := path - 0;
    position integer;
begin
    if step is null then
        if jsonb_typeof(document) = 'object' then
            return document || value;
        end if;
        return value;
    end if;
    if jsonb_typeof(step) = 'string' then
        if jsonb_typeof(document) is distinct from 'object' then
            document := '{}';
        end if;
        return document
            || jsonb_build_object(step #>> '{}', vectors.set_payload(document -> (step #>> '{}'), rest, value));
    end if;
    if jsonb_typeof(document) is distinct from 'array' then
        document := '[]';
    end if;
    if jsonb_typeof(step) = 'null' then
        return coalesce(
            (
                select jsonb_agg(vectors.set_payload(e.item, rest, set_payload.value) order by e.place)
                from jsonb_array_elements(document) with ordinality as e (item, place)
            ),
            '[]');
    end if;
    position := step::integer;
    if position >= jsonb_array_length(document) then
        return document;
    end if;
    return jsonb_set(document, array[position::text], vectors.set_payload(document -> position, rest, value));
end
$$;

-- Removes what a path names from a payload; the path as above.
create function vectors.delete_payload(document jsonb, path jsonb) returns jsonb
    language plpgsql
    immutable
    parallel safe
    set search_path = ''
as $$
declare
    step jsonb := path -> 0;
    rest jsonb := path - 0;
    is_last boolean := jsonb_array_length(path) = 1;
    position integer;
begin
    if jsonb_typeof(step) = 'string' then
        if jsonb_typeof(document) is distinct from 'object' or not document ? (step #>> '{}') then
            return document;
        end if;
        if is_last then
            return document - (step #>> '{}');
        end if;
        return document
            || jsonb_build_object(step #>> '{}', vectors.delete_payload(document -> (step #>> '{}'), rest));
    end if;
    if jsonb_typeof(document) is distinct from 'array' then
        return document;
    end if;
    if jsonb_typeof(step) = 'null' then
        if is_last then
            return '[]';
        end if;
        return coalesce(
            (
                select jsonb_agg(vectors.delete_payload(e.item, rest) order by e.place)
                from jsonb_array_elements(document) with ordinality as e (item, place)
            ),
            '[]');
    end if;
    position := step::integer;
    if position >= jsonb_array_length(document) then
        return document;
    end if;
    if is_last then
        return document - position;
    end if;
    return jsonb_set(document, array[position::text], vectors.delete_payload(document -> position, rest));
end
$$;

-- A number of a payload for a formula, or what stands for it; VC400 when there is neither.
create function vectors.require_number(value jsonb, otherwise float8, path text) returns float8
    language plpgsql
    immutable
    parallel safe
    set search_path = ''
as $$
begin
    if jsonb_typeof(value) = 'number' then
        return value::float8;
    end if;
    if otherwise is not null and (value is null or value = 'null' or value = '[]') then
        return otherwise;
    end if;
    raise exception 'no number' using errcode = 'VC400', detail = path;
end
$$;

revoke execute on function vectors.require_number(jsonb, float8, text) from public;
revoke execute on function vectors.instant(text) from public;
revoke execute on function vectors.geo_distance(float8, float8, float8, float8) from public;
revoke execute on function vectors.in_ring(float8, float8, float8[], float8[]) from public;
revoke execute on function vectors.set_payload(jsonb, jsonb, jsonb) from public;
revoke execute on function vectors.delete_payload(jsonb, jsonb) from public;
grant execute on function
    vectors.require_number(jsonb, float8, text), vectors.instant(text), vectors.geo_distance(float8, float8, float8, float8),
    vectors.in_ring(float8, float8, float8[], float8[]), vectors.set_payload(jsonb, jsonb, jsonb),
    vectors.delete_payload(jsonb, jsonb)
    to authenticated, service_role;

reset role;
