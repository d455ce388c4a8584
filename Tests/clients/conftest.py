# SPDX-License-Identifier: Apache-2.0
import pytest

from atoll_server import AtollServer, example_migrations
from people import Person


@pytest.fixture(scope="session")
def server():
    """An Atoll with the example's tables, shared by the tests that make users of their own."""
    with AtollServer(migrations=example_migrations()) as server:
        yield server


@pytest.fixture(scope="session")
def gateway(server):
    """An Atoll that keeps its collections in another one, as in any Qdrant."""
    behind = {"QDRANT_URL": f"http://127.0.0.1:{server.vectors_port}", "QDRANT_API_KEY": server.status["SERVICE_ROLE_KEY"]}
    with AtollServer(migrations=example_migrations(), environment=behind) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def browser():
    # Only the tests of pages need what drives one.
    from console_browser import Chromium

    with Chromium() as browser:
        yield browser


@pytest.fixture
def alice(server):
    return Person(server, "alice")


@pytest.fixture
def bob(server):
    return Person(server, "bob")
