# SPDX-License-Identifier: Apache-2.0
import pytest

from atoll_server import AtollServer, example_migrations
from people import Person


@pytest.fixture(scope="session")
def server():
    """An Atoll with the example's tables, shared by the tests that make users of their own."""
    with AtollServer(migrations=example_migrations()) as server:
        yield server


@pytest.fixture
def alice(server):
    return Person(server, "alice")


@pytest.fixture
def bob(server):
    return Person(server, "bob")
