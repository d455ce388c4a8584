# SPDX-License-Identifier: Apache-2.0
"""The chapter 'Authentication System' of a guide written for a Supabase project, played with the official client.

The guide's application is pages around three pieces, which stand here in its place: the client it makes (PKCE), its provider of
the session and the profile, and its middleware in front of the routes. Its SQL comes from test_social_seed.py.
"""

import uuid
from http.cookies import SimpleCookie
from urllib.parse import quote, unquote

import httpx
import pytest
from supabase import ClientOptions, create_client
from supabase_auth import SyncSupportedStorage
from supabase_auth.errors import AuthApiError

from atoll_server import AtollServer, sql_files
from inbox import Inbox
from openid import query_of
from people import PASSWORD
from test_social_seed import GUIDE, OLDER_TABLES, guide_migrations

SITE = "http://127.0.0.1:3000"
CONFIG = f"""
[auth]
site_url = "{SITE}"
[auth.email]
enable_confirmations = true
max_frequency = "0s"
"""


@pytest.fixture(scope="module")
def server():
    if not GUIDE.exists():
        pytest.skip(f"{GUIDE} is not there")
    with AtollServer(migrations={**sql_files(OLDER_TABLES), **guide_migrations()}, config=CONFIG) as server:
        yield server


class CookieJar(SyncSupportedStorage):
    """A browser's cookies, where the guide's helpers keep the session, so that pages and server see the same one."""

    def __init__(self):
        self.cookies = SimpleCookie()

    def get_item(self, key):
        return unquote(self.cookies[key].value) if key in self.cookies else None

    def set_item(self, key, value):
        self.cookies[key] = quote(value)

    def remove_item(self, key):
        self.cookies.pop(key, None)


def make_client(server, jar):
    options = ClientOptions(flow_type="pkce", storage=jar, auto_refresh_token=False, persist_session=True)
    return create_client(server.url, server.status["ANON_KEY"], options)


class Browser:
    """A visitor of the guide's application."""

    def __init__(self, server):
        self.server = server
        self.jar = CookieJar()
        self.client = make_client(server, self.jar)
        # The context provider: session, user and profile follow the client's events.
        self.session = self.client.auth.get_session()
        self.profile = None
        self.client.auth.on_auth_state_change(self._changed)

    def _changed(self, _, session):
        self.session = session
        self.profile = self._load_profile() if session else None

    def _load_profile(self):
        # The token of the event: the client hands it to its tables only after its subscribers were told.
        headers = {"apikey": self.client.supabase_key, "Authorization": f"Bearer {self.session.access_token}"}
        query = {"select": "*", "user_id": f"eq.{self.session.user.id}"}
        single = {**headers, "Accept": "application/vnd.pgrst.object+json"}
        answer = httpx.get(f"{self.server.url}/rest/v1/user_profiles", params=query, headers=single)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def open(self, path):
        """The middleware: what a request for a path gets, by the session in the browser's cookies."""
        session = make_client(self.server, self.jar).auth.get_session()
        if path.startswith("/api/") and not path.startswith("/api/auth/") and not session:
            return 401, {"error": "Unauthorized"}
        if (path.startswith("/dashboard") or path == "/") and not session:
            return 307, f"{SITE}/auth/login"
        if path.startswith("/auth/") and session:
            return 307, f"{SITE}/dashboard"
        return 200, session.user.id if session else None

    def follow(self, link):
        """Opens the link of a mail; returns the page of the application where that ends."""
        answer = httpx.get(link)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def callback(self, page):
        """The application's /auth/callback."""
        return self.client.auth.exchange_code_for_session({"auth_code": query_of(page)["code"]})


@pytest.fixture
def browser(server):
    return Browser(server)


@pytest.fixture
def inbox(server):
    return Inbox(server)


def sign_up(browser, inbox, name="Carol"):
    email = f"{name.lower()}-{uuid.uuid4().hex[:8]}@example.com"
    answer = browser.client.auth.sign_up(
        {
            "email": email,
            "password": PASSWORD,
            "options": {"email_redirect_to": f"{SITE}/auth/callback", "data": {"full_name": name, "company_name": "Reef"}},
        }
    )
    assert answer.session is None and answer.user.email == email
    return email, inbox.link(email)


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_without_a_session_the_routes_are_closed(browser):
    assert browser.open("/dashboard") == (307, f"{SITE}/auth/login")
    assert browser.open("/") == (307, f"{SITE}/auth/login")
    assert browser.open("/api/tweets") == (401, {"error": "Unauthorized"})
    assert browser.open("/api/auth/session") == (200, None)
    assert browser.open("/auth/login") == (200, None)
    assert browser.session is None and browser.profile is None
    assert browser.client.table("user_profiles").select("*").execute().data == []


def test_a_cookie_that_was_made_up_opens_pages_but_no_data(server, browser, inbox):
    """The guide's middleware believes the cookie; the data does not: the server verifies each token."""
    _, link = sign_up(browser, inbox)
    browser.callback(browser.follow(link))
    key = browser.client.auth._storage_key
    kept = browser.jar.get_item(key)
    token = browser.session.access_token
    body = token.split(".")[1]
    forged = token.replace(body, body[:-8] + ("A" * 8 if body[-8:] != "A" * 8 else "B" * 8))
    browser.jar.set_item(key, kept.replace(token, forged))
    assert browser.open("/dashboard")[0] == 200
    thief = make_client(server, browser.jar)
    with pytest.raises(AuthApiError) as refusal:
        thief.auth.get_user()
    assert refusal.value.code == "bad_jwt"
    answer = httpx.get(
        f"{server.url}/rest/v1/user_profiles",
        headers={"apikey": thief.supabase_key, "Authorization": f"Bearer {forged}"},
    )
    assert answer.status_code == 401


def test_the_login_page_tells_what_went_wrong(browser, inbox):
    email, link = sign_up(browser, inbox)
    for address, password, message in [
        (email, "wrong " + PASSWORD, "Invalid login credentials"),
        ("nobody@example.com", PASSWORD, "Invalid login credentials"),
        (email, PASSWORD, "Email not confirmed"),
    ]:
        with pytest.raises(AuthApiError) as refusal:
            browser.client.auth.sign_in_with_password({"email": address, "password": password})
        assert refusal.value.message == message
    assert browser.session is None
    browser.callback(browser.follow(link))
    assert browser.session.user.email == email


def test_the_code_of_the_callback_is_for_the_browser_that_signed_up(server, browser, inbox):
    _, link = sign_up(browser, inbox)
    page = browser.follow(link)
    other = Browser(server)
    with pytest.raises(AuthApiError):
        other.client.auth.exchange_code_for_session({"auth_code": query_of(page)["code"], "code_verifier": "x" * 43})
    assert other.session is None
    # The link counts once, and so does the code that somebody tried in vain.
    assert query_of(browser.follow(link))["error_code"] == "otp_expired"
    with pytest.raises(AuthApiError):
        browser.callback(page)
    assert browser.open("/dashboard") == (307, f"{SITE}/auth/login")


# --- The guide's way --------------------------------------------------------------------------------------------------


def test_from_sign_up_over_the_callback_to_the_dashboard_and_out(browser, inbox):
    email, link = sign_up(browser, inbox)
    assert browser.open("/dashboard") == (307, f"{SITE}/auth/login")
    page = browser.follow(link)
    assert page.startswith(f"{SITE}/auth/callback?code=") and "#" not in page
    session = browser.callback(page).session
    assert session.user.email == email and session.user.email_confirmed_at is not None
    # The context provider has loaded the profile that the guide's trigger made at sign-up.
    assert browser.profile["user_id"] == session.user.id
    assert (browser.profile["email"], browser.profile["subscription_tier"]) == (email, "free")
    assert session.user.user_metadata["full_name"] == "Carol"
    assert browser.open("/dashboard") == (200, session.user.id)
    assert browser.open("/api/tweets") == (200, session.user.id)
    assert browser.open("/auth/login") == (307, f"{SITE}/dashboard")
    # refreshProfile
    browser.client.table("user_profiles").update({"company_name": "Atoll"}).eq("user_id", session.user.id).execute()
    browser.profile = browser._load_profile()
    assert browser.profile["company_name"] == "Atoll"

    browser.client.auth.sign_out()
    assert browser.session is None and browser.profile is None
    assert browser.open("/dashboard") == (307, f"{SITE}/auth/login")
    browser.client.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert browser.profile["company_name"] == "Atoll"
    assert browser.open("/dashboard") == (200, session.user.id)


def test_the_session_is_there_on_the_next_visit_and_refreshes_itself(server, browser, inbox):
    _, link = sign_up(browser, inbox)
    browser.callback(browser.follow(link))
    first = browser.session
    # Another tab, or the same browser the next day: the session comes from the cookies.
    tab = make_client(server, browser.jar)
    assert tab.auth.get_session().user.id == first.user.id
    tab.auth.refresh_session()
    assert browser.open("/dashboard") == (200, first.user.id)
    # The first tab still holds the token that the other has spent: it is not logged out for it.
    again = browser.client.auth.refresh_session(first.refresh_token).session
    assert again.user.id == first.user.id
    assert browser.client.auth.get_user().user.id == first.user.id
