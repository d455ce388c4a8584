-- SPDX-License-Identifier: Apache-2.0
-- A new security key is looked up among all factors. Not unique: rows that are moved in may hold one key twice.

set local role supabase_auth_admin;

create index mfa_factors_web_authn_credential_id_idx on auth.mfa_factors ((web_authn_credential ->> 'id'))
    where web_authn_credential is not null;

reset role;
