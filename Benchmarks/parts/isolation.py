# SPDX-License-Identifier: Apache-2.0
"""The check of isolation on a schema of 200 tables."""

import json
import subprocess
import time

from bench import RELEASE, ROUNDS, Atoll, free_port, median, say

ORDER = 80
TABLES = 200
FUNCTIONS = 30

# Tables of a product come in groups: a root, what hangs on it, what hangs on that.
NAMES = ("projects", "documents", "versions", "comments", "labels", "tasks", "entries", "invoices", "lines", "events")


def schema():
    """Tables of tenants and of people with foreign keys, checks, enums, domains and policies, views and functions over them."""
    parts = [
        "create type public.state as enum ('draft', 'open', 'done', 'archived');",
        "create domain public.percent as integer check (value between 0 and 100);",
    ]
    for number in range(TABLES):
        group, place = divmod(number, len(NAMES))
        name = f"{NAMES[place]}_{group}"
        personal = place in (4, 9)
        scope = "user_id" if personal else "tenant_id"
        default = "auth.uid()" if personal else "tenancy.current_tenant()"
        target = "auth.users" if personal else "tenancy.tenants"
        columns = [
            "id uuid primary key default gen_random_uuid()",
            f"{scope} uuid not null default {default} references {target} (id) on delete cascade",
            "title text not null check (char_length(title) between 1 and 200)",
            "state public.state not null default 'draft'",
            "share public.percent not null default 0",
            "kind text not null check (kind in ('small', 'large', 'other'))",
            "amount numeric(12, 2) not null check (amount >= 0)",
            "details jsonb not null default '{}' check (jsonb_typeof(details) = 'object')",
            "tags text[] not null default '{}'",
            "due date",
            "created_at timestamptz not null default now()",
            f"unique ({scope}, id)",
        ]
        indexes = []
        parent = {1: 0, 2: 1, 3: 1, 5: 0, 6: 5, 7: 0, 8: 7}.get(place)
        if parent is not None:
            columns += [
                "parent_id uuid not null",
                f"foreign key ({scope}, parent_id) references public.{NAMES[parent]}_{group} ({scope}, id) on delete cascade",
            ]
            indexes.append(f"create index on public.{name} ({scope}, parent_id);")
        if place == 3 and group > 0:
            columns += [
                "earlier_id uuid",
                f"foreign key ({scope}, earlier_id) references public.comments_{group - 1} ({scope}, id) on delete cascade",
            ]
            indexes.append(f"create index on public.{name} ({scope}, earlier_id);")
        asked = "auth.uid()" if personal else "tenancy.current_tenant()"
        condition = f"{scope} = (select {asked})"
        parts += [
            f"create table public.{name} ({', '.join(columns)});",
            *indexes,
            f"alter table public.{name} enable row level security;",
            f"alter table public.{name} force row level security;",
            f"create policy own on public.{name} to authenticated using ({condition}) with check ({condition});",
        ]
        if place == 0:
            parts.append(
                f"create view public.open_{name} with (security_invoker = true) as select id, title from public.{name};")
    for number in range(FUNCTIONS):
        table = f"{NAMES[number % len(NAMES)]}_{number % 20}"
        parts.append(
            f"create function public.count_{number}(wanted text) returns bigint language sql stable set search_path = '' "
            f"as $$ select count(*) from public.{table} where title like wanted $$;")
    parts.append("insert into storage.buckets (id, name, public) values ('files', 'files', false), ('shown', 'shown', true);")
    parts.append(
        "create policy own_files on storage.objects to authenticated "
        "using (bucket_id = 'files' and (storage.foldername(name))[1] = (select auth.uid())::text) "
        "with check (bucket_id = 'files' and (storage.foldername(name))[1] = (select auth.uid())::text);")
    return "\n".join(parts)


def check(atoll, *flags):
    """Seconds, the report's sums, and the seconds of each part."""
    began = time.monotonic()
    done = subprocess.run(
        [RELEASE / "atoll", "isolation", "check", "--workdir", atoll.folder, "--format", "json", *flags],
        capture_output=True, text=True, timeout=280, check=False)
    took = time.monotonic() - began
    if done.returncode not in (0, 1):
        raise SystemExit(f"isolation: {done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    return took, report["summary"], report["seconds"]


def run(_):
    ports = f"[atoll.vectors]\nport = {free_port()}\n[inbucket]\nport = {free_port()}"
    atoll = Atoll(migrations={"20260101000000_tables.sql": schema()}, configuration=ports)
    try:
        atoll.start()
        for title, flags in (("lints", ["--lints-only"]), ("lints and SQL", ["--offline"]), ("all, over HTTP too", [])):
            times = []
            for _ in range(ROUNDS):
                took, summary, parts = check(atoll, *flags)
                times.append(took)
            held, leaked, untried = (summary[name] for name in ("held", "leaked", "untried"))
            say(
                f"Check of {TABLES} tables, {title}: {median(times):.2f} s (goal: under 60), "
                f"{held} held, {leaked} leaked, {untried} untried")
            shown = ", ".join(f"{part} {seconds}" for part, seconds in parts.items() if seconds >= 0.1)
            if shown:
                say(f"  seconds of the last: {shown}")
    finally:
        atoll.stop()
        atoll.remove()
