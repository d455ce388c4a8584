# SPDX-License-Identifier: Apache-2.0
"""A started Atoll of its own, and one that the parts of a run share."""

import functools
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from .machine import RELEASE, call, free_port, postgres_program

MIGRATION = """
create table public.todos (
    id bigint primary key,
    user_id uuid not null references auth.users (id),
    title text not null,
    done boolean not null default false,
    created_at timestamptz not null default now()
);
alter table public.todos enable row level security;
create policy todos_own on public.todos for all to authenticated using ((select auth.uid()) = user_id);
create index todos_newest on public.todos (user_id, created_at desc);
create table public.lists (
    id bigint primary key,
    user_id uuid not null references auth.users (id),
    name text not null
);
alter table public.lists enable row level security;
create policy lists_own on public.lists for all to authenticated using ((select auth.uid()) = user_id);
alter table public.todos add list_id bigint references public.lists (id);
create index todos_list on public.todos (list_id, id desc);
create table public.notes (
    id bigint generated always as identity primary key,
    user_id uuid not null default auth.uid() references auth.users (id),
    title text not null,
    created_at timestamptz not null default now()
);
alter table public.notes enable row level security;
create policy notes_own on public.notes for all to authenticated using ((select auth.uid()) = user_id);
create table public.documents (
    id bigint generated always as identity primary key,
    user_id uuid not null references auth.users (id),
    body text not null
);
alter table public.documents enable row level security;
create policy documents_own on public.documents for all to authenticated using ((select auth.uid()) = user_id);
create function public.bench_settings() returns json language sql stable as $$
    select json_object_agg(name, current_setting(name, true)) from unnest(array[
        'role', 'search_path', 'request.jwt.claims', 'request.method', 'request.path', 'request.headers', 'request.cookies',
        'transaction_read_only', 'statement_timeout', 'request.identity'
    ]) name
$$;
"""


class Atoll:
    """A release build in a folder of its own.

    `migrations` are SQL texts by file name, `configuration` is added to its `config.toml`.
    """

    def __init__(self, migrations=None, configuration=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-bench-"))
        # PostgreSQL runs as another user when root runs this, and must reach its data.
        self.folder.chmod(0o755)
        self.port, self.database_port = free_port(), free_port()
        # The other ports too, so that another Atoll may run beside a benchmark.
        for table in ("[atoll.vectors]", "[inbucket]"):
            if table not in configuration:
                configuration += f"\n{table}\nport = {free_port()}\n"
        supabase = self.folder / "supabase"
        (supabase / "migrations").mkdir(parents=True)
        for name, text in (migrations or {"20260101000000_create_todos.sql": MIGRATION}).items():
            (supabase / "migrations" / name).write_text(text)
        (supabase / "config.toml").write_text(
            f'project_id = "bench"\n[api]\nport = {self.port}\n[db]\nport = {self.database_port}\n'
            f'[db.settings]\nmax_connections = 200\n'
            # One person makes all requests here.
            f'[atoll.limits]\nuser_requests = 0\ntenant_requests = 0\n'
            f'[atoll]\nlog_level = "warning"\n{configuration}\n'
        )
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Seconds from the program's start to its first answer."""
        begin = time.monotonic()
        log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen([RELEASE / "atoll", "serve", "--workdir", self.folder], stdout=log, stderr=log)
        while True:
            if self.process.poll() is not None:
                raise SystemExit((self.folder / "server.log").read_text())
            try:
                if call("GET", f"{self.url}/health")[0] == 200:
                    break
            except OSError:
                pass
            if time.monotonic() - begin > 60:
                raise SystemExit("bench: atoll does not answer")
            time.sleep(0.005)
        elapsed = time.monotonic() - begin
        status = subprocess.run(
            [RELEASE / "atoll", "status", "--workdir", self.folder, "-o", "json"], capture_output=True, text=True, check=True)
        self.status = json.loads(status.stdout)
        return elapsed

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
        self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def psql(self, *commands, url=None):
        """What `psql` prints; each command is a transaction of its own."""
        program = postgres_program("psql")
        arguments = [argument for command in commands for argument in ("-c", command)]
        return subprocess.run(
            [program, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", url or self.status["DB_URL"], *arguments],
            capture_output=True, text=True, check=True).stdout.strip()

    def signup(self, email):
        """A new user's session."""
        status, session = call(
            "POST", f"{self.url}/auth/v1/signup", {"apikey": self.status["ANON_KEY"]}, {"email": email, "password": "correct horse"})
        if status != 200:
            raise SystemExit(f"bench: sign-up answered {status} {session}")
        return session

    def headers(self, session):
        """What a signed-in client sends."""
        return {"apikey": self.status["ANON_KEY"], "Authorization": f"Bearer {session['access_token']}"}

    def metric(self, name):
        """The sum of a metric over its labels."""
        import urllib.request

        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


class Bench:
    """What one run shares: a server, and a person signed up with it, both made when first asked for."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if "atoll" in self.__dict__:
            self.atoll.remove()

    @functools.cached_property
    def atoll(self):
        atoll = Atoll()
        try:
            self.first_start = atoll.start()
        except BaseException:
            atoll.remove()
            raise
        return atoll

    @functools.cached_property
    def person(self):
        return self.atoll.signup("bench@example.com")

    @functools.cached_property
    def headers(self):
        return self.atoll.headers(self.person)
