# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged survives `kill -9`, of Atoll and of PostgreSQL, under a load of writes."""

import os
import signal
import threading
import time

import httpx
import pytest

from atoll_server import AtollServer, example_migrations
from people import PASSWORD, Person, anonymous

RETRY_SECONDS = 60


class Writer(threading.Thread):
    """Inserts rows one after the other and remembers which were acknowledged."""

    def __init__(self, server, person):
        super().__init__(daemon=True)
        self.url = f"{server.url}/rest/v1/notes"
        self.headers = {"apikey": server.status["ANON_KEY"], "Prefer": "return=minimal", **person.headers}
        self.acknowledged = []
        self.last_answer = None
        self.ending = threading.Event()

    def run(self):
        number = 0
        while not self.ending.is_set():
            number += 1
            try:
                answer = httpx.post(self.url, headers=self.headers, json={"title": f"row {number}"}, timeout=10)
            except httpx.TransportError as error:
                self.last_answer = error
                continue
            self.last_answer = f"{answer.status_code} {answer.text}"
            if answer.status_code == 201:
                self.acknowledged.append(f"row {number}")

    def wait_for(self, count):
        """Until that many rows were acknowledged since the call."""
        target, deadline = len(self.acknowledged) + count, time.monotonic() + RETRY_SECONDS
        while len(self.acknowledged) < target:
            assert time.monotonic() < deadline, f"no rows are written; the last answer: {self.last_answer}"
            time.sleep(0.01)


def postgres_processes(server):
    """The supervised server: it works in the project's folder."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink(f"/proc/{name}/cwd").startswith(f"{server.folder}/.atoll/"):
                    with open(f"/proc/{name}/stat") as stat:
                        yield int(name), int(stat.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass


def postmaster(server):
    return next(id for id, parent in postgres_processes(server) if parent == server.process.pid)


@pytest.mark.parametrize("victim", ["postgres", "atoll"])
def test_no_acknowledged_row_is_lost(victim):
    with AtollServer(migrations=example_migrations()) as server:
        person = Person(server, "writer")
        writer = Writer(server, person)
        writer.start()
        try:
            writer.wait_for(20)
            if victim == "postgres":
                os.kill(postmaster(server), signal.SIGKILL)
            else:
                server.kill()
                server.start()
            writer.wait_for(20)
        finally:
            writer.ending.set()
            writer.join(RETRY_SECONDS)
        kept = titles(person)
        assert [title for title in writer.acknowledged if title not in kept] == []


def titles(person):
    """The titles of all notes of a person, page by page."""
    found, page = set(), 500
    while True:
        notes = person.client.table("notes").select("title").order("id").limit(page).offset(len(found))
        rows = notes.execute().data
        found |= {row["title"] for row in rows}
        if len(rows) < page:
            return found


def test_keys_users_and_rows_stay_from_one_start_to_the_next():
    with AtollServer(migrations=example_migrations()) as server:
        keys = server.status["ANON_KEY"], server.status["SERVICE_ROLE_KEY"]
        person = Person(server, "keeper")
        person.client.table("notes").insert({"title": "kept"}).execute()
        server.stop()
        server.start()
        assert (server.status["ANON_KEY"], server.status["SERVICE_ROLE_KEY"]) == keys
        client = anonymous(server)
        client.auth.sign_in_with_password({"email": person.email, "password": PASSWORD})
        assert client.table("notes").select("title").execute().data == [{"title": "kept"}]
