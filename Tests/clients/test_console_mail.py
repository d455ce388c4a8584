# SPDX-License-Identifier: Apache-2.0
"""Pages and mails together, in a real browser: a confirmed address, and a forgotten password. The pages are elsewhere than the site."""

import pytest

from atoll_server import AtollServer
from console_browser import PASSWORD, Visitor
from inbox import Inbox

CONFIG = """
[auth]
site_url = "https://app.example.com"
[auth.email]
enable_confirmations = true
max_frequency = "0s"
"""


@pytest.fixture(scope="module")
def atoll():
    with AtollServer(config=CONFIG) as server:
        yield server


@pytest.fixture
def ada(browser, atoll):
    visitor = Visitor(browser, atoll)
    yield visitor
    visitor.close()


def sign_up(visitor):
    visitor.open("/auth/signup")
    visitor.fill_sign_up("Ada")
    assert visitor.page.get_by_role("heading", name="Confirm your address").is_visible()
    assert visitor.email in visitor.status()


def test_an_address_is_confirmed_by_its_link(ada, atoll):
    sign_up(ada)
    assert ada.violations() == []
    ada.keep("auth-confirm")
    # Until then the password opens nothing.
    ada.page.get_by_role("link", name="Sign in").last.click()
    ada.sign_in()
    assert "not confirmed yet" in ada.alert()
    ada.page.goto(Inbox(atoll).link(ada.email))
    assert ada.path == "/setup"


def test_a_link_that_another_browser_opens_signs_nobody_in(ada, browser, atoll):
    sign_up(ada)
    other = Visitor(browser, atoll, email=ada.email)
    other.page.goto(Inbox(atoll).link(ada.email))
    assert "another browser" in other.alert()
    other.open("/dashboard")
    assert other.path.startswith("/auth/signin")
    # The address is confirmed all the same: whoever knows the password signs in.
    other.sign_in()
    assert other.path == "/dashboard"
    other.close()


def test_a_forgotten_password_is_replaced(ada, atoll):
    sign_up(ada)
    ada.page.goto(Inbox(atoll).link(ada.email))
    ada.sign_out()
    ada.open("/auth/signin")
    ada.page.get_by_role("link", name="Forgot your password?").click()
    ada.page.get_by_label("E-mail").fill(ada.email)
    ada.page.get_by_role("button", name="Send a link").click()
    assert "is on its way" in ada.status()
    link = Inbox(atoll).link(ada.email, count=2)
    ada.page.goto(link)
    assert ada.path == "/auth/reset"
    assert ada.violations() == []
    ada.keep("auth-reset")
    ada.page.locator("#password").evaluate("field => field.removeAttribute('minlength')")
    ada.page.get_by_label("New password").fill("12")
    ada.page.get_by_role("button", name="Save").click()
    assert ada.page.locator("#password-error").is_visible()
    ada.page.get_by_label("New password").fill("another horse battery staple")
    ada.page.get_by_role("button", name="Save").click()
    assert ada.status() == "Password changed."
    ada.sign_out()
    # A link works once.
    ada.page.goto(link)
    assert ada.path.startswith("/auth/callback") and ada.page.locator(".notice[role=alert]").is_visible()
    ada.open("/auth/signin")
    ada.sign_in(PASSWORD)
    assert "do not fit together" in ada.alert()
    ada.sign_in("another horse battery staple")
    assert ada.path == "/dashboard"


def test_nobody_learns_whether_an_address_has_an_account(ada):
    ada.open("/auth/forgot")
    ada.page.get_by_label("E-mail").fill("nobody@example.com")
    ada.page.get_by_role("button", name="Send a link").click()
    assert "is on its way" in ada.status()
