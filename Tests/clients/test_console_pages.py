# SPDX-License-Identifier: Apache-2.0
"""Every page: for keyboards and screen readers, by day and by night, on a phone. ATOLL_SCREENSHOTS=folder keeps a picture of each."""

import httpx
import pytest
from qdrant_client import QdrantClient, models

from atoll_server import AtollServer, starter_migrations
from console_browser import CONFIG, Visitor
from people import service

# Everything that can be offered, so that every part of the pages is there; nobody sends a message.
EVERYTHING = (
    CONFIG
    + """
[auth.mfa.web_authn]
enroll_enabled = true
verify_enabled = true
[auth.mfa.phone]
enroll_enabled = true
verify_enabled = true
[auth.passkey]
enabled = true
[auth.sms.twilio]
enabled = true
account_sid = "AC1"
message_service_sid = "MG1"
auth_token = "t"
"""
)
OPEN = ["/", "/auth/signin", "/auth/signup", "/auth/forgot", "/invitations/accept?token=x", "/admin/signin"]
MEMBERS = ["/dashboard", "/usage", "/activity", "/setup", "/setup/review", "/settings", "/settings/security", "/settings/keys"]
MEMBERS += ["/settings/members", "/settings/team", "/settings/account"]
OPERATORS = ["/admin", "/admin/users", "/admin/tenants", "/admin/tables", "/admin/tables/public/notes", "/admin/tables/public/notes/row"]
OPERATORS += ["/admin/sql", "/admin/storage", "/admin/vectors", "/admin/logs", "/admin/isolation", "/admin/advisors"]


@pytest.fixture(scope="module")
def server():
    with AtollServer(migrations=starter_migrations(), config=EVERYTHING) as server:
        yield server


@pytest.fixture(scope="module")
def visitor(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def member(browser, server):
    """Somebody whose home is in use."""
    visitor = Visitor(browser, server, email="ada@example.com", url=f"http://localhost:{server.api_port}").sign_up("Ada Lovelace")
    visitor.open("/setup/review")
    visitor.page.get_by_role("button", name="Start without keys").click()
    visitor.page.get_by_role("heading", name="Your home is ready").wait_for()
    for key in ("openai", "anthropic"):
        visitor.store_key(key, "sk-1")
    person = visitor.user()
    headers = {"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {visitor.token()}"}
    rest = f"{server.url}/rest/v1"
    notes = [{"title": f"Note {number}"} for number in range(1, 25)]
    assert httpx.post(f"{rest}/notes", headers=headers, json=notes).status_code == 201
    for name, calls in (("openai", 9), ("anthropic", 5)):
        for _ in range(calls):
            use = {"p_user_id": person, "p_service_name": name, "p_cost_cents": 3}
            assert httpx.post(f"{rest}/rpc/increment_api_usage", headers=headers, json=use).status_code < 300
    vectors = QdrantClient(
        url=f"http://127.0.0.1:{server.vectors_port}", api_key=visitor.token(), check_compatibility=False
    )
    points = [models.PointStruct(id=number, vector=[0.01 * number] * 1536, payload={"page": number}) for number in range(1, 13)]
    vectors.upsert(f"qdrant_user_{person}", points)
    visitor.plug_in("internal", remembers_users=True)
    visitor.open("/settings/security")
    visitor.page.get_by_label("Name of the passkey").fill("My laptop")
    visitor.page.get_by_role("button", name="Add a passkey").click()
    visitor.page.get_by_text("passkey is added").wait_for()
    visitor.add_authenticator()
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def administrator(browser, server, member):
    storage = service(server).storage
    storage.create_bucket("papers")
    for name in ("reports/2026.txt", "notes.txt"):
        storage.from_("papers").upload(name, b"x" * 5000)
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


def check(who, name):
    """What every page has to be."""
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
    # On a phone nothing sticks out at the side, and what is pressed is large enough for a finger (WCAG 2.5.8).
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.evaluate("document.activeElement.blur()")
    assert who.violations() == [], "phone"
    page.set_viewport_size({"width": 1200, "height": 860})
    who.keep(name)


@pytest.mark.parametrize("path", OPEN + MEMBERS + OPERATORS)
def test_pages_are_accessible(who, path):
    assert who.open(path).status == 200
    check(who, path.split("?")[0].strip("/").replace("/", "-") or "home")


@pytest.mark.parametrize(
    "path, link, name",
    [
        ("/admin/users", "ada@example.com", "admin-user"),
        ("/admin/storage", "papers", "admin-storage-bucket"),
        ("/admin/vectors", "qdrant_user_", "admin-vectors-collection"),
        ("/admin/tables/public/notes", "Edit 1", "admin-tables-row"),
    ],
)
def test_pages_behind_a_link_are_accessible(administrator, path, link, name):
    administrator.open(path)
    administrator.page.get_by_role("link", name=link).first.click()
    check(administrator, name)


def test_a_statements_result_is_accessible(administrator):
    administrator.open("/admin/sql")
    administrator.page.get_by_label("Statements", exact=True).fill("select title, created_at from notes order by title")
    administrator.page.get_by_role("button", name="Run").click()
    check(administrator, "admin-sql")


@pytest.mark.parametrize(
    "path, width, height, scheme, name",
    [
        ("/dashboard", 1200, 860, "dark", "dashboard-dark"),
        ("/settings/security", 1200, 860, "dark", "settings-security-dark"),
        ("/dashboard", 390, 844, "light", "dashboard-phone"),
        ("/settings/keys", 390, 844, "dark", "settings-keys-phone"),
        ("/auth/signin", 390, 844, "light", "auth-signin-phone"),
        ("/admin/users", 390, 844, "light", "admin-users-phone"),
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
