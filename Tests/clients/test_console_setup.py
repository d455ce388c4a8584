# SPDX-License-Identifier: Apache-2.0
"""The set-up in a real browser, against a service that refuses some keys."""

import http.server
import threading
import time

import httpx
import pytest
from qdrant_client import QdrantClient, models

from atoll_server import AtollServer, starter_migrations
from console_browser import Visitor
from test_console_pages import MEMBERS

# What a tenant has that has a schema of its own.
TEMPLATE = "create table studios (id bigint generated always as identity primary key, name text not null);"


class Service(http.server.BaseHTTPRequestHandler):
    """Takes the key `good`, and waits for the test before it answers about `slow`."""

    released = threading.Event()

    def do_GET(self):
        key = self.headers.get("Authorization", "")
        if "slow" in key:
            self.released.wait(20)
        self.send_response(401 if "bad" in key else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def atoll():
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{service.server_port}"
    config = f'[atoll.tenancy.validation]\ntimeout = "30s"\n[atoll.tenancy.validation.addresses]\nopenai = "{address}"\nanthropic = "{address}"\n'
    server = AtollServer(migrations=starter_migrations(), config=config)
    templates = server.folder / "supabase" / "tenants"
    templates.mkdir()
    (templates / "20260101000000_create_studios.sql").write_text(TEMPLATE)
    with server:
        yield server
    service.shutdown()


@pytest.fixture
def ada(browser, atoll):
    visitor = Visitor(browser, atoll)
    yield visitor
    visitor.close()


def begin(visitor):
    visitor.open("/auth/signup")
    visitor.fill_sign_up("Ada")
    assert visitor.path == "/setup"
    visitor.page.get_by_label("Company").fill("Analytical Engines")
    visitor.page.get_by_role("button", name="Go on").click()
    assert visitor.path == "/setup/review"
    assert "Analytical Engines" in visitor.main.inner_text()


def finished(visitor):
    visitor.page.get_by_role("heading", name="Your home is ready").wait_for()
    visitor.page.get_by_role("link", name="To the dashboard").click()
    assert visitor.path == "/dashboard"
    assert "Your set-up is not finished" not in visitor.page.content()


def vectors_of(visitor):
    return QdrantClient(
        url=f"http://127.0.0.1:{visitor.server.vectors_port}", api_key=visitor.token(), check_compatibility=False
    )


@pytest.mark.parametrize("isolation", ["shared", "schema"])
def test_a_newcomer_reaches_a_home_in_one_sitting(ada, atoll, isolation):
    """From the first page to a dashboard with what was made: keys stored, schema made, collection made."""
    began = time.perf_counter()
    ada.open("/")
    ada.fill_sign_up("Ada")
    assert ada.path == "/setup"
    ada.page.get_by_label("Company").fill("Analytical Engines")
    ada.page.get_by_role("button", name="Go on").click()
    assert "Analytical Engines" in ada.main.inner_text()
    ada.page.get_by_label("In a schema of your own" if isolation == "schema" else "In tables you share").check()
    assert ada.violations() == []
    ada.keep("setup-review")
    ada.page.get_by_label("OpenAI").fill("good")
    ada.page.get_by_label("Anthropic").fill("good-too")
    ada.page.get_by_role("button", name="Start", exact=True).click()
    ada.page.get_by_role("heading", name="Your home is ready").wait_for()
    assert ada.page.locator(".step.completed").count() == 5
    assert ada.violations() == []
    ada.keep("setup-done")
    finished(ada)
    print(f"from the first page to the dashboard: {time.perf_counter() - began:.1f} s")

    shown = ada.main.inner_text()
    person = ada.page.locator("dt:text-is('User') + dd").inner_text()
    assert "OpenAI" in shown and "Anthropic" in shown and "in 1 collection" in shown
    assert ada.page.locator("dt:text-is('Collection') + dd").inner_text() == f"qdrant_user_{person}"
    schema = ada.page.locator("dt:text-is('Database schema') + dd").inner_text()
    assert (schema == "Shared tables, each row its tenant's") == (isolation == "shared")
    # What the page says is there: keys that their services have taken, a collection, tables.
    ada.open("/settings/keys")
    assert ada.page.locator(".badge.good", has_text="Works").count() == 2
    vectors = vectors_of(ada)
    names = [collection.name for collection in vectors.get_collections().collections]
    assert f"qdrant_user_{person}" in names
    rest = {"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {ada.token()}", "Prefer": "return=representation"}
    table, row = ("notes", {"title": "mine"}) if isolation == "shared" else ("studios", {"name": "mine"})
    made = httpx.post(f"{atoll.url}/rest/v1/{table}", headers=rest, json=row)
    assert made.status_code == 201, made.text


def test_two_newcomers_each_see_their_own_alone(ada, browser, atoll, tmp_path):
    """Two browsers, the same steps: rows, files, vectors, keys, pictures, members, activity and use of the one are nowhere with the other."""
    bob = Visitor(browser, atoll)
    homes = {}
    for visitor, name in [(ada, "Ada"), (bob, "Bob")]:
        visitor.open("/auth/signup")
        visitor.fill_sign_up(name)
        visitor.page.get_by_label("Company").fill(f"Company of {name}")
        visitor.page.get_by_role("button", name="Go on").click()
        visitor.page.get_by_label("OpenAI").fill(f"good-{name}")
        visitor.page.get_by_role("button", name="Start", exact=True).click()
        finished(visitor)
        homes[name] = (
            visitor.tenant(), visitor.page.locator("dt:text-is('User') + dd").inner_text(), visitor.email,
            f"Company of {name}", f"secret title of {name}",
        )
    # Only Ada works: rows, a file, a vector, a key more, a use.
    headers = {"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {ada.token()}"}
    for number in range(3):
        row = {"title": f"secret title of Ada {number}"}
        assert httpx.post(f"{atoll.url}/rest/v1/notes", headers=headers, json=row).status_code == 201
    vectors_of(ada).upsert(f"qdrant_user_{homes['Ada'][1]}", [models.PointStruct(id=1, vector=[0.1] * 1536, payload={})])
    use = {"p_user_id": homes["Ada"][1], "p_service_name": "openai", "p_cost_cents": 7}
    assert httpx.post(f"{atoll.url}/rest/v1/rpc/increment_api_usage", headers=headers, json=use).status_code < 300
    ada.store_key("heygen", "key-of-ada")

    def figure(visitor, name):
        visitor.open("/dashboard")
        return visitor.page.locator(f".figures dt:has-text('{name}') + dd").inner_text().split()[0]

    assert (figure(ada, "Rows"), figure(ada, "Vectors")) == ("3", "1")
    assert (figure(bob, "Rows"), figure(bob, "Vectors")) == ("0", "0")
    ada.open("/usage")
    assert "$0.07" in ada.main.inner_text()
    for path in MEMBERS:
        for visitor, other in [(ada, "Bob"), (bob, "Ada")]:
            visitor.open(path)
            page = visitor.page.content()
            assert not [text for text in homes[other] if text in page], (path, other)
        assert "HeyGen" not in bob.main.inner_text() or path in ("/settings/keys", "/setup/review"), path
    bob.open("/settings/keys")
    assert bob.page.locator("tbody tr").count() == 1
    bob.open("/usage")
    assert "$0.07" not in bob.main.inner_text()
    # The one's names and ids in the other's addresses and forms change nothing.
    token_of_form = bob.page.locator("[name=form_token]").first.get_attribute("value")
    for path, form in [
        ("/tenant/switch", {"tenant_id": homes["Ada"][0]}),
        ("/settings/members/remove", {"user_id": homes["Ada"][1]}),
        ("/settings/members/role", {"user_id": homes["Ada"][1], "role": "member"}),
        ("/settings/team/transfer", {"user_id": homes["Ada"][1]}),
    ]:
        answer = bob.context.request.post(
            bob.url + path, form={"form_token": token_of_form, **form}, max_redirects=0
        )
        assert answer.status >= 400, (path, answer.status)
    assert bob.tenant() == homes["Bob"][0] and ada.tenant() == homes["Ada"][0]
    bob.close()


def test_a_step_that_fails_says_why_and_is_resumed(ada):
    begin(ada)
    ada.page.get_by_label("OpenAI").fill("bad")
    ada.page.get_by_role("button", name="Start", exact=True).click()
    ada.page.get_by_role("heading", name="A step could not be done").wait_for()
    assert "openai" in ada.page.locator(".step.failed .error").inner_text()
    assert ada.page.locator(".step.completed").count() == 1
    assert ada.violations() == []
    ada.keep("setup-failed")
    # Whoever comes back finds the run where it rests.
    ada.open("/setup")
    assert ada.path == "/setup/progress"
    ada.page.get_by_label("OpenAI").fill("good")
    ada.page.get_by_role("button", name="Try again").click()
    finished(ada)


def test_a_set_up_goes_on_without_keys(ada):
    begin(ada)
    ada.page.get_by_label("OpenAI").fill("bad")
    ada.page.get_by_role("button", name="Start", exact=True).click()
    ada.page.get_by_role("button", name="Go on without these keys").click()
    finished(ada)
    assert "No key yet" in ada.main.inner_text()


def test_progress_is_followed_while_it_runs(ada):
    begin(ada)
    Service.released.clear()
    ada.page.get_by_label("Anthropic").fill("good")
    ada.page.get_by_label("OpenAI").fill("slow")
    ada.page.get_by_role("button", name="Start", exact=True).click()
    ada.page.locator(".step.running").wait_for()
    ada.keep("setup-running")
    Service.released.set()
    # The page changes by itself.
    finished(ada)


def test_progress_is_followed_without_scripts(browser, atoll):
    visitor = Visitor(browser, atoll, scripts=False)
    begin(visitor)
    Service.released.clear()
    visitor.page.get_by_label("OpenAI").fill("slow")
    visitor.page.get_by_role("button", name="Start", exact=True).click()
    assert visitor.page.get_by_role("heading", name="Setting up").is_visible()
    Service.released.set()
    visitor.page.get_by_role("heading", name="Your home is ready").wait_for()
    visitor.close()


def test_a_stored_key_is_checked_and_revoked(ada):
    ada.sign_up()
    for key, said in (("good", "The service takes the key."), ("bad", None)):
        ada.store_key("openai", key)
        ada.page.get_by_role("button", name="Check OpenAI").click()
        if said:
            assert ada.status() == said
            assert "Works" in ada.main.inner_text()
        else:
            assert ada.alert() == "The service refuses the key."
            assert "Refused" in ada.main.inner_text()
    ada.page.get_by_role("button", name="Revoke OpenAI").click()
    assert "revoked" in ada.status()
