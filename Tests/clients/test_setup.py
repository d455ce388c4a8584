# SPDX-License-Identifier: Apache-2.0
"""Set-ups as a newcomer's browser and scripts run them: to the end, through a refused key, and through the death of the server."""

import http.server
import json
import subprocess
import sys
import threading
import warnings

import httpx
import pytest
from atoll_server import ROOT, AtollServer
from people import Person
from qdrant_client import QdrantClient

warnings.filterwarnings("ignore")

WAIT = {"Prefer": "wait=60"}


class Services(http.server.BaseHTTPRequestHandler):
    """OpenAI's list of models: it takes keys that begin with `good`, and holds those that begin with `slow` back."""

    released = threading.Event()
    asked = threading.Event()

    def do_GET(self):
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        type(self).asked.set()
        if key.startswith("slow"):
            type(self).released.wait(30)
            key = "good"
        body = json.dumps({"data": []}).encode()
        try:
            self.send_response(200 if key.startswith("good") else 401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # Whoever asked is gone.

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def atoll():
    services = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Services)
    services.daemon_threads = True
    threading.Thread(target=services.serve_forever, daemon=True).start()
    config = f"""[atoll.tenancy.validation]
timeout = "30s"
[atoll.tenancy.validation.addresses]
openai = "http://127.0.0.1:{services.server_address[1]}"
"""
    with AtollServer(config=config) as server:
        yield server
    Services.released.set()
    services.shutdown()


@pytest.fixture
def alice(atoll):
    return Person(atoll, "alice")


def setup(atoll, person, **body):
    return httpx.post(f"{atoll.url}/api/setup", headers={**person.headers, **WAIT}, json=body, timeout=90)


def statuses(state):
    return {step["name"]: step["status"] for step in state["steps"]}


def test_nobody_else_sets_a_tenant_up(atoll, alice):
    for path in ["setup", "setup-supabase", "setup-qdrant"]:
        url = f"{atoll.url}/api/{path}"
        assert httpx.post(url).status_code == 401
        assert httpx.post(url, headers={"apikey": atoll.status["ANON_KEY"]}).status_code == 401
        assert httpx.post(url, headers={"apikey": atoll.status["SERVICE_ROLE_KEY"]}).status_code == 401


def test_from_sign_up_to_a_usable_home(atoll, alice):
    before = httpx.get(f"{atoll.url}/api/setup", headers=alice.headers).json()
    assert before["status"] == "not_started"
    done = setup(atoll, alice, profile={"full_name": "Alice"}, keys={"openai": "good-key"})
    assert done.status_code == 200
    assert done.json()["status"] == "completed", done.text
    collection = f"qdrant_user_{alice.id}"
    client = QdrantClient(
        url=f"http://127.0.0.1:{atoll.vectors_port}", api_key=alice.session.access_token, check_compatibility=False
    )
    vectors = client.get_collection(collection).config.params.vectors
    assert (vectors.size, vectors.distance.value) == (1536, "Cosine")
    profile = httpx.get(f"{atoll.url}/api/user/profile", headers=alice.headers).json()["profile"]
    assert (profile["full_name"], profile["setup_completed"]) == ("Alice", True)
    keys = httpx.get(f"{atoll.url}/api/user/api-keys", headers=alice.headers).json()["apiKeys"]
    assert [(key["service_name"], key["validation"]) for key in keys] == [("openai", "valid")]
    assert "good-key" not in done.text and "good-key" not in atoll.log


def test_a_refused_key_stops_the_run_where_it_is(atoll, alice):
    failed = setup(atoll, alice, keys={"openai": "wrong"}).json()
    assert failed["status"] == "failed"
    assert statuses(failed) == {
        "profile": "completed",
        "api_keys": "failed",
        "schema": "pending",
        "vector_collection": "pending",
        "settings": "pending",
    }
    done = setup(atoll, alice, keys={"openai": "good"}).json()
    assert (done["status"], done["run_id"]) == ("completed", failed["run_id"])


def test_a_run_goes_on_after_the_server_was_killed(atoll):
    person = Person(atoll, "killed")
    Services.asked.clear()
    started = httpx.post(
        f"{atoll.url}/api/setup",
        headers=person.headers,
        json={"profile": {"full_name": "Kit"}, "keys": {"openai": "slow-key"}},
    )
    assert started.status_code == 202
    assert started.json()["status"] == "running"
    assert Services.asked.wait(30)
    atoll.kill()
    atoll.start()
    left = httpx.get(f"{atoll.url}/api/setup", headers=person.headers).json()
    assert left["run_id"] == started.json()["run_id"]
    assert left["status"] == "interrupted"
    assert statuses(left)["profile"] == "completed"
    assert statuses(left)["api_keys"] == "running"
    Services.released.set()
    # What was asked for before is not asked again: the key is under seal with the run.
    done = setup(atoll, person).json()
    assert (done["status"], done["run_id"]) == ("completed", left["run_id"]), done
    assert {step["name"]: step["attempts"] for step in done["steps"]} == {
        "profile": 1,
        "api_keys": 2,
        "schema": 1,
        "vector_collection": 1,
        "settings": 1,
    }
    keys = httpx.get(f"{atoll.url}/api/user/api-keys", headers=person.headers).json()["apiKeys"]
    assert [key["service_name"] for key in keys] == ["openai"]
    Services.released.clear()


def test_events_follow_a_run(atoll, alice):
    Services.released.clear()
    httpx.post(f"{atoll.url}/api/setup", headers=alice.headers, json={"keys": {"openai": "slow"}})
    states = []
    with httpx.stream(
        "GET", f"{atoll.url}/api/setup", headers={**alice.headers, "Accept": "text/event-stream"}, timeout=60
    ) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                states.append(json.loads(line[6:]))
                Services.released.set()
    assert states[0]["status"] == "running"
    assert states[-1]["status"] == "completed"


def test_the_seeds_end_points_answer_as_their_code_expects(atoll, alice):
    assert httpx.post(f"{atoll.url}/api/setup-supabase", headers=alice.headers).json()["success"] is True
    made = httpx.post(f"{atoll.url}/api/setup-qdrant", headers=alice.headers, json={})
    assert made.status_code == 200
    assert made.json()["collection_name"] == f"qdrant_user_{alice.id}"


def test_the_example_goes_from_sign_up_to_a_usable_home(atoll):
    result = subprocess.run(
        [
            sys.executable,
            ROOT / "examples" / "onboarding.py",
            "--url",
            atoll.url,
            "--key",
            atoll.status["ANON_KEY"],
            "--vectors",
            f"http://127.0.0.1:{atoll.vectors_port}",
            "--people",
            "2",
            "--secret",
            "openai=good-key",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    for step in ["sign up", "set up", "api_keys", "first vector", "sign-up to usable home", "bcrypt alone"]:
        assert step in result.stdout
