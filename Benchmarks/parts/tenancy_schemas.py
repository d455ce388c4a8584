# SPDX-License-Identifier: Apache-2.0
"""Tenants with schemas of their own: `atoll tenants migrate` of 1,000 and 10,000, and reads beside them."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import time

from bench import Atoll, call, say
from bench.machine import RELEASE

ORDER = 33
COUNTS = tuple(int(count) for count in os.environ.get("BENCH_SCHEMAS", "1000,10000").split(","))

TEMPLATE = """
create table notes (
    id bigint generated always as identity primary key,
    title text not null,
    created_at timestamptz not null default now()
);
create table labels (note bigint not null references notes (id) on delete cascade, name text not null, primary key (note, name));
"""
CHANGE = "alter table notes add column color text; create index notes_color_idx on notes (color);"


def sibling():
    """The part beside this one, which knows how tenants are made."""
    path = pathlib.Path(__file__).with_name("tenancy.py")
    specification = importlib.util.spec_from_file_location("part_tenancy", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def run(bench):
    tenancy = sibling()
    atoll = Atoll({}, "[atoll.tenancy]\nisolation = \"schema\"\n")
    templates = atoll.folder / "supabase" / "tenants"
    templates.mkdir()
    (templates / "20260101000000_create_notes.sql").write_text(TEMPLATE)
    fill = tenancy.FILL.split(";")[0] + ";"
    made = 0
    try:
        atoll.start()
        say("Schemas of tenants' own: two tables, a foreign key and four indexes each; 4 at a time")
        for number, count in enumerate(COUNTS):
            atoll.psql(fill.format(first=made + 1, last=count), url=tenancy.superuser(atoll))
            first = migrate(atoll)
            (templates / f"2026020{number + 1}000000_change.sql").write_text(CHANGE.replace("color", f"color{number}"))
            second = migrate(atoll)
            say(f"  {count - made} new schemas beside {made}: {first:.0f}/s   a column and an index in {count}: {second:.0f}/s")
            made = count
            read(tenancy, atoll, count)
    finally:
        atoll.remove()


def migrate(atoll):
    """Tenants a second."""
    begin = time.monotonic()
    result = subprocess.run(
        [RELEASE / "atoll", "tenants", "migrate", "--workdir", atoll.folder, "-o", "json"], capture_output=True, text=True)
    report = json.loads(result.stdout)
    if result.returncode != 0 or report["migrated"] != report["behind"]:
        raise SystemExit(f"bench: tenants were not migrated: {result.stdout[:2000]}{result.stderr[-2000:]}")
    return report["migrated"] / (time.monotonic() - begin)


def read(tenancy, atoll, count):
    """The latency of reads in 64 tenants' schemas in turn, and how long reading the catalog takes with all of them there."""
    script = tenancy.readers(atoll, 64)
    text = script.read_text().replace("/rest/v1/entries?select=id,title&order=id.desc&limit=10", "/rest/v1/notes?select=id,title&limit=10")
    script.write_text(text)
    headers = {"apikey": atoll.status["SERVICE_ROLE_KEY"]}
    deadline = time.monotonic() + 60
    token = re.search(r'local tokens = \{"([^"]+)"', text)[1]
    own = {"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {token}"}
    while call("GET", f"{atoll.url}/rest/v1/notes?select=id&limit=1", own)[0] != 200:
        if time.monotonic() > deadline:
            raise SystemExit("bench: a tenant's schema is not served")
        time.sleep(0.01)
    p50, p99, rate = tenancy.latency(atoll, script)
    begin = time.monotonic()
    atoll.psql("create table public.news (id int primary key)")
    while call("GET", f"{atoll.url}/rest/v1/news?limit=1", headers)[0] != 200:
        if time.monotonic() - begin > 60:
            raise SystemExit("bench: a new table is not seen")
        time.sleep(0.005)
    seen = time.monotonic() - begin
    atoll.psql("drop table public.news")
    say(f"    reads in 64 of {count} schemas in turn: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {rate:.0f}/s   "
        f"a new shared table is served after {seen:.2f} s")
