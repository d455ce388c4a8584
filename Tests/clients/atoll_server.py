# SPDX-License-Identifier: Apache-2.0
"""Starts the built Atoll on a project folder of its own, and stops it."""

import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 30
PR_SET_PDEATHSIG = 1


def binary():
    """The program under test: ATOLL_BINARY, or what `swift build` made."""
    given = os.environ.get("ATOLL_BINARY")
    path = pathlib.Path(given) if given else ROOT / ".build" / "debug" / "atoll"
    if not path.exists():
        raise FileNotFoundError(f"{path}: run `swift build` first, or set ATOLL_BINARY")
    return path


def sql_files(folder):
    """The SQL files of a folder, name to text."""
    return {file.name: file.read_text() for file in sorted(folder.glob("*.sql"))}


def example_migrations():
    """Those of the example project: the table of notes."""
    return sql_files(ROOT / "example" / "supabase" / "migrations")


def starter_migrations():
    """Those that `atoll init --blueprint starter` writes, then those of the example project, a day later."""
    starter = sql_files(ROOT / "Sources" / "System" / "CAssets" / "sql" / "blueprints" / "starter" / "migrations")
    return {**starter, **{name.replace("20260101", "20260102", 1): sql for name, sql in example_migrations().items()}}


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on now; all different, since all are held until the last is known.

    They lie below the range from which the kernel takes a port for whoever asks for any.
    """
    sockets = []
    try:
        while len(sockets) < count:
            each = socket.socket()
            try:
                each.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
                sockets.append(each)
            except OSError:
                each.close()
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class AtollServer:
    """One Atoll in a temporary project folder.

    `migrations` and `seed` go to supabase/migrations (name to SQL) and supabase/seed.sql; `config` is appended to config.toml.
    """

    def __init__(self, migrations=None, seed=None, config="", environment=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-client-"))
        # PostgreSQL runs as another user when root runs the tests, and must reach its data.
        self.folder.chmod(0o755)
        self.environment = {**os.environ, **(environment or {})}
        self.api_port, self.database_port, self.mail_port, self.vectors_port = free_ports(4)
        self.process = None
        self.status = {}
        self._write(migrations or {}, seed, config)

    def _write(self, migrations, seed, config):
        supabase = self.folder / "supabase"
        (supabase / "migrations").mkdir(parents=True)
        (supabase / "config.toml").write_text(
            f'project_id = "clients"\n'
            f"[api]\nport = {self.api_port}\n"
            f"[db]\nport = {self.database_port}\n"
            f"[inbucket]\nport = {self.mail_port}\n"
            f"[atoll.vectors]\nport = {self.vectors_port}\n"
            f"{config}\n"
        )
        for name, sql in migrations.items():
            (supabase / "migrations" / name).write_text(sql)
        if seed is not None:
            (supabase / "seed.sql").write_text(seed)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")

    def start(self):
        """Returns once /health answers; raises with the server's log when it does not."""
        parent = os.getpid()

        def die_with_the_tests():
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [binary(), "serve", "--workdir", self.folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                preexec_fn=die_with_the_tests,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"atoll ended with {self.process.returncode}:\n{self.log}")
            try:
                if httpx.get(f"{self.url}/health", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"atoll did not become healthy:\n{self.log}")
            time.sleep(0.02)
        self.status = json.loads(self.command("status", "-o", "json"))
        return self

    def command(self, *arguments):
        """Runs an `atoll` command on the project and returns what it printed."""
        result = subprocess.run(
            [binary(), *arguments, "--workdir", self.folder],
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
        )
        if result.returncode != 0:
            raise RuntimeError(f"atoll {' '.join(arguments)}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout

    def kill(self):
        """Ends the server as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Stops the server as a service manager would and checks that it ended well."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError(f"atoll did not stop within {STOP_SECONDS} s:\n{self.log}")
        if self.process.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"atoll ended with {self.process.returncode}:\n{self.log}")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            if self.process is not None and self.process.poll() is None:
                self.kill()
            self.remove()
            raise

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.remove()
