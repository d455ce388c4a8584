# SPDX-License-Identifier: Apache-2.0
"""The seeds' code for Qdrant, as it stands in their documents."""

import pathlib
import re
import uuid
import warnings

import httpx
import pytest
import qdrant_client
from atoll_server import AtollServer
from people import Person, service
from qdrant_client import QdrantClient, models

warnings.filterwarnings("ignore")

SEEDS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "seeds"
pytestmark = pytest.mark.skipif(not SEEDS.exists(), reason="the seed documents are not here")

SIZE = 1536


def blocks(document, language):
    """The fenced code of a document."""
    return re.findall(rf"```{language}\n(.*?)```", (SEEDS / document).read_text(), re.S)


@pytest.fixture(params=["server", "gateway"])
def place(request):
    """Atoll with its own store, and in front of another Qdrant."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def multi_tenant_client(place, monkeypatch):
    """The class of the document, unchanged. It names a host alone, so port and key come from what it imports."""
    server = place
    key = server.status["SERVICE_ROLE_KEY"]

    class Client(QdrantClient):
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
    return QdrantClient(host="127.0.0.1", port=server.vectors_port, api_key=person.session.access_token, https=False)


def test_multi_tenant_client(place, multi_tenant_client):
    alice, bob = Person(place, "alice"), Person(place, "bob")
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
    # With a token the same collection shows its user's rows alone, whatever the filter says.
    mine = token_client(place, alice)
    assert mine.count(multi_tenant_client.collection_name).count == 4
    forged = models.Filter(must=[models.FieldCondition(key="user_id", match=models.MatchValue(value=str(bob.id)))])
    assert mine.search(multi_tenant_client.collection_name, embedding(1), query_filter=forged) == []
    multi_tenant_client.delete_user_embeddings(str(alice.id))
    assert multi_tenant_client.search_user_embeddings(str(alice.id), embedding(1)) == []
    assert len(multi_tenant_client.search_user_embeddings(str(bob.id), embedding(1))) == 4


def test_collection_of_a_user(place):
    """workflow-overview: the set-up makes `qdrant_user_<uuid>` by HTTP."""
    name = f"qdrant_user_{uuid.uuid4()}"
    answer = httpx.put(
        f"http://127.0.0.1:{place.vectors_port}/collections/{name}",
        headers={"Content-Type": "application/json", "api-key": place.status["SERVICE_ROLE_KEY"]},
        json={"vectors": {"size": 1536, "distance": "Cosine"}},
    )
    assert answer.status_code == 200 and answer.json()["result"] is True


@pytest.fixture(scope="module")
def coach():
    """The whole of hugoherbots' SQL, unchanged, as a project's migrations."""
    files = {f"2026010100{n:04}_block.sql": text for n, text in enumerate(blocks("hugoherbots.txt", "sql"))}
    with AtollServer(migrations=files) as server:
        yield server


def test_phase_four_of_hugoherbots(coach):
    """Its match functions through /rest/v1/rpc: arrays of numbers are vectors."""
    office = service(coach)
    ann, ben = Person(coach, "ann"), Person(coach, "ben")
    near = [1.0 if i < 8 else 0.0 for i in range(1536)]
    far = [1.0 if i > 1500 else 0.0 for i in range(1536)]
    office.table("help_articles").insert(
        [
            {"title": title, "slug": slug, "category": "c", "content": "text", "excerpt": "x", "status": status, "embedding": embedding}
            for title, slug, status, embedding in [
                ("Near", "near", "published", near),
                ("Nearer", "nearer", "published", [1.0 if i < 7 else 0.0 for i in range(1536)]),
                ("Far", "far", "published", far),
                ("Draft", "draft", "draft", near),
            ]
        ]
    ).execute()
    found = ann.client.rpc(
        "search_help_articles", {"query_embedding": near, "match_threshold": 0.7, "match_count": 5}
    ).execute().data
    assert [row["slug"] for row in found] == ["near", "nearer"]
    assert found[0]["similarity"] == pytest.approx(1) and found[1]["similarity"] == pytest.approx((7 / 8) ** 0.5, abs=1e-4)
    assert ann.client.rpc("search_help_articles", {"query_embedding": far, "match_count": 1}).execute().data[0]["slug"] == "far"

    scenario = office.table("scenarios").select("id").limit(1).execute().data
    row = {"user_id": str(ann.id), "embedding": near, "score": 80}
    if scenario:
        row["scenario_id"] = scenario[0]["id"]
    office.table("sessions").insert(row).execute()
    mine = ann.client.rpc("search_similar_sessions", {"query_embedding": near}).execute().data
    assert len(mine) == 1 and mine[0]["user_id"] == str(ann.id) and mine[0]["score"] == 80
    assert ben.client.rpc("search_similar_sessions", {"query_embedding": near}).execute().data == []
    with pytest.raises(Exception) as refused:
        ann.client.rpc("search_help_articles", {"query_embedding": [1, 2, 3]}).execute()
    assert "1536" in str(refused.value)
