# SPDX-License-Identifier: Apache-2.0
"""A PocketBase with the same rows and the same rule: everybody sees and changes their own."""

import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

from .machine import ROOT, call, free_port

OWN = '@request.auth.id != "" && owner = @request.auth.id'


def installed():
    """The program that `scripts/setup --bench` unpacked, or None."""
    found = sorted((ROOT / ".tools").glob("pocketbase-*/pocketbase"))
    return found[-1] if found else None


class PocketBase:
    def __init__(self, program):
        self.program = program
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pocketbase-bench-"))
        # Left alone it keeps migrations beside its folder, and applies them at the next start.
        self.options = ["--dir", self.folder / "data", "--migrationsDir", self.folder / "migrations", "--automigrate=false"]
        self.port = free_port()
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "serve", "--http", f"127.0.0.1:{self.port}", *self.options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if call("GET", f"{self.url}/api/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("bench: PocketBase does not answer")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
        self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method, path, body=None, token=None):
        status, answer = call(method, f"{self.url}{path}", {"Authorization": token} if token else {}, body)
        if status >= 300:
            raise SystemExit(f"bench: PocketBase answered {method} {path} with {status} {answer}")
        return answer

    def fill(self, rows, lists):
        """Makes the collections and the rows; returns the signed-in person's token and id."""
        subprocess.run(
            [self.program, "superuser", "upsert", "bench@example.com", "correct horse", *self.options],
            check=True, capture_output=True)
        self.start()
        admin = self.ask("POST", "/api/collections/_superusers/auth-with-password",
                         {"identity": "bench@example.com", "password": "correct horse"})["token"]
        rules = {f"{name}Rule": OWN for name in ("list", "view", "create", "update", "delete")}
        users = self.ask("GET", "/api/collections/users", token=admin)["id"]
        owner = {"name": "owner", "type": "relation", "collectionId": users, "maxSelect": 1, "required": True}
        created = {"name": "created", "type": "autodate", "onCreate": True}

        def collection(name, fields, indexes=()):
            return self.ask("POST", "/api/collections", {
                "name": name, "type": "base", "fields": [owner, *fields], "indexes": list(indexes), **rules}, admin)["id"]

        lists_id = collection("lists", [{"name": "name", "type": "text"}])
        collection("todos", [
            {"name": "title", "type": "text"}, {"name": "done", "type": "bool"},
            {"name": "list", "type": "relation", "collectionId": lists_id, "maxSelect": 1}, created,
        ], ["create index todos_newest on todos (owner, created desc)", "create index todos_list on todos (list, id desc)"])
        collection("notes", [{"name": "title", "type": "text"}, created])
        person = self.ask("POST", "/api/collections/users/records", {
            "email": "person@example.com", "password": "correct horse", "passwordConfirm": "correct horse"})["id"]
        self.stop()
        # Straight into its file: a hundred thousand requests would take longer than the benchmark.
        with sqlite3.connect(self.folder / "data" / "data.db") as database:
            database.executemany(
                "insert into lists (id, owner, name) values (?, ?, ?)",
                ((f"l{n:014d}", person, f"list {n}") for n in range(1, lists + 1)))
            database.executemany(
                "insert into todos (id, owner, title, done, list, created) values (?, ?, ?, 0, ?, ?)",
                ((f"t{n:014d}", person if n <= rows else "somebodyelse000", f"row {n}", f"l{n % lists + 1:014d}",
                  time.strftime("%Y-%m-%d %H:%M:%S.000Z", time.gmtime(1_700_000_000 + n)))
                 for n in range(1, rows * 11 // 10 + 1)))
            database.execute("analyze")
        database.close()
        self.start()
        answer = self.ask("POST", "/api/collections/users/auth-with-password",
                          {"identity": "person@example.com", "password": "correct horse"})
        return answer["token"], person
