-- SPDX-License-Identifier: Apache-2.0
-- The names of a connection's prepared statements are nobody's business but the server's: who knows them and can run SQL of their own
-- could put another statement in the place of one that the next request executes.

revoke execute on function pg_catalog.pg_prepared_statement() from public;
