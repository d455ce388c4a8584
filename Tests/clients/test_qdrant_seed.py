# SPDX-License-Identifier: Apache-2.0
"""The seeds' code for Qdrant, as it stands in their documents."""

import pathlib
import re
import uuid
import warnings

import httpx
import pytest
import qdrant_client
from qdrant_client import models

warnings.filterwarnings("ignore")

SEEDS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "seeds"
pytestmark = pytest.mark.skipif(not SEEDS.exists(), reason="the seed documents are not here")

SIZE = 1536


def blocks(document, language):
    """The fenced code of a document."""
    return re.findall(rf"```{language}\n(.*?)```", (SEEDS / document).read_text(), re.S)


@pytest.fixture
def multi_tenant_client(server, monkeypatch):
    """The class of the document, unchanged. It names a host alone, so port and key come from what it imports."""
    key = server.status["SERVICE_ROLE_KEY"]

    class Client(qdrant_client.QdrantClient):
        def __init__(self, host):
            super().__init__(host=host, port=server.vectors_port, api_key=key, https=False)

    monkeypatch.setattr(qdrant_client, "QdrantClient", Client)
    monkeypatch.setenv("QDRANT_HOST", "127.0.0.1")
    source = next(text for text in blocks("coral-social.txt", "python") if "class MultiTenantQdrantClient" in text)
    scope = {}
    exec(compile(source, "coral-social", "exec"), scope)
    made = scope["MultiTenantQdrantClient"]()
    made.client.create_collection(
        made.collection_name, vectors_config=models.VectorParams(size=SIZE, distance=models.Distance.COSINE)
    )
    yield made
    made.client.delete_collection(made.collection_name)


def embedding(direction):
    return [1.0 if i == direction else 0.001 for i in range(SIZE)]


def token_client(server, person):
    """The official client with a user's token."""
    return qdrant_client.QdrantClient(host="127.0.0.1", port=server.vectors_port, api_key=person.session.access_token, https=False)


def test_multi_tenant_client(server, multi_tenant_client, alice, bob):
    for number, person in enumerate([alice, bob]):
        multi_tenant_client.upsert_user_embeddings(
            str(person.id),
            [{"id": str(uuid.uuid4()), "vector": embedding(number * 10 + i), "payload": {"of": number}} for i in range(3)]
            + [{"id": str(uuid.uuid4()), "vector": embedding(99)}],
        )
    found = multi_tenant_client.search_user_embeddings(str(alice.id), embedding(1))
    assert len(found) == 4
    assert {hit.payload["user_id"] for hit in found} == {str(alice.id)}
    assert found[0].payload["of"] == 0 and found[0].score > 0.99
    assert len(multi_tenant_client.search_user_embeddings(str(bob.id), embedding(1), limit=2)) == 2
    assert multi_tenant_client.search_user_embeddings(str(uuid.uuid4()), embedding(1)) == []
    multi_tenant_client.delete_user_embeddings(str(alice.id))
    assert multi_tenant_client.search_user_embeddings(str(alice.id), embedding(1)) == []
    assert len(multi_tenant_client.search_user_embeddings(str(bob.id), embedding(1))) == 4


def test_collection_of_a_user(server):
    """workflow-overview: the set-up makes `qdrant_user_<uuid>` by HTTP."""
    name = f"qdrant_user_{uuid.uuid4()}"
    answer = httpx.put(
        f"http://127.0.0.1:{server.vectors_port}/collections/{name}",
        headers={"Content-Type": "application/json", "api-key": server.status["SERVICE_ROLE_KEY"]},
        json={"vectors": {"size": 1536, "distance": "Cosine"}},
    )
    assert answer.status_code == 200 and answer.json()["result"] is True


def test_phase_four_of_hugoherbots(server):
    """Its SQL and its functions, unchanged, through /rest/v1/rpc, on tables such as its earlier phases make."""
