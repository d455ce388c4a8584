# SPDX-License-Identifier: Apache-2.0
"""Every public method of the official auth client, blocking and asynchronous, and of its administration.

The last test looks the clients' methods up and fails on one that no test here has called.
"""

import asyncio
import base64
import hashlib
import hmac
import inspect
import struct
import time
import uuid

import httpx
import pytest
from supabase_auth import AsyncGoTrueClient, SyncGoTrueClient
from supabase_auth._async.gotrue_admin_api import AsyncGoTrueAdminAPI
from supabase_auth._async.gotrue_admin_mfa_api import AsyncGoTrueAdminMFAAPI
from supabase_auth._async.gotrue_admin_oauth_api import AsyncGoTrueAdminOAuthAPI
from supabase_auth._async.gotrue_mfa_api import AsyncGoTrueMFAAPI
from supabase_auth._sync.gotrue_admin_api import SyncGoTrueAdminAPI
from supabase_auth._sync.gotrue_admin_mfa_api import SyncGoTrueAdminMFAAPI
from supabase_auth._sync.gotrue_admin_oauth_api import SyncGoTrueAdminOAuthAPI
from supabase_auth._sync.gotrue_mfa_api import SyncGoTrueMFAAPI
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from atoll_server import AtollServer
from inbox import Inbox
from openid import CLIENT_ID, CLIENT_SECRET, PHONE_CLIENT_ID, OpenIDProvider, browse, fragment_of, query_of
from people import PASSWORD

CONFIG = """
[auth]
enable_anonymous_sign_ins = true
minimum_password_length = 8
[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
"""

SITE = "http://127.0.0.1:3000"

# A project with mail and external sign-in.
FLOWS_CONFIG = """
[auth]
site_url = "{site}"
enable_manual_linking = true
[auth.email]
enable_confirmations = true
max_frequency = "0s"
[auth.external.google]
enabled = true
client_id = "{clients}"
secret = "{secret}"
url = "{google}"
[auth.external.azure]
enabled = true
client_id = "{clients}"
secret = "{secret}"
url = "{azure}"
"""

driven = set()


async def done(value):
    """The result of a call of either client."""
    return await value if inspect.isawaitable(value) else value


def address(name):
    """An address that nobody else has."""
    return f"{name}-{uuid.uuid4().hex[:8]}@example.com"


class Clients:
    """Makes clients of one kind that note which of their methods are called."""

    def __init__(self, server, kind):
        self.server = server
        self.kind = kind

    def _make(self, key, flow="implicit"):
        make = SyncGoTrueClient if self.kind == "blocking" else AsyncGoTrueClient
        headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        return Noting(make(url=f"{self.server.url}/auth/v1", headers=headers, flow_type=flow), self.kind)

    def visitor(self, flow="implicit"):
        return self._make(self.server.status["ANON_KEY"], flow)

    def administrator(self):
        return self._make(self.server.status["SERVICE_ROLE_KEY"]).admin

    async def signed_up(self):
        client = self.visitor()
        email = address("user")
        answer = await done(client.sign_up({"email": email, "password": PASSWORD}))
        assert answer.session.user.email == email
        return client, answer.session


class Noting:
    """A client whose called methods are remembered."""

    def __init__(self, target, kind):
        self._target, self._kind = target, kind

    def __getattr__(self, name):
        value = getattr(self._target, name)
        if name in ("admin", "mfa", "oauth"):
            return Noting(value, self._kind)
        if callable(value):
            driven.add((self._kind, type(self._target).__name__, name))
        return value


@pytest.fixture(scope="module")
def auth_server():
    with AtollServer(config=CONFIG) as server:
        yield server


@pytest.fixture(scope="module")
def providers():
    """What stands in for Google, and for Microsoft, whose issuers end in a version."""
    providers = {"google": OpenIDProvider(), "azure": OpenIDProvider("tenant/v2.0")}
    yield providers
    for provider in providers.values():
        provider.stop()


@pytest.fixture(scope="module")
def flows_server(providers):
    config = FLOWS_CONFIG.format(
        site=SITE,
        clients=f"{CLIENT_ID},{PHONE_CLIENT_ID}",
        secret=CLIENT_SECRET,
        google=providers["google"].issuer,
        azure=providers["azure"].issuer.removesuffix("/v2.0"),
    )
    atoll = AtollServer(config=config)
    for provider in providers.values():
        provider.start(f"{atoll.url}/auth/v1/callback")
    with atoll as server:
        yield server


KINDS = ["blocking", "asynchronous"]


@pytest.fixture(params=KINDS)
def clients(auth_server, request):
    return Clients(auth_server, request.param)


@pytest.fixture(params=KINDS)
def flow_clients(flows_server, request):
    return Clients(flows_server, request.param)


@pytest.fixture
def inbox(flows_server):
    return Inbox(flows_server)


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
        email = address("made")
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
        factors = admin.mfa
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


def test_the_oauth_server_is_off(clients):
    """Clients of an authorization server are administered where there is one; elsewhere that is told."""

    async def run():
        oauth = clients.administrator().oauth
        client_id = str(uuid.uuid4())
        for call in [
            lambda: oauth.list_clients(),
            lambda: oauth.create_client({"client_name": "App", "redirect_uris": ["https://app.example.com/cb"]}),
            lambda: oauth.get_client(client_id),
            lambda: oauth.update_client(client_id, {"client_name": "App"}),
            lambda: oauth.delete_client(client_id),
            lambda: oauth.regenerate_client_secret(client_id),
        ]:
            with pytest.raises(AuthApiError) as refusal:
                await done(call())
            assert (refusal.value.status, refusal.value.code) == (404, "feature_disabled")

    asyncio.run(run())


# --- Mail -------------------------------------------------------------------------------------------------------------


def test_codes_by_mail(flow_clients, inbox):
    async def run():
        client, email = flow_clients.visitor(), address("mail")
        answer = await done(client.sign_up({"email": email, "password": PASSWORD}))
        assert answer.session is None
        await done(client.resend({"type": "signup", "email": email}))
        confirmation = {"email": email, "token": inbox.code(email, 2), "type": "signup"}
        assert (await done(client.verify_otp(confirmation))).session.user.email == email
        with pytest.raises(AuthApiError) as twice:
            await done(client.verify_otp(confirmation))
        assert twice.value.code == "otp_expired"

        await done(client.reauthenticate())
        new_password = "another " + PASSWORD
        await done(client.update_user({"password": new_password, "nonce": inbox.code(email, 3)}))
        await done(client.sign_out())

        await done(client.sign_in_with_otp({"email": email, "options": {"should_create_user": False}}))
        assert (await done(client.verify_otp({"email": email, "token": inbox.code(email, 4), "type": "email"}))).session
        await done(client.sign_out())
        await done(client.reset_password_for_email(email))
        assert (await done(client.verify_otp({"email": email, "token": inbox.code(email, 5), "type": "recovery"}))).session
        # The older name of the method.
        await done(client.reset_password_email(email))
        inbox.newest(email, 6)
        with pytest.raises(AuthApiError) as unknown:
            await done(
                client.sign_in_with_otp({"email": address("nobody"), "options": {"should_create_user": False}})
            )
        assert unknown.value.code == "otp_disabled"

    asyncio.run(run())


def test_a_link_by_mail_ends_in_a_code_for_the_client_that_asked(flow_clients, inbox):
    async def run():
        client, email = flow_clients.visitor("pkce"), address("link")
        await done(client.sign_in_with_otp({"email": email, "options": {"email_redirect_to": f"{SITE}/in"}}))
        page = httpx.get(inbox.link(email)).headers["location"]
        assert page.startswith(f"{SITE}/in?")
        session = (await done(client.exchange_code_for_session({"auth_code": query_of(page)["code"]}))).session
        assert session.user.email == email
        with pytest.raises(AuthApiError) as twice:
            await done(client.exchange_code_for_session({"auth_code": query_of(page)["code"], "code_verifier": "x" * 43}))
        assert twice.value.code == "flow_state_not_found"

    asyncio.run(run())


def test_invitations_and_links_of_administrators(flow_clients, inbox):
    async def run():
        admin, client = flow_clients.administrator(), flow_clients.visitor()
        email = address("invited")
        assert (await done(admin.invite_user_by_email(email, {"data": {"team": "a"}}))).user.email == email
        page = httpx.get(inbox.link(email)).headers["location"]
        assert fragment_of(page)["type"] == "invite"
        link = await done(admin.generate_link({"type": "magiclink", "email": email}))
        token = link.properties.hashed_token
        assert (await done(client.verify_otp({"token_hash": token, "type": "magiclink"}))).user.email == email

    asyncio.run(run())


# --- External providers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["google", "azure"])
def test_sign_in_at_a_provider(flow_clients, provider):
    async def run():
        client = flow_clients.visitor("pkce")
        user = f"{provider}-{flow_clients.kind}"
        url = (await done(client.sign_in_with_oauth({"provider": provider, "options": {"redirect_to": f"{SITE}/in"}}))).url
        page = browse(url, user)
        assert page.startswith(f"{SITE}/in?code="), page
        session = (await done(client.exchange_code_for_session({"auth_code": query_of(page)["code"]}))).session
        assert session.user.email == f"{user}@provider.test"
        assert session.user.app_metadata["provider"] == provider
        assert session.provider_token

    asyncio.run(run())


def test_a_page_takes_the_session_out_of_its_address(flow_clients):
    """The implicit flow, which the client calls so: the tokens are in the fragment, where its parser looks in the query."""

    async def run():
        client = flow_clients.visitor()
        user = f"implicit-{flow_clients.kind}"
        page = browse((await done(client.sign_in_with_oauth({"provider": "google"}))).url, user)
        assert "#" in page and "access_token" not in page.split("#")[0]
        await done(client.initialize_from_url(page.replace("#", "?")))
        assert (await done(client.get_session())).user.email == f"{user}@provider.test"

    asyncio.run(run())


def test_sign_in_with_an_id_token(flow_clients, providers):
    async def run():
        client = flow_clients.visitor()
        user = f"phone-{flow_clients.kind}"
        tokens = providers["google"].tokens(user, nonce=hashlib.sha256(b"mine").hexdigest())
        credentials = {"provider": "google", "token": tokens["id_token"], "access_token": tokens["access_token"]}
        with pytest.raises(AuthApiError):
            await done(client.sign_in_with_id_token({**credentials, "nonce": "other"}))
        session = (await done(client.sign_in_with_id_token({**credentials, "nonce": "mine"}))).session
        assert session.user.email == f"{user}@provider.test"

    asyncio.run(run())


def test_identities_are_linked_and_unlinked(flow_clients, inbox):
    async def run():
        client, email = flow_clients.visitor("pkce"), address("linked")
        await done(client.sign_in_with_otp({"email": email}))
        await done(client.verify_otp({"email": email, "token": inbox.code(email), "type": "email"}))
        url = (await done(client.link_identity({"provider": "google"}))).url
        assert "code=" in browse(url, f"linked-{flow_clients.kind}")
        identities = (await done(client.get_user_identities())).identities
        assert sorted(identity.provider for identity in identities) == ["email", "google"]
        await done(client.unlink_identity(next(each for each in identities if each.provider == "google")))
        left = (await done(client.get_user_identities())).identities
        assert [identity.provider for identity in left] == ["email"]
        with pytest.raises(AuthApiError) as last:
            await done(client.unlink_identity(left[0]))
        assert last.value.code == "single_identity_not_deletable"

    asyncio.run(run())


# --- The flows of the seeds -------------------------------------------------------------------------------------------


def test_a_person_signs_up_as_the_guide_of_the_app_says(clients):
    """Names and company go along at sign-up; the page follows what the client tells of the session, and keeps others out.

    Sign-in with Google and Microsoft, the guide's other two ways, is `test_sign_in_at_a_provider`.
    """

    async def run():
        client = clients.visitor()
        page = []

        def navigate(event, session):
            if event in ("SIGNED_IN", "SIGNED_OUT"):
                page.append("dashboard" if event == "SIGNED_IN" else "login")
            assert (session is None) == (event == "SIGNED_OUT")

        await done(client.on_auth_state_change(navigate))
        assert await done(client.get_session()) is None
        email = address("hugo")
        data = {"first_name": "Ada", "last_name": "Lovelace", "company": "Analytical"}
        session = (await done(client.sign_up({"email": email, "password": PASSWORD, "options": {"data": data}}))).session
        assert {name: session.user.user_metadata[name] for name in data} == data
        assert (await done(client.get_session())).user.id == session.user.id
        await done(client.update_user({"data": {"company": "Engines"}}))
        assert (await done(client.get_user())).user.user_metadata["company"] == "Engines"
        await done(client.sign_out())
        assert await done(client.get_session()) is None
        with pytest.raises(AuthApiError) as wrong:
            await done(client.sign_in_with_password({"email": email, "password": "wrong " + PASSWORD}))
        assert wrong.value.message == "Invalid login credentials"
        assert (await done(client.sign_in_with_password({"email": email, "password": PASSWORD}))).session is not None
        assert page == ["dashboard", "login", "dashboard"]

    asyncio.run(run())


# --- Completeness -----------------------------------------------------------------------------------------------------


def test_no_method_is_left_out():
    """Runs last: a method that a new version of the client brings fails here until it is driven, by either kind of client."""
    classes = [
        ("blocking", SyncGoTrueClient), ("blocking", SyncGoTrueAdminAPI), ("blocking", SyncGoTrueMFAAPI),
        ("blocking", SyncGoTrueAdminMFAAPI), ("blocking", SyncGoTrueAdminOAuthAPI),
        ("asynchronous", AsyncGoTrueClient), ("asynchronous", AsyncGoTrueAdminAPI), ("asynchronous", AsyncGoTrueMFAAPI),
        ("asynchronous", AsyncGoTrueAdminMFAAPI), ("asynchronous", AsyncGoTrueAdminOAuthAPI),
    ]  # fmt: skip
    missing = [
        f"{cls.__name__}.{name}"
        for kind, cls in classes
        for name, _ in inspect.getmembers(cls, callable)
        if not name.startswith("_") and (kind, cls.__name__, name) not in driven
    ]
    assert not missing
    # The classes are those that a client is made of: none of its parts is left out either.
    for kind, client in [("blocking", SyncGoTrueClient(url="http://x")), ("asynchronous", AsyncGoTrueClient(url="http://x"))]:
        parts = {type(client)}
        waiting = [client]
        while waiting:
            owner = waiting.pop()
            for name, value in vars(owner).items():
                if not name.startswith("_") and type(value).__module__.startswith("supabase_auth."):
                    parts.add(type(value))
                    waiting.append(value)
        assert {cls.__name__ for cls in parts} == {cls.__name__ for each, cls in classes if each == kind}
