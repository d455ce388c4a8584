-- SPDX-License-Identifier: Apache-2.0
-- Of several servers on one database, one builds an index: the row of an unfinished one is the claim.

set local role atoll_vectors;

create unique index indexes_building_key on vectors.indexes (collection_id, slot) where not ready;

reset role;
