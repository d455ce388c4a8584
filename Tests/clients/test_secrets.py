# SPDX-License-Identifier: Apache-2.0
"""The master key changes beside the running server, and nobody notices."""

import base64
import hmac
import http.server
import json
import struct
import subprocess
import threading
import time

import httpx
import pytest
from atoll_server import AtollServer, binary
from people import Person
from test_setup import Services


@pytest.fixture(scope="module")
def atoll():
    services = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Services)
    services.daemon_threads = True
    threading.Thread(target=services.serve_forever, daemon=True).start()
    config = f"""[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
[atoll.tenancy.validation.addresses]
openai = "http://127.0.0.1:{services.server_address[1]}"
"""
    with AtollServer(config=config) as server:
        yield server
    services.shutdown()


def keys(atoll):
    """The ids of the master keys, the one that seals first."""
    secrets = json.loads((atoll.folder / ".atoll" / "secrets.json").read_text())
    current = secrets["current_encryption_key"]
    return [current] + sorted(set(secrets["encryption_keys"]) - {current})


def store(atoll, person, key="good"):
    response = httpx.post(
        f"{atoll.url}/api/user/api-keys", headers=person.headers, json={"service_name": "openai", "api_key": key}
    )
    assert response.status_code == 200, response.text


def is_valid(atoll, person):
    response = httpx.post(f"{atoll.url}/api/user/api-keys/openai/validate", headers=person.headers)
    assert response.status_code == 200, response.text
    return response.json()["valid"]


def rotate(atoll, *flags):
    return json.loads(atoll.command("secrets", "rotate", "-o", "json", *flags))


def totp(secret):
    """The code of this moment (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    code = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), "sha1")
    place = code[-1] & 15
    return f"{(struct.unpack('>I', code[place:place + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def test_rotation_goes_on_beside_the_server(atoll):
    people = [Person(atoll, f"person{number}") for number in range(3)]
    for person in people:
        store(atoll, person)
    secured = people[0]
    factor = secured.client.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "phone"})
    before = keys(atoll)
    assert len(before) == 1

    stop, failures, rounds = threading.Event(), [], [0]

    def work():
        while not stop.is_set():
            try:
                store(atoll, people[1])
                if not is_valid(atoll, people[1]) or not is_valid(atoll, people[2]):
                    failures.append("refused")
                rounds[0] += 1
            except AssertionError as error:
                failures.append(str(error))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        report = rotate(atoll, "--batch", "1")
    finally:
        stop.set()
        worker.join()
    assert not failures, failures[:3]
    assert rounds[0] > 5
    assert report["left"] == 0
    assert report["forgotten"] == before
    assert keys(atoll) == [report["key"]] and keys(atoll) != before
    sealed = {column["table"]: column["sealed"] for column in report["columns"]}
    assert sealed["tenancy.secrets"] >= 2  # The third is stored again all the time.
    assert sealed["auth.mfa_factors"] == 1

    secured.client.auth.mfa.challenge_and_verify({"factor_id": factor.id, "code": totp(factor.totp.secret)})
    assert all(is_valid(atoll, person) for person in people)
    atoll.stop()
    atoll.start()
    assert all(is_valid(atoll, person) for person in people)
    assert "good" not in atoll.log


def test_what_was_interrupted_is_finished(atoll):
    person = Person(atoll, "interrupted")
    store(atoll, person)
    before = keys(atoll)
    process = subprocess.Popen(
        [binary(), "secrets", "rotate", "--workdir", atoll.folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 30
    while keys(atoll) == before:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    # The older key is there until nothing needs it.
    assert keys(atoll)[1:] == before
    assert is_valid(atoll, person)
    report = rotate(atoll, "--resume")
    assert report["left"] == 0 and report["forgotten"] == before
    assert is_valid(atoll, person)
    assert keys(atoll) == [report["key"]]


def test_keys_can_be_kept(atoll):
    before = keys(atoll)
    report = rotate(atoll, "--keep-old")
    assert report["forgotten"] == []
    assert keys(atoll) == [report["key"], *before]
