-- SPDX-License-Identifier: Apache-2.0
-- The bounds of `[atoll.tenancy]`, which the server writes here when it starts, so that the functions of this schema keep them
-- whoever calls; and the one way in which they refuse.

set local role atoll_tenancy;

create table tenancy.rules (
    only_row boolean not null default true,
    max_teams integer not null default 20,
    max_members integer not null default 200,
    max_invitations integer not null default 100,
    invitation_seconds bigint not null default 604800,
    invitation_pause_seconds bigint not null default 60,
    deletion_grace_seconds bigint not null default 2592000,
    soft_limit_percent integer not null default 80,
    updated_at timestamptz not null default now(),
    constraint rules_pkey primary key (only_row),
    constraint rules_only_row_check check (only_row),
    constraint rules_counts_check check (max_teams >= 0 and max_members >= 1 and max_invitations >= 0),
    constraint rules_times_check
        check (invitation_seconds > 0 and invitation_pause_seconds >= 0 and deletion_grace_seconds >= 0),
    constraint rules_soft_limit_percent_check check (soft_limit_percent between 1 and 100)
);

alter table tenancy.rules enable row level security;
alter table tenancy.rules force row level security;

create policy rules_owner on tenancy.rules
    for all
    to atoll_tenancy
    using (true)
    with check (true);

grant select on tenancy.rules to postgres, service_role;

insert into tenancy.rules default values;

-- Refuses with a status of HTTP, as REST reads it too (`PTnnn`). The detail is a code for programs, the message is for people.
create function tenancy.refuse(status integer, code text, message text) returns void
    language plpgsql
    set search_path = ''
as $$
begin
    raise exception using errcode = 'PT' || status, message = refuse.message, detail = code;
end
$$;

revoke execute on function tenancy.refuse(integer, text, text) from public;

reset role;
