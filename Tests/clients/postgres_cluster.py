# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL cluster of its own for tests of `atoll rest`, which brings none."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import psycopg

from atoll_server import ROOT, free_ports


def installations():
    """Folders with PostgreSQL's programs, version 15 and later: Debian's, then those that `scripts/setup` unpacked.

    Where they really lie: below a closed home folder there are links alone, which the server's user cannot follow.
    """
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found += sorted((ROOT / ".tools").glob("debian-postgresql-*/usr/lib/postgresql/*/bin"))
    found += sorted((ROOT / ".tools").glob("postgres-*/bin"))
    return [path.resolve() for path in found if (path / "initdb").exists() and (path / "postgres").exists()]


def with_libxml():
    """Programs of a PostgreSQL that knows XML, or None. The one `scripts/setup` unpacks does not."""
    for path in installations():
        config = path / "pg_config"
        arguments = [config, "--configure"] if config.exists() else [path / "postgres", "-V"]
        if "--with-libxml" in subprocess.run(arguments, capture_output=True, text=True, check=True).stdout:
            return path
        # Debian's server package comes without pg_config, and is built with libxml.
        if path.parts[-4:-2] == ("lib", "postgresql") and not config.exists():
            return path
    return None


class PostgresCluster:
    """A cluster in a temporary folder on a free port of 127.0.0.1, where everybody is trusted; a context manager."""

    def __init__(self, programs, settings=()):
        self.programs = programs
        self.settings = ["fsync=off", *settings]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-postgres-"))
        (self.port,) = free_ports(1)
        self.process = None

    def __enter__(self):
        self._own(self.folder)
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def data(self):
        return self.folder / "data"

    def url(self, database="postgres", user="postgres", password=None):
        login = user if password is None else f"{user}:{password}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    def connect(self, database="postgres"):
        return psycopg.connect(self.url(database), autocommit=True)

    def start(self):
        settings = [
            f"-p {self.port}", "-c listen_addresses=127.0.0.1", f"-c unix_socket_directories={self.folder}",
            *(f"-c {setting}" for setting in self.settings),
        ]
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "-o", " ".join(settings), "start")

    def stop(self):
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def _own(self, path):
        if os.getuid() == 0:
            os.chmod(path, 0o755)
            user = self._user()
            os.chown(path, user.pw_uid, user.pw_gid)

    @staticmethod
    def _user():
        """Who PostgreSQL runs as in place of root, whom it refuses."""
        for name in ("atoll", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise RuntimeError("there is no user to run PostgreSQL as")

    def _run(self, program, *arguments):
        command = [self.programs / program, *arguments]
        if os.getuid() == 0:
            user = self._user()
            command = [
                "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--", *command,
            ]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr}")
