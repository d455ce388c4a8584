# SPDX-License-Identifier: Apache-2.0
"""The set-up in a real browser, against a service that refuses some keys."""

import http.server
import threading

import pytest

from atoll_server import AtollServer, example_migrations
from console_browser import Chromium, Visitor


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
    with AtollServer(migrations=example_migrations(), config=config) as server:
        yield server
    service.shutdown()


@pytest.fixture(scope="module")
def browser():
    with Chromium() as browser:
        yield browser


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


def test_a_newcomer_reaches_a_home_in_one_sitting(ada):
    begin(ada)
    ada.keep("setup-review")
    ada.page.get_by_label("OpenAI").fill("good")
    ada.page.get_by_role("button", name="Start", exact=True).click()
    ada.page.get_by_role("heading", name="Your home is ready").wait_for()
    assert ada.violations() == []
    ada.keep("setup-done")
    finished(ada)
    assert "OpenAI" in ada.main.inner_text()


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
