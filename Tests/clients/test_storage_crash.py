# SPDX-License-Identifier: Apache-2.0
"""Kill -9 in the middle of uploads, moves, copies and deletes: rows and files agree afterwards, and nothing acknowledged is lost.

STORAGE_KILLED_OPERATIONS says how many operations are made (1,000 in the full form).
"""

import hashlib
import os
import random
import threading
import time
import uuid

import httpx

from atoll_server import AtollServer
from people import Person
from storage_projects import POLICIES, incoming_files, rows, stored_files, stored_rows

OPERATIONS = int(os.environ.get("STORAGE_KILLED_OPERATIONS", "150"))
PER_LIFE = 50
WORKERS = 6


class Worker(threading.Thread):
    """Makes random operations on keys of its own, and remembers what may be there afterwards."""

    def __init__(self, server, person, seed):
        super().__init__(daemon=True)
        self.base = f"{server.url}/storage/v1"
        self.headers = {"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {person.session.access_token}"}
        self.folder = f"{person.id}/{uuid.uuid4().hex}"
        self.random = random.Random(seed)
        # What each key may hold: digests, and None for nothing. More than one only while an answer was lost.
        self.known = {}
        self.done = 0
        self.killed = threading.Event()

    def run(self):
        with httpx.Client(base_url=self.base, headers=self.headers, timeout=30) as client:
            while not self.killed.is_set():
                try:
                    self.step(client)
                    self.done += 1
                except httpx.HTTPError:
                    return

    def step(self, client):
        present = [key for key, values in self.known.items() if None not in values]
        action = self.random.choice(["upload", "upload", "replace", "move", "copy", "delete", "remove"])
        if action in ("upload", "replace") or not present:
            key = self.random.choice(present) if action == "replace" and present else f"{self.folder}/{uuid.uuid4().hex}"
            content = self.random.randbytes(self.random.choice([0, 10, 5_000, 300_000, 2_000_000]))
            digest = hashlib.md5(content).hexdigest()
            self.attempt({key: digest}, lambda: client.put(f"/object/files/{key}", content=content))
            return
        key = self.random.choice(present)
        target = f"{self.folder}/{uuid.uuid4().hex}"
        (digest,) = self.known[key]
        if action == "move":
            body = {"bucketId": "files", "sourceKey": key, "destinationKey": target}
            self.attempt({key: None, target: digest}, lambda: client.post("/object/move", json=body))
        elif action == "copy":
            body = {"bucketId": "files", "sourceKey": key, "destinationKey": target}
            self.attempt({target: digest}, lambda: client.post("/object/copy", json=body))
        elif action == "delete":
            self.attempt({key: None}, lambda: client.delete(f"/object/files/{key}"))
        else:
            self.attempt({key: None}, lambda: client.request("DELETE", "/object/files", json={"prefixes": [key]}))

    def attempt(self, outcome, send):
        """Until the answer is here, what was before and what was asked for are both possible."""
        before = {key: self.known.get(key, {None}) for key in outcome}
        for key, value in outcome.items():
            self.known[key] = before[key] | {value}
        answer = send()
        assert answer.status_code == 200, answer.text
        for key, value in outcome.items():
            self.known[key] = {value}


def check(server, known):
    """Compares what is stored with what was acknowledged."""
    deadline = time.monotonic() + 30
    # What the last life left is cleaned up beside the first requests.
    while rows(server, "select 1 from storage.uploads union all select 1 from storage.removed_versions"):
        assert time.monotonic() < deadline, "left-behind uploads are not given up"
        time.sleep(0.05)
    assert stored_files(server) == stored_rows(server)
    assert incoming_files(server) == []
    found = dict(rows(server, "select name, trim(both '\"' from metadata ->> 'eTag') from storage.objects"))
    for key, values in known.items():
        assert found.get(key) in values, (key, found.get(key), values)
    assert set(found) <= set(known)
    # The tags are true: the bytes on the disk have them.
    folder = server.folder / ".atoll" / "storage" / "objects"
    for name, version in rows(server, "select name, version from storage.objects"):
        content = (folder / version[:2] / version).read_bytes()
        assert hashlib.md5(content).hexdigest() == found[name], name
    assert rows(server, "select 1 from storage.usage where reserved_bytes <> 0 or reserved_objects <> 0") == []
    counted = rows(server, "select coalesce(sum(bytes), 0), coalesce(sum(objects), 0) from storage.usage")
    assert counted == rows(
        server, "select coalesce(sum((metadata ->> 'size')::bigint), 0), count(*) from storage.objects"
    )
    return found


def test_rows_and_files_agree_after_kills():
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}) as server:
        person = Person(server, "ann")
        known, done, lives = {}, 0, 0
        while done < OPERATIONS:
            workers = [Worker(server, person, chance.random()) for _ in range(WORKERS)]
            for worker in workers:
                worker.start()
            wanted = chance.randrange(1, PER_LIFE)
            deadline = time.monotonic() + 20
            while sum(worker.done for worker in workers) < wanted and time.monotonic() < deadline:
                time.sleep(chance.random() * 0.01)
            server.kill()
            for worker in workers:
                worker.killed.set()
            for worker in workers:
                worker.join(30)
                known.update(worker.known)
                done += worker.done
            lives += 1
            server.start()
            found = check(server, known)
            known = {key: {value} for key, value in found.items()}
        print(f"{done} operations in {lives} lives, {len(known)} objects left")
