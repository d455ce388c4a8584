# SPDX-License-Identifier: Apache-2.0
"""Every page: for keyboards and screen readers, by day and by night, on a phone. ATOLL_SCREENSHOTS=folder keeps a picture of each."""

import pytest

from atoll_server import AtollServer, example_migrations
from console_browser import CONFIG, Chromium, Visitor

OPEN = ["/", "/auth/signin", "/auth/signup", "/auth/forgot", "/invitations/accept?token=x", "/admin/signin"]
MEMBERS = ["/dashboard", "/usage", "/activity", "/setup", "/setup/review", "/settings", "/settings/security", "/settings/keys"]
MEMBERS += ["/settings/members", "/settings/team", "/settings/account"]
OPERATORS = ["/admin", "/admin/users", "/admin/tenants", "/admin/tables", "/admin/tables/public/notes", "/admin/tables/public/notes/row"]
OPERATORS += ["/admin/sql", "/admin/storage", "/admin/vectors", "/admin/logs", "/admin/isolation", "/admin/advisors"]


@pytest.fixture(scope="module")
def server():
    with AtollServer(migrations=example_migrations(), config=CONFIG) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def visitor(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def member(browser, server):
    visitor = Visitor(browser, server).sign_up("Ada Lovelace")
    visitor.store_key("openai", "sk-1")
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def administrator(browser, server):
    visitor = Visitor(browser, server)
    visitor.open("/admin")
    visitor.page.get_by_label("Secret key").fill(server.status["SERVICE_ROLE_KEY"])
    visitor.page.get_by_role("button", name="Sign in").click()
    assert visitor.path == "/admin"
    yield visitor
    visitor.close()


@pytest.fixture
def who(request):
    """Whoever may see the page."""
    path = request.getfixturevalue("path")
    name = "visitor" if path in OPEN else "administrator" if path in OPERATORS else "member"
    return request.getfixturevalue(name)


@pytest.mark.parametrize("path", OPEN + MEMBERS + OPERATORS)
def test_pages_are_accessible(who, path):
    assert who.open(path).status == 200
    page = who.page
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert who.violations() == [], scheme
    page.emulate_media(color_scheme="light")
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    # The first stop of the keyboard leads past the navigation.
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.tagName") != "BODY"
    # On a phone nothing sticks out at the side.
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1200, "height": 860})
    name = path.split("?")[0].strip("/").replace("/", "-") or "home"
    who.keep(name)


@pytest.mark.parametrize(
    "path, width, height, scheme, name",
    [
        ("/dashboard", 1200, 860, "dark", "dashboard-dark"),
        ("/settings/security", 1200, 860, "dark", "settings-security-dark"),
        ("/dashboard", 390, 844, "light", "dashboard-phone"),
        ("/settings/keys", 390, 844, "dark", "settings-keys-phone"),
        ("/admin/tables", 1200, 860, "dark", "admin-tables-dark"),
    ],
)
def test_pages_are_shown_by_night_and_on_phones(who, path, width, height, scheme, name):
    who.open(path)
    who.keep(name, width, height, scheme)
    assert who.page.locator("h1").is_visible()


def test_a_menu_is_used_with_the_keyboard(member):
    member.open("/dashboard")
    summary = member.page.locator("details.menu.end summary")
    summary.focus()
    member.page.keyboard.press("Enter")
    assert member.page.get_by_role("button", name="Sign out", exact=True).is_visible()
    member.page.keyboard.press("Escape")
    assert not member.page.get_by_role("button", name="Sign out", exact=True).is_visible()
    assert summary.evaluate("element => element === document.activeElement")
