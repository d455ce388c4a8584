# SPDX-License-Identifier: Apache-2.0
"""Atoll in front of another Qdrant: what it needs beyond the calls that test_qdrant compares."""

import time
import warnings

import httpx
import pytest
from atoll_server import AtollServer, free_ports
from people import Person
from qdrant_client import QdrantClient, models

warnings.filterwarnings("ignore")


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_set_up_makes_the_collection_there(server, gateway):
    person = Person(gateway, "newcomer")
    headers = {**person.headers, "Prefer": "wait=60"}
    done = httpx.post(f"{gateway.url}/api/setup", headers=headers, json={"profile": {"full_name": "New"}}, timeout=90)
    assert done.json()["status"] == "completed", done.text
    client = QdrantClient(
        url=f"http://127.0.0.1:{gateway.vectors_port}", api_key=person.session.access_token, check_compatibility=False
    )
    name = f"qdrant_user_{person.id}"
    vectors = client.get_collection(name).config.params.vectors
    assert (vectors.size, vectors.distance.value) == (1536, "Cosine")
    client.upsert(name, [models.PointStruct(id=1, vector=[0.1] * 1536, payload={"a": 1})])
    assert client.retrieve(name, [1])[0].payload == {"a": 1}

    # The account goes, and with it what is kept elsewhere.
    behind = QdrantClient(
        url=f"http://127.0.0.1:{server.vectors_port}", api_key=server.status["SERVICE_ROLE_KEY"], check_compatibility=False
    )
    names = {c.name for c in behind.get_collections().collections}
    removed = httpx.delete(
        f"{gateway.url}/auth/v1/admin/users/{person.id}",
        headers={"apikey": gateway.status["SERVICE_ROLE_KEY"], "Authorization": f"Bearer {gateway.status['SERVICE_ROLE_KEY']}"},
    )
    assert removed.status_code == 200, removed.text
    until(lambda: len(names - {c.name for c in behind.get_collections().collections}) == 1)


def test_readiness_tells_of_the_other_server(gateway):
    assert httpx.get(f"{gateway.url}/health").json()["qdrant"] == "ok"
    assert httpx.get(f"http://127.0.0.1:{gateway.vectors_port}/readyz").status_code == 200
    assert gateway.environment["QDRANT_API_KEY"] not in gateway.log
    shown = gateway.command("config")
    assert gateway.environment["QDRANT_API_KEY"] not in shown and "qdrant_api_key" in shown


def test_without_the_other_server():
    away = {"QDRANT_URL": f"http://127.0.0.1:{free_ports(1)[0]}", "QDRANT_API_KEY": "a-key-that-opens-nothing"}
    with AtollServer(environment=away) as server:
        vectors = f"http://127.0.0.1:{server.vectors_port}"
        health = httpx.get(f"{server.url}/health")
        assert (health.status_code, health.json()["qdrant"]) == (200, "unreachable")
        assert httpx.get(f"{vectors}/readyz").status_code == 503
        key = {"api-key": server.status["SERVICE_ROLE_KEY"]}
        refused = httpx.put(f"{vectors}/collections/a", headers=key, json={"vectors": {"size": 2, "distance": "Dot"}})
        assert refused.status_code == 503
        assert refused.json()["status"]["error"] == "Service internal error: the external Qdrant is not available"
        assert "a-key-that-opens-nothing" not in server.log

        # With an address that is the server's own, as programs beside it use it, points stay where they are.
        server.stop()
        server.environment["QDRANT_URL"] = vectors
        server.start()
        assert "qdrant" not in httpx.get(f"{server.url}/health").json()
        client = QdrantClient(url=vectors, api_key=server.status["SERVICE_ROLE_KEY"], check_compatibility=False)
        client.create_collection("a", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
        client.upsert("a", [models.PointStruct(id=1, vector=[1, 0])])
        assert client.count("a").count == 1


@pytest.mark.parametrize("key", [None, "nonsense"])
def test_keys(gateway, key):
    headers = {"api-key": key} if key else {}
    assert httpx.get(f"http://127.0.0.1:{gateway.vectors_port}/collections", headers=headers).status_code == 401
    anonymous = {"api-key": gateway.status["ANON_KEY"]}
    assert httpx.get(f"http://127.0.0.1:{gateway.vectors_port}/collections", headers=anonymous).status_code == 403
