-- SPDX-License-Identifier: Apache-2.0
-- What grows, fixes or gives up an upload is the service's own, which logs in as the owner of the schema: nobody else changes what a
-- tenant has reserved.

set local role supabase_storage_admin;

revoke execute on function storage.extend_upload(text, bigint) from public;
revoke execute on function storage.reserve_at_least(text, bigint) from public;
revoke execute on function storage.fix_upload_length(text, bigint) from public;
revoke execute on function storage.cancel_upload(text) from public;
revoke execute on function storage.account_object() from public;

reset role;
