# SPDX-License-Identifier: Apache-2.0
"""Mail flows with the official clients, sync and async, and mail read from the catcher."""

import asyncio
import re

import httpx
import pytest
from supabase import AuthApiError, ClientOptions, create_async_client, create_client

from atoll_server import AtollServer
from inbox import Inbox

CONFIG = """
[auth]
site_url = "http://127.0.0.1:3000"
additional_redirect_urls = ["https://app.example.com/**"]
[auth.email]
enable_confirmations = true
max_frequency = "0s"
[auth.email.template.recovery]
subject = "Recover {{ .Email }}"
content_path = "./supabase/templates/recovery.html"
[auth.sms]
enable_signup = true
enable_confirmations = true
max_frequency = "0s"
[auth.sms.test_otp]
4366012345678 = "123456"
"""
TEMPLATE = """<p>Hello {{ if .Data.name }}{{ .Data.name }}{{ else }}you{{ end }}</p>
<p><a href="{{ .SiteURL }}/reset?token_hash={{ .TokenHash }}&type=recovery&next={{ .RedirectTo }}">Reset</a></p>
"""


@pytest.fixture(scope="module")
def atoll():
    server = AtollServer(config=CONFIG)
    templates = server.folder / "supabase" / "templates"
    templates.mkdir()
    (templates / "recovery.html").write_text(TEMPLATE)
    with server:
        yield server


@pytest.fixture
def client(atoll):
    return create_client(atoll.url, atoll.status["ANON_KEY"])


@pytest.fixture
def admin(atoll):
    return create_client(atoll.url, atoll.status["SERVICE_ROLE_KEY"])


@pytest.fixture
def inbox(atoll):
    return Inbox(atoll)


def test_sign_up_is_confirmed_by_code(client, inbox):
    email = "code@example.com"
    answer = client.auth.sign_up({"email": email, "password": "correct horse", "options": {"data": {"name": "Ann"}}})
    assert answer.session is None and answer.user.email == email
    with pytest.raises(AuthApiError, match="Email not confirmed"):
        client.auth.sign_in_with_password({"email": email, "password": "correct horse"})
    session = client.auth.verify_otp({"email": email, "token": inbox.code(email), "type": "email"}).session
    assert session.user.email_confirmed_at is not None
    assert client.auth.get_user().user.user_metadata["name"] == "Ann"


def test_sign_up_again_is_answered_alike(client, inbox):
    email = "again@example.com"
    first = client.auth.sign_up({"email": email, "password": "correct horse"})
    client.auth.verify_otp({"email": email, "token": inbox.code(email), "type": "signup"})
    client.auth.sign_out()
    second = client.auth.sign_up({"email": email, "password": "correct horse"})
    assert second.session is None and second.user.id != first.user.id
    assert second.user.identities == []


def test_the_link_ends_in_a_code_for_the_client_that_asked(client, inbox):
    email = "pkce@example.com"
    client.auth.sign_up({"email": email, "password": "correct horse"})
    answer = httpx.get(inbox.link(email), follow_redirects=False)
    assert answer.status_code == 303
    code = httpx.URL(answer.headers["location"]).params["code"]
    session = client.auth.exchange_code_for_session({"auth_code": code, "code_verifier": "", "redirect_to": ""})
    assert session.user.email == email


def test_the_link_ends_in_the_browser(atoll, inbox):
    client = create_client(atoll.url, atoll.status["ANON_KEY"], ClientOptions(flow_type="implicit"))
    email = "link@example.com"
    client.auth.sign_up(
        {"email": email, "password": "correct horse", "options": {"email_redirect_to": "https://app.example.com/in"}}
    )
    answer = httpx.get(inbox.link(email), follow_redirects=False)
    assert answer.status_code == 303
    location = httpx.URL(answer.headers["location"])
    assert location.host == "app.example.com" and location.path == "/in"
    values = dict(pair.split("=", 1) for pair in location.fragment.split("&"))
    assert values["type"] == "signup"
    client.auth.set_session(values["access_token"], values["refresh_token"])
    assert client.auth.get_user().user.email == email


def test_magic_link_and_otp(client, inbox):
    email = "magic@example.com"
    client.auth.sign_in_with_otp({"email": email})
    assert client.auth.verify_otp({"email": email, "token": inbox.code(email), "type": "email"}).user.email == email
    client.auth.sign_out()
    client.auth.sign_in_with_otp({"email": email, "options": {"should_create_user": False}})
    code = inbox.code(email, 2)
    assert client.auth.verify_otp({"email": email, "token": code, "type": "magiclink"}).session
    with pytest.raises(AuthApiError):
        client.auth.verify_otp({"email": email, "token": code, "type": "magiclink"})
    with pytest.raises(AuthApiError, match="Signups not allowed for otp"):
        client.auth.sign_in_with_otp({"email": "nobody@example.com", "options": {"should_create_user": False}})


def test_recovery_with_the_projects_template(client, inbox):
    email = "recover@example.com"
    client.auth.sign_up({"email": email, "password": "correct horse", "options": {"data": {"name": "<b>Ann</b>"}}})
    client.auth.verify_otp({"email": email, "token": inbox.code(email), "type": "signup"})
    client.auth.sign_out()
    client.auth.reset_password_for_email(email, {"redirect_to": "https://app.example.com/a?b=c"})
    client.auth.reset_password_for_email("unknown@example.com")
    mail = inbox.newest(email, 2)
    assert mail["Subject"] == f"Recover {email}"
    assert "Hello &lt;b&gt;Ann&lt;/b&gt;" in mail["HTML"]
    assert "next=https%3a%2f%2fapp.example.com%2fa%3fb%3dc" in mail["HTML"]
    token = re.search(r"token_hash=([0-9a-z_]+)", mail["HTML"]).group(1)
    assert client.auth.verify_otp({"token_hash": token, "type": "recovery"}).session
    client.auth.update_user({"password": "a new password"})
    client.auth.sign_out()
    assert client.auth.sign_in_with_password({"email": email, "password": "a new password"}).session


def test_change_of_address_is_confirmed_at_both(atoll, client, inbox):
    old, new = "old@example.com", "new@example.com"
    client.auth.sign_up({"email": old, "password": "correct horse"})
    client.auth.verify_otp({"email": old, "token": inbox.code(old), "type": "signup"})
    client.auth.update_user({"email": new})
    client.auth.resend({"type": "email_change", "email": old})
    current_code, new_code = inbox.code(old, 3), inbox.code(new, 2)
    httpx.post(
        f"{atoll.url}/auth/v1/verify",
        headers={"apikey": client.supabase_key},
        json={"type": "email_change", "email": old, "token": current_code},
    ).raise_for_status()
    answer = client.auth.verify_otp({"email": new, "token": new_code, "type": "email_change"})
    assert answer.user.email == new


def test_reauthentication_sends_a_code(client, inbox):
    email = "nonce@example.com"
    client.auth.sign_up({"email": email, "password": "correct horse"})
    client.auth.verify_otp({"email": email, "token": inbox.code(email), "type": "signup"})
    client.auth.reauthenticate()
    nonce = inbox.code(email, 2)
    client.auth.update_user({"password": "a new password", "nonce": nonce})


def test_phone_with_a_test_number(client):
    client.auth.sign_in_with_otp({"phone": "+4366012345678"})
    answer = client.auth.verify_otp({"phone": "+4366012345678", "token": "123456", "type": "sms"})
    assert answer.user.phone == "4366012345678"


def test_invitation_and_generated_links(admin, client, inbox):
    email = "invited@example.com"
    invited = admin.auth.admin.invite_user_by_email(email, {"data": {"team": "a"}})
    assert invited.user.email == email
    assert httpx.get(inbox.link(email), follow_redirects=False).status_code == 303
    link = admin.auth.admin.generate_link({"type": "magiclink", "email": email})
    assert link.properties.verification_type == "magiclink"
    assert client.auth.verify_otp({"token_hash": link.properties.hashed_token, "type": "magiclink"}).session
    made = admin.auth.admin.generate_link(
        {"type": "signup", "email": "made@example.com", "password": "correct horse"}
    )
    code = made.properties.email_otp
    assert client.auth.verify_otp({"email": "made@example.com", "token": code, "type": "signup"}).session


def test_the_async_client(atoll, inbox):
    async def run():
        client = await create_async_client(atoll.url, atoll.status["ANON_KEY"])
        email = "async@example.com"
        await client.auth.sign_up({"email": email, "password": "correct horse"})
        await client.auth.resend({"type": "signup", "email": email})
        code = inbox.code(email, 2)
        assert (await client.auth.verify_otp({"email": email, "token": code, "type": "signup"})).session
        await client.auth.sign_out()
        await client.auth.sign_in_with_otp({"email": email})
        code = inbox.code(email, 3)
        assert (await client.auth.verify_otp({"email": email, "token": code, "type": "email"})).session
        await client.auth.reset_password_for_email(email)
        inbox.newest(email, 4)

    asyncio.run(run())


def test_the_catchers_page_and_api(atoll, client, inbox):
    client.auth.sign_in_with_otp({"email": "page@example.com"})
    mail = inbox.newest("page@example.com")
    page = inbox.api.get("/")
    assert "page@example.com" in page.text and "script" not in page.text.lower()
    shown = inbox.api.get(f"/view/{mail['ID']}")
    assert "sandbox" in shown.text and shown.headers["content-security-policy"].startswith("default-src 'none'")
    raw = inbox.api.get(f"/api/v1/message/{mail['ID']}/raw").text
    assert "Message-ID: <" in raw and "multipart/alternative" in raw
    headers = inbox.api.get(f"/api/v1/message/{mail['ID']}/headers").json()
    assert headers["To"] == ["page@example.com"]
    assert inbox.api.request("DELETE", "/api/v1/messages", json={"IDs": [mail["ID"]]}).text == "ok"
    assert inbox.api.get(f"/api/v1/message/{mail['ID']}").status_code == 404
    assert inbox.api.get("/", headers={"host": "evil.example"}).status_code == 403


def test_no_secret_is_logged(atoll, client, inbox):
    email = "secret@example.com"
    client.auth.sign_in_with_otp({"email": email})
    mail = inbox.newest(email)
    code = re.search(r"code: (\d+)", mail["Text"]).group(1)
    token = re.search(r"token=([0-9a-z_]+)", mail["Text"]).group(1)
    httpx.get(f"{atoll.url}/auth/v1/verify", params={"token": token, "type": "magiclink"})
    httpx.get(f"{atoll.url}/auth/v1/verify", params={"token": token, "type": "magiclink"})
    log = atoll.log
    assert token not in log and f"={code}" not in log and "access_token" not in log
