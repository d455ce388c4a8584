# SPDX-License-Identifier: Apache-2.0
"""Every method of the `postgrest` client's builders, blocking and asynchronous, as two users who must not meet.

Cases stand in tables by method; the tables are compared with what the classes offer, so that a method nobody drives fails the tests.
"""

import asyncio
import inspect
import warnings

import pytest
from postgrest import AsyncPostgrestClient, SyncPostgrestClient
from postgrest._async import client as async_client, request_builder as async_builders
from postgrest._sync import client as sync_client, request_builder as sync_builders
from postgrest.exceptions import APIError
from postgrest.types import CountMethod, ReturnMethod

from atoll_server import AtollServer
from people import Person

SCHEMA = """
create table things (
    id bigint generated always as identity primary key,
    owner uuid not null default auth.uid(),
    name text not null,
    amount int,
    flag boolean,
    words text[] not null default '{}',
    span int4range,
    data jsonb,
    body text,
    kind text default 'plain',
    unique (owner, name));
create table parts (
    id bigint generated always as identity primary key,
    owner uuid not null default auth.uid(),
    thing_id bigint not null references things (id) on delete cascade,
    label text not null);
alter table things enable row level security;
alter table parts enable row level security;
create policy own on things to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create policy own on parts to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
grant all on things, parts to authenticated;
create function search_things(prefix text default '') returns setof things language sql stable
    as $$ select * from things where name like prefix || '%' $$;
create function add_numbers(a int, b int) returns int language sql immutable as $$ select a + b $$;
create function rename_all(to_kind text) returns setof things language sql
    as $$ update things set kind = to_kind returning * $$;
create schema if not exists graphql_public;
grant usage on schema graphql_public to anon, authenticated;
create view graphql_public.names with (security_invoker) as select name from public.things;
grant select on graphql_public.names to authenticated;
"""

ROWS = [
    {"name": "apple", "amount": 1, "flag": True, "words": ["red", "round"], "span": "[1,5)",
     "data": {"a": {"b": "x"}, "n": 1}, "body": "The quick brown fox"},
    {"name": "banana", "amount": 2, "flag": False, "words": ["yellow", "long"], "span": "[5,10)",
     "data": {"n": 2}, "body": "jumps over the lazy dog"},
    {"name": "cherry", "amount": None, "flag": None, "words": [], "span": "[20,30)",
     "data": {}, "body": "quick quick quick"},
    {"name": "date,(x)", "amount": 4, "flag": True, "words": ["red"], "span": None,
     "data": {"list": [1]}, "body": None},
]
ALL = {row["name"] for row in ROWS}


@pytest.fixture(scope="module")
def server():
    config = "[atoll.rest]\nplans = true\n"
    with AtollServer(migrations={"20260101000000_things.sql": SCHEMA}, config=config) as server:
        yield server


@pytest.fixture(scope="module")
def alice(server):
    person = Person(server, "alice")
    rows = person.client.table("things").insert(ROWS).execute().data
    person.ids = {row["name"]: row["id"] for row in rows}
    person.client.table("parts").insert(
        [{"thing_id": person.ids[name], "label": label}
         for name, label in [("apple", "p1"), ("apple", "p2"), ("apple", "p3"), ("banana", "q1")]]
    ).execute()
    return person


@pytest.fixture(scope="module")
def bob(server):
    person = Person(server, "bob")
    person.client.table("things").insert({**ROWS[0], "name": "secret"}).execute()
    return person


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


class Driver:
    """A client of either kind behind one way to run what it builds."""

    def __init__(self, server, person, kind, loop):
        headers = {"apikey": server.status["ANON_KEY"], **person.headers}
        maker = SyncPostgrestClient if kind == "sync" else AsyncPostgrestClient
        self.client = maker(f"{server.url}/rest/v1", headers=headers)
        self.kind, self.loop = kind, loop

    def __call__(self, builder):
        result = builder.execute()
        return self.loop.run_until_complete(result) if inspect.isawaitable(result) else result

    def close(self):
        closing = self.client.aclose()
        if inspect.isawaitable(closing):
            self.loop.run_until_complete(closing)


@pytest.fixture(params=["sync", "async"])
def run(request, server, alice, bob, loop):
    driver = Driver(server, alice, request.param, loop)
    yield driver
    driver.close()


@pytest.fixture(params=["sync", "async"])
def run_as_bob(request, server, alice, bob, loop):
    driver = Driver(server, bob, request.param, loop)
    yield driver
    driver.close()


# --- Filters: what is built, and the names that it leaves ---------------------------------------------------------------

FILTERS = {
    "eq": [(lambda q: q.eq("name", "apple"), {"apple"}), (lambda q: q.eq("name", "date,(x)"), {"date,(x)"}),
           (lambda q: q.eq("data->a->>b", "x"), {"apple"})],
    "neq": [(lambda q: q.neq("amount", 1), {"banana", "date,(x)"})],
    "gt": [(lambda q: q.gt("amount", 1), {"banana", "date,(x)"})],
    "gte": [(lambda q: q.gte("amount", 2), {"banana", "date,(x)"})],
    "lt": [(lambda q: q.lt("amount", 2), {"apple"})],
    "lte": [(lambda q: q.lte("amount", 2), {"apple", "banana"})],
    "is_": [(lambda q: q.is_("amount", None), {"cherry"}), (lambda q: q.is_("flag", True), {"apple", "date,(x)"}),
            (lambda q: q.is_("flag", False), {"banana"}), (lambda q: q.is_("flag", "unknown"), {"cherry"}),
            (lambda q: q.is_("amount", "not_null"), ALL - {"cherry"})],
    "like": [(lambda q: q.like("name", "%an%"), {"banana"}), (lambda q: q.like("name", "A%"), set())],
    "ilike": [(lambda q: q.ilike("name", "A%"), {"apple"})],
    "like_all_of": [(lambda q: q.like_all_of("name", "%a%,%n%"), {"banana"})],
    "like_any_of": [(lambda q: q.like_any_of("name", "app%,ban%"), {"apple", "banana"})],
    "ilike_all_of": [(lambda q: q.ilike_all_of("name", "%A%,%N%"), {"banana"})],
    "ilike_any_of": [(lambda q: q.ilike_any_of("name", "APP%,CH%"), {"apple", "cherry"})],
    "fts": [(lambda q: q.fts("body", "quick"), {"apple", "cherry"}),
            (lambda q: q.fts("body", "fox | dog"), {"apple", "banana"})],
    "plfts": [(lambda q: q.plfts("body", "brown fox"), {"apple"})],
    "phfts": [(lambda q: q.phfts("body", "quick brown"), {"apple"}), (lambda q: q.phfts("body", "brown quick"), set())],
    "wfts": [(lambda q: q.wfts("body", "quick -brown"), {"cherry"})],
    "in_": [(lambda q: q.in_("name", ["apple", "date,(x)"]), {"apple", "date,(x)"}), (lambda q: q.in_("amount", []), set())],
    "cs": [(lambda q: q.cs("words", ["red"]), {"apple", "date,(x)"})],
    "cd": [(lambda q: q.cd("words", ["red", "round"]), {"apple", "cherry", "date,(x)"})],
    "contains": [(lambda q: q.contains("data", {"n": 1}), {"apple"}), (lambda q: q.contains("span", "[2,3]"), {"apple"}),
                 (lambda q: q.contains("words", ["long"]), {"banana"})],
    "contained_by": [(lambda q: q.contained_by("data", {"n": 2, "m": 1}), {"banana", "cherry"}),
                     (lambda q: q.contained_by("span", "[0,10)"), {"apple", "banana"}),
                     (lambda q: q.contained_by("words", ["red"]), {"cherry", "date,(x)"})],
    "ov": [(lambda q: q.ov("words", ["red", "long"]), ALL - {"cherry"}), (lambda q: q.ov("span", "[9,21)"), {"banana", "cherry"})],
    "overlaps": [(lambda q: q.overlaps("words", ["yellow"]), {"banana"})],
    "sl": [(lambda q: q.sl("span", (6, 8)), {"apple"})],
    "sr": [(lambda q: q.sr("span", (11, 19)), {"cherry"})],
    "nxl": [(lambda q: q.nxl("span", (5, 50)), {"cherry"})],
    "nxr": [(lambda q: q.nxr("span", (0, 11)), {"apple", "banana"})],
    "adj": [(lambda q: q.adj("span", (9, 20)), {"banana", "cherry"})],
    "range_lt": [(lambda q: q.range_lt("span", (6, 8)), {"apple"})],
    "range_gt": [(lambda q: q.range_gt("span", (11, 19)), {"cherry"})],
    "range_gte": [(lambda q: q.range_gte("span", (5, 50)), {"cherry"})],
    "range_lte": [(lambda q: q.range_lte("span", (0, 11)), {"apple", "banana"})],
    "range_adjacent": [(lambda q: q.range_adjacent("span", (9, 20)), {"banana", "cherry"})],
    "match": [(lambda q: q.match({"name": "apple", "amount": 1}), {"apple"}),
              (lambda q: q.match({"name": "apple", "amount": 2}), set())],
    "or_": [(lambda q: q.or_("amount.eq.1,name.eq.cherry"), {"apple", "cherry"}),
            (lambda q: q.or_('name.eq."date,(x)",and(amount.gt.1,flag.is.false)'), {"banana", "date,(x)"})],
    "not_": [(lambda q: q.not_.eq("name", "apple"), ALL - {"apple"}),
             (lambda q: q.not_.or_("amount.eq.1,name.eq.cherry"), {"banana", "date,(x)"}),
             (lambda q: q.not_.is_("amount", None), ALL - {"cherry"})],
    "filter": [(lambda q: q.filter("amount", "in", "(1,2)"), {"apple", "banana"}),
               (lambda q: q.filter("name", "match", "^[ab]"), {"apple", "banana"}),
               (lambda q: q.filter("name", "imatch", "^CH"), {"cherry"}),
               (lambda q: q.filter("amount", "isdistinct", "1"), ALL - {"apple"}),
               (lambda q: q.filter("amount", "eq(any)", "{1,4}"), {"apple", "date,(x)"})],
}


@pytest.mark.parametrize("method", FILTERS)
def test_filters_tables_and_functions_alike(run, method):
    for build, expected in FILTERS[method]:
        rows = run(build(run.client.table("things").select("name"))).data
        assert {row["name"] for row in rows} == expected
        rows = run(build(run.client.rpc("search_things", {}).select("name"))).data
        assert {row["name"] for row in rows} == expected


@pytest.mark.parametrize("method", FILTERS)
def test_filters_updates_and_deletes_alike(run, method):
    for build, expected in FILTERS[method]:
        rows = run(build(run.client.table("things").update({"kind": "changed"}))).data
        assert {row["name"] for row in rows} == expected
        # Of nobody's: the filter is taken, and no row of the next test is lost.
        assert run(build(run.client.table("things").delete().eq("id", 0))).data == []


def test_another_users_rows_are_out_of_reach(run_as_bob):
    run = run_as_bob
    for build, _ in (case for cases in FILTERS.values() for case in cases):
        names = {row["name"] for row in run(build(run.client.table("things").select("name"))).data}
        assert names <= {"secret"}
        changed = run(build(run.client.table("things").update({"kind": "stolen"}))).data
        assert {row["name"] for row in changed} <= {"secret"}
    assert run(run.client.table("parts").select("*, things(*)")).data == []
    with pytest.raises(APIError) as refusal:
        run(run.client.table("things").insert({"name": "forged", "owner": "00000000-0000-4000-8000-000000000001"}))
    assert refusal.value.code == "42501"


def test_a_refusal_keeps_its_code_details_and_hint(run):
    for build, code in [
        (lambda c: c.table("thingz").select("*"), "PGRST205"),
        (lambda c: c.table("things").select("*, wholes(*)"), "PGRST200"),
        (lambda c: c.table("things").select("nothing"), "42703"),
        (lambda c: c.table("things").select("*").filter("name", "equals", "x"), "PGRST100"),
        (lambda c: c.table("things").select("*").single(), "PGRST116"),
        (lambda c: c.rpc("add_numbers", {"a": 1, "c": 2}), "PGRST202"),
        (lambda c: c.schema("auth").table("users").select("*"), "PGRST106"),
    ]:
        with pytest.raises(APIError) as refusal:
            run(build(run.client))
        assert refusal.value.code == code
        assert refusal.value.message
    with pytest.raises(APIError) as refusal:
        run(run.client.table("thingz").select("*"))
    assert refusal.value.hint == "Perhaps you meant the table 'public.things'"


# --- Modifiers ----------------------------------------------------------------------------------------------------------


def names(rows):
    return [row["name"] for row in rows]


def drive_order(run):
    things = run.client.table("things")
    assert names(run(things.select("name").order("name", desc=True)).data) == sorted(ALL, reverse=True)
    rows = run(things.select("name,amount").order("amount", nullsfirst=True).order("name")).data
    assert names(rows) == ["cherry", "apple", "banana", "date,(x)"]
    rows = run(things.select("name,amount").order("amount", desc=True, nullsfirst=False)).data
    assert names(rows) == ["date,(x)", "banana", "apple", "cherry"]
    rows = run(things.select("name,parts(label)").eq("name", "apple").order("label", desc=True, foreign_table="parts")).data
    assert [part["label"] for part in rows[0]["parts"]] == ["p3", "p2", "p1"]
    rows = run(run.client.rpc("search_things", {}).select("name").order("name", desc=True)).data
    assert names(rows) == sorted(ALL, reverse=True)
    rows = run(run.client.table("parts").select("label,things(name)").order("things(name)", desc=True).order("label")).data
    assert [row["label"] for row in rows] == ["q1", "p1", "p2", "p3"]


def drive_limit(run):
    assert names(run(run.client.table("things").select("name").order("name").limit(2)).data) == ["apple", "banana"]
    assert run(run.client.table("things").select("name").limit(0)).data == []
    rows = run(
        run.client.table("things").select("name,parts(label)").eq("name", "apple")
        .order("label", foreign_table="parts").limit(1, foreign_table="parts")
    ).data
    assert rows == [{"name": "apple", "parts": [{"label": "p1"}]}]
    assert len(run(run.client.rpc("search_things", {}).limit(3)).data) == 3


def drive_offset(run):
    assert names(run(run.client.table("things").select("name").order("name").offset(3)).data) == ["date,(x)"]
    assert len(run(run.client.rpc("search_things", {}).offset(1)).data) == 3


def drive_range(run):
    assert names(run(run.client.table("things").select("name").order("name").range(1, 2)).data) == ["banana", "cherry"]
    rows = run(
        run.client.table("things").select("name,parts(label)").eq("name", "apple")
        .order("label", foreign_table="parts").range(1, 2, foreign_table="parts")
    ).data
    assert rows == [{"name": "apple", "parts": [{"label": "p2"}, {"label": "p3"}]}]
    answer = run(run.client.rpc("search_things", {}, count=CountMethod.exact).order("name").range(0, 1))
    assert names(answer.data) == ["apple", "banana"] and answer.count == 4


def drive_single(run):
    assert run(run.client.table("things").select("name").eq("name", "apple").single()).data == {"name": "apple"}
    assert run(run.client.rpc("search_things", {"prefix": "ban"}).select("name").single()).data == {"name": "banana"}
    with pytest.raises(APIError) as refusal:
        run(run.client.table("things").select("name").eq("name", "nothing").single())
    assert refusal.value.code == "PGRST116" and refusal.value.details == "The result contains 0 rows"


def drive_maybe_single(run):
    assert run(run.client.table("things").select("name").eq("name", "apple").maybe_single()).data == {"name": "apple"}
    assert run(run.client.table("things").select("name").eq("name", "nothing").maybe_single()) is None
    assert run(run.client.rpc("search_things", {"prefix": "che"}).select("name").maybe_single()).data == {"name": "cherry"}
    with pytest.raises(APIError):
        run(run.client.table("things").select("name").maybe_single())


def drive_csv(run):
    text = run(run.client.table("things").select("name,amount").order("name").csv()).data
    assert text == 'name,amount\napple,1\nbanana,2\ncherry,\n"date,(x)",4'
    text = run(run.client.rpc("search_things", {"prefix": "a"}).select("name").csv()).data
    assert text == "name\napple"


def drive_explain(run):
    things = run.client.table("things").select("*").eq("name", "apple")
    assert "Aggregate" in run(things.explain())
    text = run(run.client.table("things").select("*").explain(analyze=True, verbose=True, buffers=True, settings=True, wal=True))
    assert "actual time" in text and "Output:" in text
    plan = run(run.client.table("things").select("*").explain(format="json")).data
    assert plan[0]["Plan"]["Node Type"] == "Aggregate"


def drive_strip_nulls(run):
    things = run.client.table("things")
    assert run(things.select("name,amount").eq("name", "cherry").strip_nulls()).data == [{"name": "cherry"}]
    assert run(things.select("name,amount").eq("name", "cherry").strip_nulls().single()).data == {"name": "cherry"}
    rows = run(run.client.rpc("search_things", {"prefix": "che"}).select("name,amount").strip_nulls()).data
    assert rows == [{"name": "cherry"}]
    with pytest.raises(ValueError):
        things.select("name").strip_nulls().csv()


def drive_text_search(run):
    def found(query, options=None):
        rows = run(run.client.table("things").select("name").text_search("body", query, options)).data
        return {row["name"] for row in rows}

    assert found("quick & brown") == {"apple"}
    assert found("brown fox", {"type": "plain"}) == {"apple"}
    assert found("quick brown", {"type": "phrase"}) == {"apple"}
    assert found("fox or dog", {"type": "web_search"}) == {"apple", "banana"}
    # English knows the word's stem, `simple` does not.
    assert found("jumping", {"config": "english"}) == {"banana"}
    assert found("jumping", {"config": "simple", "type": "plain"}) == set()


def drive_max_affected(run):
    with pytest.raises(APIError) as refusal:
        run(run.client.table("things").update({"kind": "over"}).gt("amount", 0).max_affected(2))
    assert refusal.value.code == "PGRST124"
    with pytest.raises(APIError):
        run(run.client.table("things").delete().gt("amount", 0).max_affected(2))
    assert run(run.client.table("things").select("*").eq("kind", "over")).data == []
    assert len(run(run.client.table("things").update({"kind": "few"}).lt("amount", 3).max_affected(2)).data) == 2
    with pytest.raises(APIError) as refusal:
        run(run.client.rpc("rename_all", {"to_kind": "over"}).max_affected(1))
    assert refusal.value.code == "PGRST124"
    assert run(run.client.table("things").select("*").eq("kind", "over")).data == []


def drive_select(run):
    things = run.client.table("things")
    assert set(run(things.select()).data[0]) == {
        "id", "owner", "name", "amount", "flag", "words", "span", "data", "body", "kind"}
    rows = run(things.select("label:name", "amount::text", "data->a->>b", "parts(count:label)").eq("name", "apple")).data
    assert rows[0]["label"] == "apple" and rows[0]["amount"] == "1" and rows[0]["b"] == "x"
    rows = run(things.select("name, ...parts!inner(label)").eq("parts.label", "q1")).data
    assert rows == [{"name": "banana", "label": ["q1"]}]
    rows = run(things.select("name,parts(label)").eq("name", "apple").or_("label.eq.p1,label.eq.p2", reference_table="parts")).data
    assert len(rows[0]["parts"]) == 2
    rows = run(things.select("name,parts(label)").eq("name", "apple").not_.or_("label.eq.p1", reference_table="parts")).data
    assert len(rows[0]["parts"]) == 2
    for count in CountMethod:
        answer = run(things.select("name", count=count).limit(2))
        assert len(answer.data) == 2 and answer.count > 0
    answer = run(things.select("*", count=CountMethod.exact, head=True))
    assert answer.data == [] and answer.count == 4
    # What writes shows what it wrote where it is asked to.
    rows = run(things.update({"kind": "shown"}).eq("name", "apple").select("name", "kind")).data
    assert rows == [{"name": "apple", "kind": "shown"}]


def drive_retry(run):
    for enabled in (True, False):
        assert len(run(run.client.table("things").select("name").retry(enabled)).data) == 4
        assert run(run.client.table("things").select("name").eq("name", "apple").single().retry(enabled)).data
        assert run(run.client.table("things").select("name").eq("name", "apple").maybe_single().retry(enabled)).data
        assert run(run.client.table("things").select("name").explain().retry(enabled))
        assert run(run.client.rpc("add_numbers", {"a": 1, "b": 2}).retry(enabled)).data == 3


def drive_execute(run):
    assert len(run(run.client.table("things").select("name")).data) == 4


MODIFIERS = {
    name.removeprefix("drive_"): drive for name, drive in list(globals().items()) if name.startswith("drive_")
}


@pytest.mark.parametrize("method", MODIFIERS)
def test_modifiers(run, method):
    MODIFIERS[method](run)


# --- Writing ------------------------------------------------------------------------------------------------------------


def write_insert(run, things):
    rows = run(things.insert({"name": "new"})).data
    assert rows[0]["name"] == "new" and rows[0]["kind"] == "plain"
    assert run(things.insert({"name": "quiet"}, returning=ReturnMethod.minimal)).data == []
    answer = run(things.insert([{"name": "n1"}, {"name": "n2", "kind": "x"}], count=CountMethod.exact))
    assert answer.count == 2 and [row["kind"] for row in answer.data] == [None, "x"]
    rows = run(things.insert([{"name": "n3"}, {"name": "n4", "kind": "x"}], default_to_null=False)).data
    assert [row["kind"] for row in rows] == ["plain", "x"]
    with pytest.raises(APIError) as refusal:
        run(things.insert({"name": "new"}))
    assert refusal.value.code == "23505"
    key = {"id": rows[0]["id"]}
    with pytest.raises(APIError) as refusal:
        run(things.insert({**key, "name": "n3"}, upsert=True))
    # The column is `generated always`: an upsert by the key is for tables that take one.
    assert refusal.value.code == "428C9"


def write_upsert(run, things):
    run(things.insert({"name": "new", "kind": "first"}))
    rows = run(things.upsert({"name": "new", "kind": "second"}, on_conflict="owner,name")).data
    assert rows[0]["kind"] == "second"
    rows = run(things.upsert({"name": "new", "kind": "third"}, on_conflict="owner,name", ignore_duplicates=True)).data
    assert rows == []
    answer = run(
        things.upsert([{"name": "new"}, {"name": "newer", "kind": "x"}], on_conflict="owner,name", default_to_null=False,
                      count=CountMethod.exact)
    )
    assert answer.count == 2 and {row["name"]: row["kind"] for row in answer.data} == {"new": "plain", "newer": "x"}
    assert run(things.upsert({"name": "quiet"}, on_conflict="owner,name", returning=ReturnMethod.minimal)).data == []


def write_update(run, things):
    run(things.insert([{"name": "n1"}, {"name": "n2"}]))
    answer = run(things.update({"amount": 70}, count=CountMethod.exact).like("name", "n%"))
    assert answer.count == 2 and {row["amount"] for row in answer.data} == {70}
    assert run(things.update({"amount": 71}, returning=ReturnMethod.minimal).eq("name", "n1")).data == []
    assert run(things.select("amount").eq("name", "n1").single()).data == {"amount": 71}
    assert run(things.update({"amount": 0}).eq("name", "nothing")).data == []


def write_delete(run, things):
    run(things.insert([{"name": "n1"}, {"name": "n2"}, {"name": "n3"}]))
    assert names(run(things.delete().eq("name", "n1")).data) == ["n1"]
    answer = run(things.delete(count=CountMethod.exact, returning=ReturnMethod.minimal).in_("name", ["n2", "n3"]))
    assert answer.count == 2 and answer.data == []


WRITES = {name.removeprefix("write_"): write for name, write in list(globals().items()) if name.startswith("write_")}


@pytest.fixture(params=["sync", "async"])
def run_as_carol(request, server, loop):
    """Someone whose rows nobody else counts."""
    driver = Driver(server, Person(server, "carol"), request.param, loop)
    yield driver
    driver.close()


@pytest.mark.parametrize("method", WRITES)
def test_writes(run_as_carol, method):
    WRITES[method](run_as_carol, run_as_carol.client.table("things"))


# --- The client ---------------------------------------------------------------------------------------------------------


def client_rpc(run):
    assert run(run.client.rpc("add_numbers", {"a": 1, "b": 2})).data == 3
    assert run(run.client.rpc("add_numbers", {"a": 1, "b": 2}, get=True)).data == 3
    assert run(run.client.rpc("search_things", {"prefix": "a"}, head=True, count=CountMethod.exact)).count == 1
    # A GET runs read only, whatever the function does.
    with pytest.raises(APIError) as refusal:
        run(run.client.rpc("rename_all", {"to_kind": "x"}, get=True))
    assert refusal.value.code == "25006"


def client_schema(run):
    rows = run(run.client.schema("graphql_public").table("names").select("name")).data
    assert {row["name"] for row in rows} == ALL


def client_table(run):
    assert len(run(run.client.table("things").select("name")).data) == 4


def client_from_(run):
    assert len(run(run.client.from_("things").select("name")).data) == 4


def client_from_table(run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(run(run.client.from_table("things").select("name")).data) == 4


def client_auth(run):
    token = run.client.headers["Authorization"].removeprefix("Bearer ")
    other = type(run.client)(str(run.client.base_url), headers={"apikey": run.client.headers["apikey"]})
    other.auth(token)
    assert len(run(other.table("things").select("name")).data) == 4
    closing = other.aclose()
    if inspect.isawaitable(closing):
        run.loop.run_until_complete(closing)


def client_aclose(run):
    """The fixture closes each client."""
    assert run.client.session.is_closed is False


CLIENT = {name.removeprefix("client_"): drive for name, drive in list(globals().items()) if name.startswith("client_")}


@pytest.mark.parametrize("method", CLIENT)
def test_client(run, method):
    CLIENT[method](run)


# --- Nothing is left out ------------------------------------------------------------------------------------------------


def offered(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_every_method_of_every_builder_is_driven():
    for prefix, client, builders in [("Sync", sync_client, sync_builders), ("Async", async_client, async_builders)]:
        assert offered(getattr(client, f"{prefix}PostgrestClient")) == set(CLIENT)
        classes = {name: value for name, value in vars(builders).items() if name.startswith(prefix) and inspect.isclass(value)}
        classes.pop("AsyncClient", None)
        entry = classes.pop(f"{prefix}RequestBuilder")
        assert offered(entry) == set(WRITES) | {"select"}
        rest = set().union(*map(offered, classes.values()))
        assert rest == set(FILTERS) | set(MODIFIERS)


def test_the_gateways_key_may_be_a_parameter(server, alice):
    import httpx

    key = server.status["ANON_KEY"]
    answer = httpx.get(f"{server.url}/rest/v1/things?select=name&apikey={key}", headers=alice.headers)
    assert answer.status_code == 200 and len(answer.json()) == 4
    assert key not in str(answer.headers)
    assert httpx.get(f"{server.url}/rest/v1/things?select=name&apikey=wrong", headers=alice.headers).status_code == 401
