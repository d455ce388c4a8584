# SPDX-License-Identifier: Apache-2.0
"""A project with functions that run what their caller sends as SQL: how far that reaches."""

import httpx
import pytest

from atoll_server import AtollServer
from people import Person, service

RUN = """
create function {name}(statements text[]) returns text language plpgsql as $$
declare
    statement text;
    result text;
begin
    foreach statement in array statements loop
        if statement ~* '^select' then
            execute statement into result;
        else
            execute statement;
        end if;
    end loop;
    return result;
end $$;
"""
SHARED = RUN.format(name="public.run_sql") + """
create table public.documents (
    id bigint generated always as identity primary key,
    tenant_id uuid not null default tenancy.current_tenant(),
    title text not null
);
alter table public.documents enable row level security;
create policy documents_of_the_tenant on public.documents for all to authenticated
    using (tenant_id = (select tenancy.current_tenant()))
    with check (tenant_id = (select tenancy.current_tenant()));
"""
OWN = "create table notes (body text);" + RUN.format(name="run_here")


@pytest.fixture(scope="module")
def atoll():
    server = AtollServer(migrations={"20250101000000_create_shared.sql": SHARED})
    templates = server.folder / "supabase" / "tenants"
    templates.mkdir()
    (templates / "20260101000000_create_notes.sql").write_text(OWN)
    with server:
        yield server


def tenant(atoll, name):
    """Somebody with a schema of their own, a note in it and a document in the tables of all."""
    person = Person(atoll, name)
    done = httpx.post(
        f"{atoll.url}/api/setup", headers={**person.headers, "Prefer": "wait=60"}, json={"isolation": "schema"}, timeout=90
    ).json()
    assert done["status"] == "completed", done
    person.schema = done["steps"][2]["detail"]["schema"]
    digits = person.schema.removeprefix("tenant_")
    person.tenant = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    person.client.table("notes").insert({"body": f"note of {name}"}).execute()
    person.client.table("documents").insert({"title": f"document of {name}"}).execute()
    return person


@pytest.fixture(scope="module")
def ann(atoll):
    return tenant(atoll, "ann")


@pytest.fixture(scope="module")
def ben(atoll):
    return tenant(atoll, "ben")


ROLES = ["{ann}", "{ben}", "service_role", "authenticator", "atoll_requests", "postgres", "atoll_tenancy", "supabase_admin"]
SWITCHES = [
    *([f"set role {role}", "select string_agg(body, ',') from {ann}.notes"] for role in ROLES),
    *([f"set local role {role}", "select string_agg(title, ',') from public.documents"] for role in ROLES),
    ["select set_config('role', '{ann}', true)", "select string_agg(body, ',') from {ann}.notes"],
    ["select set_config('role', 'service_role', false)", "select string_agg(title, ',') from public.documents"],
    ["reset role", "select string_agg(body, ',') from {ann}.notes"],
    ["reset role", "select string_agg(title, ',') from public.documents"],
    ["set session authorization postgres", "select string_agg(title, ',') from public.documents"],
    ["set session authorization default", "set role service_role", "select string_agg(title, ',') from public.documents"],
]
CLAIMS = """select set_config('request.jwt.claims', '{{"sub": "{ann_id}", "role": "authenticated", \
"app_metadata": {{"tenant_id": "{ann_tenant}"}}}}', true)"""
SPLICE = "select set_config('request.identity', '{ann_id}{ann_tenant}' || right(current_setting('request.identity'), 64), true)"
FORGERIES = [
    [CLAIMS, "select c0 from tenant_entry.{ann}('select string_agg(body, '','') from notes')"],
    [CLAIMS, "select string_agg(title, ',') from public.documents"],
    [CLAIMS, "select string_agg(name, ',') from tenancy.tenants"],
    [CLAIMS, SPLICE, "select c0 from tenant_entry.{ann}('select string_agg(body, '','') from notes')"],
    [CLAIMS, SPLICE, "select string_agg(title, ',') from public.documents"],
    [CLAIMS, "select tenancy.change_own_tenant('{ann_tenant}', 'suspend', null)"],
    ["set search_path = {ann}", "select string_agg(body, ',') from notes"],
    ["select string_agg(body, ',') from {ann}.notes"],
    ["select string_agg(inner_pad::text, ',') from tenancy.identity_keys"],
    ["select tenancy.keep_identity_key(repeat('x', 64)::bytea, repeat('x', 64)::bytea)"],
    ["select tenancy.make_entry('{ann_tenant}')"],
    ["grant {ann} to authenticated"],
    ["alter function tenant_entry.{ann}(text) owner to authenticated"],
]


@pytest.mark.parametrize("statements", SWITCHES + FORGERIES, ids=lambda statements: "; ".join(statements)[:90])
@pytest.mark.parametrize("function", ["run_sql", "run_here"])
def test_sql_of_a_callers_own_does_not_leave_the_tenant(atoll, ann, ben, function, statements):
    """`run_sql` is shared and runs as `authenticated`; `run_here` runs in the schema of the caller's tenant."""
    names = {"ann": ann.schema, "ben": ben.schema, "ann_id": ann.id, "ann_tenant": ann.tenant}
    answer = httpx.post(
        f"{atoll.url}/rest/v1/rpc/{function}",
        headers={"apikey": atoll.status["ANON_KEY"], **ben.headers},
        json={"statements": [statement.format(**names) for statement in statements]},
    )
    assert "of ann" not in answer.text and ann.email not in answer.text, answer.text
    assert answer.status_code != 500, answer.text
    # Nothing came of it, for her or for him.
    assert ann.client.table("notes").select("body").execute().data == [{"body": "note of ann"}]
    assert ben.client.table("documents").select("title").execute().data == [{"title": "document of ben"}]


def test_no_statement_is_put_in_the_place_of_the_servers(atoll, ann, ben):
    """The server keeps statements prepared, and SQL shares their names: the next request on the connection must not run others."""

    def run(*statements):
        return httpx.post(
            f"{atoll.url}/rest/v1/rpc/run_sql",
            headers={"apikey": atoll.status["ANON_KEY"], **ben.headers},
            json={"statements": list(statements)},
        )

    assert run("select string_agg(name, ',') from pg_prepared_statements").json()["code"] == "42501"
    theft = "select set_config('request.jwt.claims', '', true), 1 / 0"
    for _ in range(4):
        for name in [f"{letter}{number}" for letter in "ap" for number in range(1, 13)]:
            texts = ", ".join(["text"] * 2 * int(name[1:]))
            put = [f"prepare {name} as {theft}"] if name[0] == "a" else [f"prepare {name} ({texts}) as {theft}"]
            # Without this the name is taken only where the server does not use it.
            run(f"deallocate {name}")
            assert run(*put).status_code in (200, 400, 409), name
        assert [row["title"] for row in ann.client.table("documents").select("title").execute().data] == ["document of ann"]
    # All of the server's own can be thrown away, which costs it making them anew.
    for _ in range(4):
        assert run("deallocate all").status_code in (200, 204)
        assert ann.client.table("notes").select("body").execute().data == [{"body": "note of ann"}]
        assert len(service(atoll).table("documents").select("title").execute().data) == 2


def test_what_may_be_done_is_done(atoll, ann, ben):
    def run(person, function, *statements):
        return person.client.rpc(function, {"statements": list(statements)}).execute().data

    assert run(ben, "run_here", "select string_agg(body, ',') from notes") == "note of ben"
    assert run(ben, "run_sql", "select string_agg(title, ',') from public.documents") == "document of ben"
    assert run(ben, "run_sql", f"select c0 from tenant_entry.{ben.schema}('select body from notes')") == "note of ben"
    # The back end's key goes on working, on a login of its own.
    assert len(service(atoll).table("documents").select("title").execute().data) == 2
