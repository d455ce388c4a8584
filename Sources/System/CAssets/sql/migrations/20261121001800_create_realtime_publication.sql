-- SPDX-License-Identifier: Apache-2.0
-- The publication to which projects add the tables whose changes they want to follow; they own it.

create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;
