# SPDX-License-Identifier: Apache-2.0
"""Tenants with a schema of their own, as the official client reaches them: by the token alone. And SQL by the service key."""

import os
import pty
import subprocess
import time

import httpx
import pytest
from atoll_server import AtollServer, binary
from people import Person, anonymous, service
from postgrest.exceptions import APIError

FIRST = """
create type mood as enum ('calm', 'wild');
create table studios (id bigint generated always as identity primary key, name text not null, mood mood not null default 'calm');
create table bookings (
    id bigint generated always as identity primary key,
    studio bigint not null references studios (id) on delete cascade,
    at timestamptz not null default now()
);
create view calm_studios with (security_invoker = on) as select * from studios where mood = 'calm';
create function studio_count() returns bigint language sql stable as 'select count(*) from studios';
create function whose_path() returns text language sql stable as $$ select current_setting('search_path') $$;
"""
SECOND = "alter table studios add column city text;"
SHARED = """
create table public.plans (name text primary key);
insert into public.plans values ('basic');
create table public.studios (id bigint primary key, name text not null);
insert into public.studios values (1, 'shared');
create function public.peek(schema_name text) returns bigint language plpgsql as $$
declare found bigint;
begin
    execute format('select count(*) from %I.studios', schema_name) into found;
    return found;
end $$;
"""


@pytest.fixture(scope="module")
def atoll():
    server = AtollServer(migrations={"20250101000000_create_shared.sql": SHARED})
    templates = server.folder / "supabase" / "tenants"
    templates.mkdir()
    (templates / "20260101000000_create_studios.sql").write_text(FIRST)
    with server:
        yield server


def set_up(atoll, person, **body):
    response = httpx.post(
        f"{atoll.url}/api/setup", headers={**person.headers, "Prefer": "wait=60"}, json=body, timeout=90
    )
    assert response.json()["status"] == "completed", response.text
    return response.json()


def tenant_schema(state):
    return state["steps"][2]["detail"]["schema"]


@pytest.fixture(scope="module")
def ann(atoll):
    person = Person(atoll, "ann")
    person.schema = tenant_schema(set_up(atoll, person, isolation="schema"))
    return person


@pytest.fixture(scope="module")
def ben(atoll):
    person = Person(atoll, "ben")
    person.schema = tenant_schema(set_up(atoll, person, isolation="schema"))
    return person


def refusal(work):
    with pytest.raises(APIError) as error:
        work()
    return error.value


def test_only_the_service_key_runs_sql(atoll, ann):
    for client, code in [(anonymous(atoll), "42501"), (ann.client, "42501")]:
        error = refusal(lambda: client.rpc("execute_sql", {"sql": "create table public.mine ()"}).execute())
        assert error.code == code, error
    for key, status in [(atoll.status["ANON_KEY"], 401), (ann.session.access_token, 403)]:
        answer = httpx.post(
            f"{atoll.url}/rest/v1/rpc/execute_sql", headers={"Authorization": f"Bearer {key}"}, json={"sql": "select 1"}
        )
        assert answer.status_code == status, answer.text
    sql = "create table public.made (id int primary key); insert into public.made values (1);"
    admin = service(atoll)
    assert admin.rpc("execute_sql", {"sql": sql}).execute().data in (None, "", [])
    assert refusal(lambda: admin.rpc("execute_sql", {"sql": "select nonsense"}).execute()).code == "42703"
    # It runs as the owner of the project's objects, who is no superuser.
    assert refusal(lambda: admin.rpc("execute_sql", {"sql": "create role x superuser"}).execute()).code == "42501"


def test_each_sees_only_their_own_schema(ann, ben):
    made = ann.client.table("studios").insert({"name": "of ann", "mood": "wild"}).execute().data
    assert made == [{"id": 1, "name": "of ann", "mood": "wild"}]
    ben.client.table("studios").insert({"name": "of ben"}).execute()
    assert ann.client.table("studios").select("name").execute().data == [{"name": "of ann"}]
    assert ben.client.table("studios").select("name").execute().data == [{"name": "of ben"}]
    assert ann.client.rpc("studio_count").execute().data == 1
    for _ in range(4):
        # The same request again and again, in turn: planned once, run in two schemas.
        for person, name in [(ann, "of ann"), (ben, "of ben")]:
            assert person.client.table("studios").select("name").eq("id", 1).execute().data == [{"name": name}]


def test_relations_views_functions_and_types_are_the_tenants(ann):
    studio = ann.client.table("studios").insert({"name": "second"}).execute().data[0]
    ann.client.table("bookings").insert({"studio": studio["id"]}).execute()
    rows = ann.client.table("studios").select("name, bookings(studio)").eq("id", studio["id"]).execute().data
    assert rows == [{"name": "second", "bookings": [{"studio": studio["id"]}]}]
    assert [row["name"] for row in ann.client.table("calm_studios").select("name").execute().data] == ["second"]
    updated = ann.client.table("studios").update({"mood": "wild"}).eq("id", studio["id"]).execute().data
    assert updated[0]["mood"] == "wild"
    upserted = (
        ann.client.table("studios").upsert({"id": studio["id"], "name": "renamed"}, default_to_null=False).execute().data
    )
    assert upserted[0]["name"] == "renamed"
    ann.client.table("studios").delete().eq("id", studio["id"]).execute()
    assert ann.client.table("bookings").select("*").execute().data == []
    path = ann.client.rpc("whose_path").execute().data
    assert path.startswith(ann.schema)


def test_what_is_not_the_tenants_is_everybodys(atoll, ann):
    assert ann.client.table("plans").select("*").execute().data == [{"name": "basic"}]
    stranger = Person(atoll, "carl")
    assert stranger.client.table("studios").select("name").execute().data == [{"name": "shared"}]
    # The clients name the default schema in every request, so that is no way around the tenant's.
    assert ann.client.schema("public").table("studios").select("name").execute().data == [{"name": "of ann"}]
    assert refusal(lambda: ann.client.schema("tenant").table("plans").select("*").execute()).code == "PGRST205"
    assert ann.client.schema("tenant").table("studios").select("name").execute().data == [{"name": "of ann"}]
    # Without a schema of one's own there is no such profile.
    assert refusal(lambda: stranger.client.schema("tenant").table("studios").select("*").execute()).code == "PGRST106"


def test_no_request_reaches_anothers_schema(atoll, ann, ben):
    for name in [ann.schema, "tenant_template", f'{ann.schema}"'] + ["tenancy", "auth"]:
        error = refusal(lambda: ben.client.schema(name).table("studios").select("*").execute())
        assert error.code == "PGRST106", error
    for schema in [ann.schema, ben.schema]:
        # A function of all runs with nobody's schema.
        assert refusal(lambda: ben.client.rpc("peek", {"schema_name": schema}).execute()).code == "42501"
    # A token that names her tenant, without a membership there, is of no use to him.
    token = ben.session.access_token
    forged = httpx.get(
        f"{atoll.url}/rest/v1/studios",
        headers={"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {token}x"},
    )
    assert forged.status_code == 401
    signed = atoll.command(
        "gen", "bearer-jwt", "--role", "authenticated", "--sub", ben.id, "--payload",
        '{"app_metadata": {"tenant_id": "%s"}}' % tenant_of(ann.schema),
    ).strip()  # fmt: skip
    answer = httpx.get(
        f"{atoll.url}/rest/v1/studios",
        headers={"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {signed}"},
    )
    assert "of ann" not in answer.text


def tenant_of(schema):
    digits = schema.removeprefix("tenant_")
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def test_tenants_are_brought_to_newer_templates(atoll, ann, ben):
    template = atoll.folder / "supabase" / "tenants" / "20260102000000_add_city.sql"
    template.write_text(SECOND)
    assert "2 tenants are behind 20260102000000" in atoll.command("tenants", "migrate", "--dry-run")
    # Ben's schema is not as it should be.
    service(atoll).rpc("execute_sql", {"sql": f"alter table {ben.schema}.studios add column city int"}).execute()
    result = subprocess.run(
        [binary(), "tenants", "migrate", "--parallel", "2", "--workdir", atoll.folder], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "1 of 2 tenants brought to 20260102000000" in result.stdout
    assert 'column "city" of relation "studios" already exists' in result.stdout
    assert "2 of 2 tenants" in result.stderr  # plain lines, as this is no terminal
    # The server hears of the new shape in a moment.
    deadline = time.monotonic() + 30
    while httpx.get(f"{atoll.url}/rest/v1/studios?select=city", headers=ann.headers).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    row = ann.client.table("studios").update({"city": "Bonn"}).eq("id", 1).execute().data[0]
    assert row["city"] == "Bonn"
    service(atoll).rpc("execute_sql", {"sql": f"alter table {ben.schema}.studios drop column city"}).execute()
    output = on_terminal([binary(), "tenants", "migrate", "--workdir", atoll.folder])
    assert "[########################]" in output
    assert "1 of 1 tenants brought to 20260102000000" in output
    assert "0 of 0 tenants" in atoll.command("tenants", "migrate")
    assert ben.client.table("studios").select("city").eq("id", 1).execute().data == [{"city": None}]


def on_terminal(command):
    """What a command writes to a terminal."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(command, stdout=secondary, stderr=secondary, env={**os.environ, "TERM": "xterm"})
    os.close(secondary)
    output = b""
    while True:
        try:
            chunk = os.read(primary, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    os.close(primary)
    assert process.wait() == 0
    return output.decode()


def test_a_broken_template_keeps_nobody_from_working(atoll, ann):
    template = atoll.folder / "supabase" / "tenants" / "20260103000000_broken.sql"
    template.write_text("alter table studios add column x int;\nselect nonsense;")
    try:
        result = subprocess.run(
            [binary(), "tenants", "migrate", "--workdir", atoll.folder], capture_output=True, text=True
        )
        assert result.returncode == 1
        assert "line 2" in result.stderr and "no tenant was changed" in result.stderr
        atoll.stop()
        atoll.start()
        assert "tenant templates not applied" in atoll.log
        assert ann.client.table("studios").select("name").eq("id", 1).execute().data == [{"name": "of ann"}]
    finally:
        template.unlink()
