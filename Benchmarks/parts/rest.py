# SPDX-License-Identifier: Apache-2.0
"""REST under row level security against pgbench on the very same statements, and against PocketBase with the same rule."""

import dataclasses
import re

from bench import CONNECTIONS, Mix, ROUNDS, SECONDS, cpu_seconds, median, pgbench, say, transaction, wrk
from bench.pocketbase import PocketBase, installed

ORDER = 40
ROWS = 100_000
LISTS = 5_000


@dataclasses.dataclass
class Work:
    """The same request to both, and how the statement's parameters are written for pgbench."""

    title: str
    ours: Mix
    theirs: Mix
    # Texts that only the request's statement holds.
    fragments: tuple
    # pgbench's expression for each parameter.
    parameters: tuple = ()
    goal: str = ""

    @property
    def reads(self):
        return self.ours.method == "GET"


def works(person):
    shown = "select=id,title,done,created_at"
    representation = (("Prefer", "return=representation"),)
    return [
        Work(
            "W1 one row by id", Mix(f"/rest/v1/todos?id=eq.{{n}}&{shown}", count=ROWS),
            Mix("/api/collections/todos/records/t{n}?fields=id,title,done,created", count=ROWS, number="%014d"),
            ('"todos"."id" ='), (":n",), "0.7 of pgbench, 3 times PocketBase"),
        Work(
            f"W2 newest 50 own rows of {ROWS}", Mix(f"/rest/v1/todos?{shown}&order=created_at.desc&limit=50"),
            Mix("/api/collections/todos/records?sort=-created&perPage=50&skipTotal=1&fields=id,title,done,created"),
            ('"todos"."created_at" desc',), (), "0.7 of pgbench, 3.5 times PocketBase"),
        Work(
            "W3 insert", Mix("/rest/v1/notes?select=id", "POST", '{"title":"note {n}"}', ROWS, representation),
            Mix("/api/collections/notes/records?fields=id", "POST", f'{{"owner":"{person}","title":"note {{n}}"}}', ROWS),
            ("insert into", '"notes"'), ("""('{"title":"note ' || :n || '"}')::json""",)),
        Work(
            "W4 update", Mix("/rest/v1/todos?id=eq.{n}&select=id", "PATCH", '{"title":"changed {n}"}', ROWS, representation),
            Mix("/api/collections/todos/records/t{n}?fields=id", "PATCH", '{"title":"changed {n}"}', ROWS, number="%014d"),
            ("update", '"todos"'), ("""('{"title":"changed ' || :n || '"}')::json""", ":n")),
        Work(
            "W5 list of 20 with an embed",
            Mix("/rest/v1/todos?select=id,title,lists(name)&list_id=eq.{n}&order=id.desc&limit=20", count=LISTS),
            Mix("/api/collections/todos/records?filter=(list='l{n}')&sort=-id&perPage=20&skipTotal=1&expand=list"
                "&fields=id,title,expand.list.name", count=LISTS, number="%014d"),
            ('"lists"', '"list_id" ='), (":n",)),
    ]


def fill(bench):
    """The person's rows, and a tenth as many of somebody else."""
    user = bench.person["user"]["id"]
    other = bench.atoll.signup("other@example.com")["user"]["id"]
    bench.atoll.psql(
        f"insert into public.lists select n, '{user}', 'list ' || n from generate_series(1, {LISTS}) n",
        f"""insert into public.todos (id, user_id, title, created_at, list_id)
            select n, case when n <= {ROWS} then '{user}' else '{other}' end::uuid, 'row ' || n,
                '2026-01-01'::timestamptz + n * interval '1 second', n % {LISTS} + 1 from generate_series(1, {ROWS * 11 // 10}) n""",
        "vacuum analyze public.todos, public.lists")


def sent(atoll, fragments):
    """The statement of the requests sent last that holds all the fragments, as PostgreSQL saw it."""
    fragments = [fragments] if isinstance(fragments, str) else fragments
    conditions = " and ".join(f"position('{fragment}' in query) > 0" for fragment in fragments)
    statement = atoll.psql(
        f"select query from pg_stat_activity where usename = 'atoll_requests' and {conditions} order by query_start desc limit 1")
    if not statement:
        raise SystemExit(f"bench: PostgreSQL has seen no statement with {fragments}")
    return statement


def run(bench):
    atoll = bench.atoll
    fill(bench)
    other = PocketBase(installed()) if installed() else None
    try:
        token, person = other.fill(ROWS, LISTS) if other else ("", "")
        say(f"REST under row level security, {CONNECTIONS} connections; CPU is of the server's own process, without PostgreSQL's")
        for number, work in enumerate(works(person)):
            measure(bench, work, number, other, token)
        hits, misses = (atoll.metric(f"atoll_postgres_statement_{name}_total") for name in ("hits", "misses"))
        say(f"  Statements run that were prepared already: {hits / (hits + misses):.2%} since the start   (goal: above 99 %)")
    finally:
        if other:
            other.remove()


def measure(bench, work, number, other, token):
    atoll = bench.atoll
    headers = [f"{name}: {value}" for name, value in bench.headers.items()]
    script = work.ours.write(atoll.folder / f"work{number}.lua")
    wrk(atoll.url, headers=headers, script=script, seconds=1)
    statement = sent(atoll, work.fragments)
    statement = re.sub(r"\$(\d+)", lambda match: work.parameters[int(match[1]) - 1], statement)
    path = atoll.folder / f"work{number}.pgbench"
    options = transaction(
        atoll, path, bench.headers, statement, [f"\\set n random(1, {work.ours.count})"], reads=work.reads)
    sides = {"atoll": lambda: wrk(atoll.url, headers=headers, script=script), "pgbench": lambda: pgbench(atoll, path, options)}
    processes = {"atoll": atoll.pid}
    if other:
        their_script = work.theirs.write(other.folder / f"work{number}.lua")
        sides["pocketbase"] = lambda: wrk(other.url, headers=[f"Authorization: {token}"], script=their_script)
        processes["pocketbase"] = other.pid
    rate = {name: [] for name in sides}
    cpu = {name: [] for name in processes}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            before = cpu_seconds(processes[name]) if name in processes else 0
            rate[name].append(side())
            if name in processes:
                cpu[name].append((cpu_seconds(processes[name]) - before) / (rate[name][-1] * SECONDS) * 1e6)
    figures = "   ".join(
        f"{name} {median(rate[name]):.0f}/s" + (f" ({median(cpu[name]):.0f} us CPU)" if name in cpu else "") for name in sides)
    ours = median(rate["atoll"])
    ratios = ", ".join(f"{ours / median(rate[name]):.2f} of {name}" for name in sides if name != "atoll")
    say(f"  {work.title}: {figures}")
    say(f"    atoll does {ratios}" + (f"   (goal: {work.goal})" if work.goal else ""))
