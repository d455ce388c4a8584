-- SPDX-License-Identifier: Apache-2.0
-- The channel a policy on Realtime's messages decides about.

set local role supabase_realtime_admin;

create function realtime.topic() returns text
    language sql
    stable
    parallel safe
    return nullif(current_setting('realtime.topic', true), '')::text;

reset role;
