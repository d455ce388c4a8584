# SPDX-License-Identifier: Apache-2.0
"""REST under row level security against pgbench on the very same statements."""

import re

from bench import CONNECTIONS, Mix, ROUNDS, SECONDS, cpu_seconds, median, pgbench, say, transaction, wrk

ORDER = 40
ROWS = 100_000


def fill(bench):
    """A table in which every row is the person's own."""
    user = bench.person["user"]["id"]
    bench.atoll.psql(
        f"insert into public.todos (id, user_id, title) select n, '{user}', 'row ' || n from generate_series(1, {ROWS}) n",
        "vacuum analyze public.todos")


def sent(atoll, *fragments):
    """The statement of the requests sent last that holds all the fragments, as PostgreSQL saw it."""
    conditions = " and ".join(f"position('{fragment}' in query) > 0" for fragment in fragments)
    statement = atoll.psql(
        f"select query from pg_stat_activity where usename = 'authenticator' and {conditions} order by query_start desc limit 1")
    if not statement:
        raise SystemExit(f"bench: PostgreSQL has seen no statement with {fragments}")
    return statement


def run(bench):
    atoll = bench.atoll
    fill(bench)
    mix = Mix("/rest/v1/todos?id=eq.{n}&select=id,title,done,created_at", count=ROWS)
    script = mix.write(atoll.folder / "read.lua")
    headers = [f"{name}: {value}" for name, value in bench.headers.items()]
    wrk(atoll.url, CONNECTIONS, headers, script)
    statement = re.sub(r"\$\d+", ":id", sent(atoll, '"todos"'))
    path = atoll.folder / "read.pgbench"
    options = transaction(atoll, path, bench.headers, statement, [f"\\set id random(1, {ROWS})"])
    cpu, ours, theirs = [], [], []
    for _ in range(ROUNDS):
        before = cpu_seconds(atoll.pid)
        ours.append(wrk(atoll.url, CONNECTIONS, headers, script))
        cpu.append((cpu_seconds(atoll.pid) - before) / (ours[-1] * SECONDS) * 1e6)
        theirs.append(pgbench(atoll, path, options))
    say(f"One row by id under row level security, {CONNECTIONS} connections")
    say(f"  pgbench -M prepared {median(theirs):8.0f} transactions/s")
    say(f"  atoll REST          {median(ours):8.0f} requests/s   {median(cpu):5.1f} us CPU of Atoll a request")
    say(f"  atoll / pgbench: {median(ours) / median(theirs):.2f}   (goal: at least 0.7)")
