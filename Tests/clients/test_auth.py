# SPDX-License-Identifier: Apache-2.0
"""Every public method of the official auth client, blocking and asynchronous, and of its administration."""

import asyncio
import base64
import hashlib
import hmac
import inspect
import pathlib
import struct
import time
import uuid

import httpx
import pytest
from supabase_auth import AsyncGoTrueClient, SyncGoTrueClient
from supabase_auth._async.gotrue_admin_api import AsyncGoTrueAdminAPI
from supabase_auth._async.gotrue_admin_mfa_api import AsyncGoTrueAdminMFAAPI
from supabase_auth._async.gotrue_mfa_api import AsyncGoTrueMFAAPI
from supabase_auth._sync.gotrue_admin_api import SyncGoTrueAdminAPI
from supabase_auth._sync.gotrue_admin_mfa_api import SyncGoTrueAdminMFAAPI
from supabase_auth._sync.gotrue_mfa_api import SyncGoTrueMFAAPI
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from atoll_server import AtollServer
from people import PASSWORD

CONFIG = """
[auth]
enable_anonymous_sign_ins = true
minimum_password_length = 8
[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
"""

# Methods that need a mail or an OpenID provider, by the file that drives them.
ELSEWHERE = {
    "sign_in_with_otp": "test_mail_flows.py",
    "verify_otp": "test_mail_flows.py",
    "resend": "test_mail_flows.py",
    "reset_password_for_email": "test_mail_flows.py",
    "reauthenticate": "test_mail_flows.py",
    "update_user": "test_mail_flows.py",
    "generate_link": "test_mail_flows.py",
    "invite_user_by_email": "test_mail_flows.py",
    "exchange_code_for_session": "test_openid.py",
    "sign_in_with_oauth": "test_openid.py",
    "sign_in_with_id_token": "test_openid.py",
    "link_identity": "test_openid.py",
    "unlink_identity": "test_openid.py",
}

# Older names of methods, which call the newer one.
ALIASES = {"reset_password_email": "reset_password_for_email"}

driven = set()


async def done(value):
    """The result of a call of either client."""
    return await value if inspect.isawaitable(value) else value


class Clients:
    """Makes clients of one kind that note which of their methods are called."""

    def __init__(self, server, kind):
        self.server = server
        self.kind = kind

    def _make(self, key):
        make = SyncGoTrueClient if self.kind == "blocking" else AsyncGoTrueClient
        return Noting(
            make(url=f"{self.server.url}/auth/v1", headers={"apikey": key, "Authorization": f"Bearer {key}"}), self.kind
        )

    def visitor(self):
        return self._make(self.server.status["ANON_KEY"])

    def administrator(self):
        return self._make(self.server.status["SERVICE_ROLE_KEY"]).admin

    async def signed_up(self):
        client = self.visitor()
        email = f"user-{uuid.uuid4().hex[:8]}@example.com"
        answer = await done(client.sign_up({"email": email, "password": PASSWORD}))
        assert answer.session.user.email == email
        return client, answer.session


class Noting:
    """A client whose called methods are remembered."""

    def __init__(self, target, kind):
        self._target, self._kind = target, kind

    def __getattr__(self, name):
        value = getattr(self._target, name)
        if name in ("admin", "mfa", "_admin"):
            return Noting(value, self._kind)
        if callable(value):
            driven.add((self._kind, type(self._target).__name__, name))
        return value


@pytest.fixture(scope="module")
def auth_server():
    with AtollServer(config=CONFIG) as server:
        yield server


@pytest.fixture(params=["blocking", "asynchronous"])
def clients(auth_server, request):
    return Clients(auth_server, request.param)


def code(secret, offset=0):
    """RFC 6238, from the standard library."""
    counter = struct.pack(">Q", int(time.time()) // 30 + offset)
    hash_ = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), counter, hashlib.sha1).digest()
    start = hash_[-1] & 15
    return f"{(struct.unpack('>I', hash_[start:start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_refusals_have_their_codes(clients):
    async def run():
        client, session = await clients.signed_up()
        with pytest.raises(AuthWeakPasswordError) as weak:
            await done(client.sign_up({"email": "weak@example.com", "password": "short"}))
        assert weak.value.reasons == ["length"]
        for call, expected in [
            (lambda: client.sign_up({"email": session.user.email, "password": PASSWORD}), "user_already_exists"),
            (
                lambda: client.sign_in_with_password({"email": session.user.email, "password": "wrong password"}),
                "invalid_credentials",
            ),
            (lambda: client.refresh_session("no such token"), "refresh_token_not_found"),
            (lambda: client.get_user("no.such.token"), "bad_jwt"),
            (lambda: client.sign_in_with_sso({"domain": "example.com"}), "saml_provider_disabled"),
            (lambda: client.admin.list_users(), "not_admin"),
        ]:
            with pytest.raises(AuthApiError) as refusal:
                # The administration of a client with the public key: its bearer token is that key.
                await done(call())
            assert refusal.value.code == expected

    asyncio.run(run())


def test_what_is_for_the_operator_needs_the_secret_key(auth_server):
    url, keys = auth_server.url, auth_server.status
    assert httpx.get(f"{url}/metrics").status_code == 200
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    assert httpx.get(f"{url}/metrics", headers=forwarded).status_code == 401
    assert httpx.get(f"{url}/metrics", headers={"apikey": keys["ANON_KEY"], **forwarded}).status_code == 401
    assert httpx.get(f"{url}/metrics", headers={"apikey": keys["SERVICE_ROLE_KEY"], **forwarded}).status_code == 200
    # Addresses end up in histories and logs: only the public key may stand in one.
    assert httpx.get(f"{url}/auth/v1/settings?apikey={keys['ANON_KEY']}").status_code == 200
    assert httpx.get(f"{url}/auth/v1/settings?apikey={keys['SERVICE_ROLE_KEY']}").status_code == 401


# --- Sessions ---------------------------------------------------------------------------------------------------------


def test_sessions(clients):
    async def run():
        client, session = await clients.signed_up()
        events = []
        subscription = client.on_auth_state_change(lambda event, _: events.append(event))
        subscription = await done(subscription)
        email = session.user.email
        assert (await done(client.get_session())).access_token == session.access_token
        assert (await done(client.get_user())).user.id == session.user.id
        claims = (await done(client.get_claims()))["claims"]
        assert claims["sub"] == session.user.id and claims["aal"] == "aal1" and not claims["is_anonymous"]
        assert (await done(client.get_user_identities())).identities[0].provider == "email"

        again = (await done(client.sign_in_with_password({"email": email, "password": PASSWORD}))).session
        refreshed = (await done(client.refresh_session())).session
        assert refreshed.refresh_token != again.refresh_token
        other = clients.visitor()
        await done(other.initialize_from_storage())
        await done(other.initialize())
        kept = (await done(other.set_session(refreshed.access_token, refreshed.refresh_token))).session
        assert kept.user.id == session.user.id
        with pytest.raises(Exception):
            await done(other.initialize_from_url("http://localhost/?error=access_denied&error_description=no&error_code=x"))

        await done(client.sign_out({"scope": "others"}))
        assert (await done(client.get_user(refreshed.access_token))).user.id == session.user.id
        await done(client.sign_out({"scope": "local"}))
        with pytest.raises(AuthApiError) as ended:
            await done(client.get_user(refreshed.access_token))
        assert ended.value.code == "session_not_found"
        await done(client.sign_out())
        assert "SIGNED_IN" in events and "TOKEN_REFRESHED" in events and "SIGNED_OUT" in events
        subscription.unsubscribe()
        await done(client.close())

    asyncio.run(run())


def test_anonymous_users(clients):
    async def run():
        client = clients.visitor()
        session = (await done(client.sign_in_anonymously({"options": {"data": {"theme": "dark"}}}))).session
        assert session.user.is_anonymous and session.user.user_metadata["theme"] == "dark"
        assert (await done(client.get_claims()))["claims"]["is_anonymous"]

    asyncio.run(run())


def test_second_factors(clients):
    async def run():
        client, _ = await clients.signed_up()
        mfa = client.mfa
        enrolled = await done(mfa.enroll({"factor_type": "totp", "friendly_name": "app", "issuer": "Example"}))
        assert enrolled.totp.qr_code.startswith("data:image/svg+xml;utf-8,<svg")
        level = await done(mfa.get_authenticator_assurance_level())
        assert (level.current_level, level.next_level) == ("aal1", "aal1")
        challenge = await done(mfa.challenge({"factor_id": enrolled.id}))
        with pytest.raises(AuthApiError) as wrong:
            await done(mfa.verify({"factor_id": enrolled.id, "challenge_id": challenge.id, "code": "000000"}))
        assert wrong.value.code == "mfa_verification_failed"
        first = code(enrolled.totp.secret)
        await done(mfa.verify({"factor_id": enrolled.id, "challenge_id": challenge.id, "code": first}))
        assert (await done(mfa.get_authenticator_assurance_level())).current_level == "aal2"
        assert [factor.id for factor in (await done(mfa.list_factors())).totp] == [enrolled.id]
        await done(mfa.challenge_and_verify({"factor_id": enrolled.id, "code": code(enrolled.totp.secret, 1)}))
        assert (await done(mfa.unenroll({"factor_id": enrolled.id}))).id == enrolled.id
        await done(client.refresh_session())
        assert (await done(mfa.get_authenticator_assurance_level())).current_level == "aal1"

    asyncio.run(run())


# --- Administration ---------------------------------------------------------------------------------------------------


def test_administration(clients):
    async def run():
        admin = clients.administrator()
        email = f"made-{uuid.uuid4().hex[:8]}@example.com"
        user = (
            await done(
                admin.create_user(
                    {"email": email, "password": PASSWORD, "email_confirm": True, "user_metadata": {"name": "Ada"}}
                )
            )
        ).user
        assert (await done(admin.get_user_by_id(user.id))).user.email == email
        assert email in [each.email for each in await done(admin.list_users(page=1, per_page=1000))]
        changed = (await done(admin.update_user_by_id(user.id, {"app_metadata": {"plan": "pro"}}))).user
        assert changed.app_metadata["plan"] == "pro" and changed.app_metadata["tenant_id"]

        client = clients.visitor()
        session = (await done(client.sign_in_with_password({"email": email, "password": PASSWORD}))).session
        enrolled = await done(client.mfa.enroll({"factor_type": "totp"}))
        factors = Noting(admin._target.mfa, clients.kind)
        assert [each.id for each in await done(factors.list_factors({"user_id": user.id}))] == [enrolled.id]
        assert (await done(factors.delete_factor({"user_id": user.id, "id": enrolled.id}))).id == enrolled.id

        await done(admin.sign_out(session.access_token))
        with pytest.raises(AuthApiError) as ended:
            await done(client.get_user(session.access_token))
        assert ended.value.code == "session_not_found"
        await done(admin.update_user_by_id(user.id, {"ban_duration": "24h"}))
        with pytest.raises(AuthApiError) as banned:
            await done(client.sign_in_with_password({"email": email, "password": PASSWORD}))
        assert banned.value.code == "user_banned"
        await done(admin.delete_user(user.id, should_soft_delete=True))
        await done(admin.delete_user(user.id))
        with pytest.raises(AuthApiError) as gone:
            await done(admin.get_user_by_id(user.id))
        assert gone.value.status == 404
        await done(admin.close())

    asyncio.run(run())


# --- The flows of the seeds -------------------------------------------------------------------------------------------


def test_a_person_signs_up_as_the_guide_of_the_app_says(clients):
    """Names and company go along at sign-up; the session is there on the next visit; signing out ends it."""

    async def run():
        client = clients.visitor()
        email = f"hugo-{uuid.uuid4().hex[:8]}@example.com"
        data = {"first_name": "Ada", "last_name": "Lovelace", "company": "Analytical"}
        session = (await done(client.sign_up({"email": email, "password": PASSWORD, "options": {"data": data}}))).session
        assert {name: session.user.user_metadata[name] for name in data} == data
        assert (await done(client.get_session())).user.id == session.user.id
        assert (await done(client.get_user())).user.user_metadata["company"] == "Analytical"
        await done(client.sign_out())
        assert await done(client.get_session()) is None
        assert (await done(client.sign_in_with_password({"email": email, "password": PASSWORD}))).session is not None

    asyncio.run(run())


# --- Completeness -----------------------------------------------------------------------------------------------------


def test_no_method_is_left_out():
    """Runs last: a method that a new version of the client brings fails here until it is driven."""
    here = pathlib.Path(__file__).parent
    classes = [
        ("blocking", SyncGoTrueClient), ("blocking", SyncGoTrueAdminAPI), ("blocking", SyncGoTrueMFAAPI),
        ("blocking", SyncGoTrueAdminMFAAPI), ("asynchronous", AsyncGoTrueClient), ("asynchronous", AsyncGoTrueAdminAPI),
        ("asynchronous", AsyncGoTrueMFAAPI), ("asynchronous", AsyncGoTrueAdminMFAAPI),
    ]  # fmt: skip
    missing = []
    for kind, cls in classes:
        for name, _ in inspect.getmembers(cls, callable):
            if name.startswith("_"):
                continue
            name = ALIASES.get(name, name)
            noted = any(note[0] == kind and note[2] == name for note in driven)
            elsewhere = here / ELSEWHERE.get(name, "no such file")
            if name in ELSEWHERE and not elsewhere.is_file():
                pytest.skip(f"{elsewhere.name}, which drives {name}, is not there")
            if not noted and not (elsewhere.is_file() and f".{name}(" in elsewhere.read_text()):
                missing.append(f"{cls.__name__}.{name}")
    assert not missing
