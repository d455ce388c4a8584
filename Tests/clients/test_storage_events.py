# SPDX-License-Identifier: Apache-2.0
"""What a project's address is told of objects: signed, each change at least once, also over a kill."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
import uuid

import httpx
import pytest

from atoll_server import AtollServer
from people import Person
from storage_projects import POLICIES, rows

KEY = bytes(range(32))


class Receiver(http.server.BaseHTTPRequestHandler):
    """Checks signatures as Standard Webhooks says, and notes what it is told."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        event = json.loads(body)
        with self.server.lock:
            status = self.server.statuses.pop(0) if self.server.statuses else 204
            if self.headers["webhook-signature"] != expected:
                self.server.faults.append(dict(self.headers))
            if status == 204:
                self.server.told.append((self.headers["webhook-id"], event))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def receiver():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.told, server.faults, server.statuses, server.lock = [], [], [], threading.Lock()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def events_server(receiver):
    secret = "v1,whsec_" + base64.b64encode(KEY).decode()
    config = f'[atoll.storage.events]\nurl = "http://127.0.0.1:{receiver.server_port}/events"\nsecret = "{secret}"\ntimeout = "2s"\n'
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}, config=config) as server:
        yield server


def headers(server, person):
    return {"apikey": server.status["ANON_KEY"], **person.headers}


def told(receiver, name, count):
    """The events of an object, once there are so many."""
    deadline = time.monotonic() + 30
    while True:
        with receiver.lock:
            found = [event for _, event in receiver.told if event["data"]["name"] == name]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_refusals_are_no_events(events_server, receiver):
    ann, ben = Person(events_server, "ann"), Person(events_server, "ben")
    base = f"{events_server.url}/storage/v1/object/files"
    taken = f"{ann.id}/{uuid.uuid4().hex}"
    httpx.post(f"{base}/{taken}", content=b"x", headers=headers(events_server, ann)).raise_for_status()
    assert httpx.post(f"{base}/{taken}", content=b"y", headers=headers(events_server, ann)).status_code == 400
    assert httpx.post(f"{base}/{taken}", content=b"y", headers=headers(events_server, ben)).status_code == 400
    assert httpx.delete(f"{base}/{taken}", headers=headers(events_server, ben)).status_code == 400
    assert httpx.delete(f"{base}/{taken}", headers=headers(events_server, ann)).status_code == 200
    # Jobs are done at once and in no order: what is there when both are told is all there is.
    found = sorted(event["type"] for event in told(receiver, taken, 2))
    assert found == ["object.created", "object.removed"]
    assert rows(events_server, "select count(*) from jobs.jobs where queue = 'storage_events'") == [(0,)]


def test_every_change_is_told(events_server, receiver):
    ann = Person(events_server, "ann")
    own = headers(events_server, ann)
    base = f"{events_server.url}/storage/v1/object"
    first, second, third = (f"{ann.id}/{uuid.uuid4().hex}" for _ in range(3))
    metadata = base64.b64encode(b'{"a": 1}').decode()
    httpx.post(f"{base}/files/{first}", content=b"one", headers={**own, "content-type": "text/plain", "x-metadata": metadata})
    (created,) = told(receiver, first, 1)
    assert (created["type"], created["operation"], created["old"]) == ("object.created", "storage.object.upload", None)
    data = created["data"]
    assert (data["bucket_id"], data["owner_id"], data["user_metadata"]) == ("files", ann.id, {"a": 1})
    assert (data["metadata"]["size"], data["metadata"]["mimetype"]) == (3, "text/plain")
    assert data["tenant_id"] == rows(events_server, "select tenant_id::text from storage.objects where name = %s", first)[0][0]

    httpx.put(f"{base}/files/{first}", content=b"two", headers=own)
    replaced = next(event for event in told(receiver, first, 2) if event["type"] == "object.replaced")
    assert replaced["old"] == {"version": data["version"]} and replaced["data"]["id"] == data["id"]
    body = {"bucketId": "files", "sourceKey": first, "destinationKey": second, "destinationBucket": "open"}
    httpx.post(f"{base}/move", json=body, headers=own)
    (moved,) = told(receiver, second, 1)
    assert (moved["type"], moved["old"]) == ("object.moved", {"bucket_id": "files", "name": first})
    httpx.post(f"{base}/copy", json={"bucketId": "open", "sourceKey": second, "destinationKey": third}, headers=own)
    assert [event["type"] for event in told(receiver, third, 1)] == ["object.created"]
    httpx.request("DELETE", f"{base}/open", json={"prefixes": [second, third]}, headers=own)
    for key in (second, third):
        assert "object.removed" in [event["type"] for event in told(receiver, key, 2)]
    assert receiver.faults == []


def test_an_address_that_fails_is_told_again(events_server, receiver):
    ann = Person(events_server, "ann")
    key = f"{ann.id}/{uuid.uuid4().hex}"
    with receiver.lock:
        receiver.statuses += [500, 429]
    url = f"{events_server.url}/storage/v1/object/files/{key}"
    httpx.post(url, content=b"x", headers=headers(events_server, ann)).raise_for_status()
    assert len(told(receiver, key, 1)) == 1


def test_a_kill_loses_no_event(events_server, receiver):
    ann = Person(events_server, "ann")
    own = headers(events_server, ann)
    keys = [f"{ann.id}/{uuid.uuid4().hex}" for _ in range(20)]
    for key in keys[:10]:
        httpx.post(f"{events_server.url}/storage/v1/object/files/{key}", content=b"x", headers=own).raise_for_status()
    events_server.kill()
    events_server.start()
    for key in keys[10:]:
        httpx.post(f"{events_server.url}/storage/v1/object/files/{key}", content=b"x", headers=own).raise_for_status()
    for key in keys:
        assert {event["type"] for event in told(receiver, key, 1)} == {"object.created"}
    assert receiver.faults == []


def test_a_secret_of_another_form_is_refused():
    config = '[atoll.storage.events]\nurl = "http://127.0.0.1:1/"\nsecret = "short"\n'
    server = AtollServer(config=config)
    try:
        with pytest.raises(RuntimeError, match="v1,whsec_"):
            server.start()
    finally:
        server.remove()
