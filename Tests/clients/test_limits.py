# SPDX-License-Identifier: Apache-2.0
"""How often people and tenants may call, each service by its own door."""

import httpx
import pytest

from atoll_server import AtollServer
from people import Person

CONFIG = """
[atoll.limits]
user_requests = 1
user_burst = 6
tenant_requests = 1
tenant_burst = 8
"""


@pytest.fixture(scope="module")
def atoll():
    with AtollServer(config=CONFIG) as server:
        yield server


def doors(atoll, token):
    """A request to each service."""
    headers = {"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {token}"}
    return [
        lambda: httpx.get(f"{atoll.url}/rest/v1/", headers=headers),
        lambda: httpx.get(f"{atoll.url}/api/tenants", headers=headers),
        lambda: httpx.get(f"{atoll.url}/storage/v1/bucket", headers=headers),
        lambda: httpx.get(f"{atoll.url}/vectors/v1/collections", headers=headers),
        lambda: httpx.get(f"http://127.0.0.1:{atoll.vectors_port}/collections", headers={"api-key": token}),
    ]


def test_one_persons_requests_count_at_every_door(atoll):
    person, other = Person(atoll, "many"), Person(atoll, "few")
    calls = doors(atoll, person.session.access_token)
    for number in range(6):
        assert calls[number % len(calls)]().status_code != 429, number
    for call in calls:
        refused = call()
        assert refused.status_code == 429, refused.text
        assert (refused.json()["code"], refused.json()["limit"]) == ("rate_limited", "user")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
    # A refusal is the person's alone: not another's, not the service key's, not a visitor's.
    assert doors(atoll, other.session.access_token)[0]().status_code != 429
    for key in ("SERVICE_ROLE_KEY", "ANON_KEY"):
        for _ in range(20):
            assert httpx.get(f"{atoll.url}/rest/v1/", headers={"apikey": atoll.status[key]}).status_code != 429


def test_a_tenants_people_are_counted_together(atoll):
    ann, bob = Person(atoll, "ann"), Person(atoll, "bob")
    tenant = "0192b7a0-1111-4000-8000-000000000002"
    tokens = [
        atoll.command(
            "gen", "bearer-jwt", "--role", "authenticated", "--sub", person.id, "--payload",
            '{"app_metadata": {"tenant_id": "%s"}}' % tenant,
        ).strip()  # fmt: skip
        for person in (ann, bob)
    ]
    for number in range(8):
        answer = doors(atoll, tokens[number % 2])[0]()
        assert answer.status_code != 429, (number, answer.text)
    refused = doors(atoll, tokens[0])[0]()
    assert (refused.status_code, refused.json()["limit"]) == (429, "tenant")
