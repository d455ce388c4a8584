# SPDX-License-Identifier: Apache-2.0
"""POST /api/embeddings with a user's own key, against a small API of OpenAI's form."""

import http.server
import json
import threading
import warnings

import httpx
import pytest
from atoll_server import AtollServer
from people import Person
from qdrant_client import QdrantClient, models

warnings.filterwarnings("ignore")
DIMENSIONS = 6
KEY = "sk-of-alice"


def embed(text):
    """A vector that says which letters a text has."""
    return [float(text.count(letter)) + 0.001 for letter in "abcdef"]


class API(http.server.BaseHTTPRequestHandler):
    """OpenAI's `/v1/embeddings`, which fails when told to."""

    calls = []
    failures = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).calls.append((self.headers["authorization"], body))
        if self.path != "/v1/embeddings" or self.headers["authorization"] != f"Bearer {KEY}":
            return self.answer(401, {"error": {"message": "Incorrect API key provided"}})
        if type(self).failures:
            return self.answer(type(self).failures.pop(0), {"error": {"message": "later"}})
        if body["model"] == "unknown":
            return self.answer(400, {"error": {"message": "no such model"}})
        data = [{"object": "embedding", "index": i, "embedding": embed(t)} for i, t in enumerate(body["input"])]
        # In another order, as the index is what counts.
        self.answer(200, {"data": data[::-1], "model": body["model"], "usage": {"total_tokens": 1000 * len(data)}})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        if status == 429:
            self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def atoll():
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), API)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    config = f'embeddings_url = "http://127.0.0.1:{api.server_address[1]}/v1"\nembeddings_retries = 2\nmax_embedding_texts = 600'
    with AtollServer(config=config) as server:
        yield server
    api.shutdown()


@pytest.fixture(scope="module")
def alice(atoll):
    person = Person(atoll, "alice")
    stored = httpx.post(
        f"{atoll.url}/api/user/api-keys", headers=person.headers, json={"service_name": "openai", "api_key": KEY}
    )
    assert stored.status_code == 200
    return person


@pytest.fixture(autouse=True)
def fresh():
    API.calls.clear()
    API.failures.clear()


def post(atoll, person, body):
    return httpx.post(f"{atoll.url}/api/embeddings", headers=person.headers if person else {}, json=body, timeout=30)


def test_refusals(atoll, alice):
    bob = Person(atoll, "bob")
    assert post(atoll, None, {"input": "a"}).status_code == 401
    keyless = post(atoll, bob, {"input": "a"})
    assert keyless.status_code == 400 and "no key `openai`" in keyless.json()["error"]
    for body in [{}, {"input": []}, {"input": ""}, {"input": [1]}, {"input": ["a"] * 601}, {"collection": "x", "points": [{"id": 1}]}]:
        assert post(atoll, alice, body).status_code == 400, body
    assert post(atoll, alice, {"collection": "absent", "points": [{"id": 1, "text": "a"}]}).status_code == 404
    assert API.calls == [], "nothing of this cost tokens"
    service = httpx.post(
        f"{atoll.url}/api/embeddings", headers={"apikey": atoll.status["SERVICE_ROLE_KEY"]}, json={"input": "a"}
    )
    assert service.status_code == 403
    refused = post(atoll, alice, {"input": "a", "model": "unknown"})
    assert refused.status_code == 400 and "no such model" in refused.json()["error"]
    assert KEY not in atoll.log


def test_texts_become_vectors(atoll, alice):
    answer = post(atoll, alice, {"input": ["aab", "c"], "model": "text-embedding-ada-002"}).json()
    assert [item["embedding"] for item in answer["data"]] == [pytest.approx(embed("aab")), pytest.approx(embed("c"))]
    assert answer["usage"]["total_tokens"] == 2000
    assert API.calls[0][0] == f"Bearer {KEY}" and API.calls[0][1]["model"] == "text-embedding-ada-002"


def test_many_texts_take_several_calls(atoll, alice):
    texts = ["a" * (i % 9 + 1) for i in range(600)]
    answer = post(atoll, alice, {"input": texts}).json()
    assert [len(call[1]["input"]) for call in API.calls] == [256, 256, 88]
    assert [item["embedding"][0] for item in answer["data"]] == pytest.approx([embed(t)[0] for t in texts])


def test_passing_failures_are_tried_again(atoll, alice):
    API.failures[:] = [429, 503]
    assert post(atoll, alice, {"input": "a"}).status_code == 200
    API.failures[:] = [503, 503, 503]
    assert post(atoll, alice, {"input": "a"}).status_code == 502


def test_vectors_are_stored_and_usage_metered(atoll, alice):
    client = QdrantClient(host="127.0.0.1", port=atoll.vectors_port, api_key=alice.session.access_token, https=False)
    client.create_collection("notes", vectors_config=models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE))
    before = httpx.get(f"{atoll.url}/api/user/profile", headers=alice.headers).json()["profile"]["api_usage_current"]
    points = [{"id": 1, "text": "aaa", "payload": {"title": "A"}}, {"id": 2, "text": "bbb"}]
    answer = post(atoll, alice, {"collection": "notes", "points": points})
    assert answer.status_code == 200 and answer.json()["stored"] == 2
    found = client.query_points("notes", query=embed("aa"), limit=1, with_payload=True).points
    assert found[0].id == 1 and found[0].payload == {"title": "A"}
    after = httpx.get(f"{atoll.url}/api/user/profile", headers=alice.headers).json()["profile"]["api_usage_current"]
    assert after == before + 1
    # A collection of another size keeps what it has.
    client.create_collection("small", vectors_config=models.VectorParams(size=3, distance=models.Distance.COSINE))
    assert post(atoll, alice, {"collection": "small", "points": [{"id": 1, "text": "a"}]}).status_code == 400
    assert client.count("small").count == 0
