# SPDX-License-Identifier: Apache-2.0
"""A big schema: how soon a change of it is seen, and whether answers are served meanwhile."""

import threading
import time

from bench import Atoll, call, median, say

ORDER = 70
TABLES = 1000
FUNCTIONS = 500

MIGRATION = f"""
do $$ begin
    for n in 1..{TABLES} loop
        execute format(
            'create table public.big_%s (id bigint primary key, name text, data jsonb, created_at timestamptz, parent bigint %s)',
            n, case when n > 1 then format('references public.big_%s (id)', n - 1) end);
    end loop;
    for n in 1..{FUNCTIONS} loop
        execute format('create function public.work_%s(a int, b text default null) returns int language sql as ''select a''', n);
    end loop;
end $$;
"""


def run(bench):
    atoll = Atoll({"20260101000000_create_many.sql": MIGRATION})
    try:
        atoll.start()
        headers = {"apikey": atoll.status["SERVICE_ROLE_KEY"]}

        def status(path):
            return call("GET", f"{atoll.url}/rest/v1/{path}", headers)[0]

        deadline = time.monotonic() + 30
        while status("big_1?limit=1") != 200:
            if time.monotonic() > deadline:
                raise SystemExit("bench: the big schema is not served")
        times, failures, isDone = [], [], threading.Event()

        def ask():
            while not isDone.is_set():
                begin = time.monotonic()
                if status("big_1?limit=1") != 200:
                    failures.append(begin)
                times.append(time.monotonic() - begin)
                time.sleep(0.002)

        asking = threading.Thread(target=ask)
        asking.start()
        seen = []
        for n in range(5):
            atoll.psql(f"create table public.later_{n} (id int primary key)")
            begin = time.monotonic()
            while status(f"later_{n}?limit=1") != 200:
                if time.monotonic() - begin > 30:
                    raise SystemExit("bench: a new table is not seen")
                time.sleep(0.005)
            seen.append(time.monotonic() - begin)
        isDone.set()
        asking.join()
        say(f"Schema of {TABLES} tables, {TABLES * 5} columns and {FUNCTIONS} functions")
        say(f"  a new table is served after {median(seen):.2f} s (goal: 1)   "
            f"meanwhile {len(failures)} of {len(times)} requests failed, the slowest took {max(times) * 1000:.0f} ms")
    finally:
        atoll.remove()
