-- SPDX-License-Identifier: Apache-2.0
-- A row that is made by hand gets an id of its own and a bucket that is there, so that the isolation check can make one.

set local role atoll_vectors;

alter table vectors.points
    alter column bucket set default 0,
    alter column version set default 0,
    alter column id set default '\x01'::bytea || pg_catalog.uuid_send(pg_catalog.gen_random_uuid());

alter table vectors.named_vectors
    alter column bucket set default 0,
    alter column version set default 0,
    alter column id set default '\x01'::bytea || pg_catalog.uuid_send(pg_catalog.gen_random_uuid());

reset role;
