# SPDX-License-Identifier: Apache-2.0
"""Sign-in through a real OpenID provider with the official client, and tokens signed with keys that rotate."""

import asyncio
import hashlib
import time

import httpx
import pytest
from supabase import ClientOptions, acreate_client, create_client
from supabase_auth.errors import AuthApiError

from atoll_server import AtollServer
from openid import CLIENT_ID, CLIENT_SECRET, PHONE_CLIENT_ID, OpenIDProvider, browse, fragment_of, query_of
from people import PASSWORD

CONFIG = """
[auth]
site_url = "http://127.0.0.1:3000"
additional_redirect_urls = ["http://127.0.0.1:3000/**"]
enable_manual_linking = true
signing_keys_path = "./signing_keys.json"
[auth.external.keycloak]
enabled = true
client_id = "{clients}"
secret = "{secret}"
url = "{issuer}"
[auth.external.google]
enabled = true
client_id = "{clients}"
secret = "{secret}"
url = "{issuer}"
[auth.third_party.workos]
enabled = true
issuer_url = "{issuer}"
[atoll.auth]
issuer_refresh_pause = "1ms"
"""

WHO = """
create function public.who() returns jsonb language sql stable
as $$ select jsonb_build_object('role', current_user, 'sub', auth.jwt() ->> 'sub', 'email', auth.jwt() ->> 'email') $$;
"""


@pytest.fixture(scope="module")
def provider():
    provider = OpenIDProvider()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def server(provider):
    config = CONFIG.format(
        clients=f"{CLIENT_ID},{PHONE_CLIENT_ID}", secret=CLIENT_SECRET, issuer=provider.issuer
    )
    atoll = AtollServer(migrations={"20260101000000_who.sql": WHO}, config=config)
    provider.start(f"{atoll.url}/auth/v1/callback")
    atoll.command("gen", "signing-key")
    with atoll as server:
        yield server


def client_of(server, flow="pkce"):
    return create_client(server.url, server.status["ANON_KEY"], ClientOptions(flow_type=flow))


def sign_in(server, user, provider="keycloak"):
    client = client_of(server)
    answer = client.auth.sign_in_with_oauth(
        {"provider": provider, "options": {"redirect_to": "http://127.0.0.1:3000/in", "scopes": "profile"}}
    )
    page = browse(answer.url, user)
    assert page.startswith("http://127.0.0.1:3000/in?"), page
    members = query_of(page)
    assert "code" in members, page
    client.auth.exchange_code_for_session({"auth_code": members["code"]})
    return client


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_an_address_the_provider_has_not_verified_takes_nobodys_account(server):
    victim = client_of(server)
    victim.auth.sign_up({"email": "unverified-anna@provider.test", "password": PASSWORD})
    url = client_of(server).auth.sign_in_with_oauth({"provider": "keycloak"}).url
    members = query_of(browse(url, "unverified-anna"))
    assert members["error_code"] == "provider_email_needs_verification"
    assert "code" not in members
    assert client_of(server).auth.sign_in_with_password(
        {"email": "unverified-anna@provider.test", "password": PASSWORD}
    ).user


def test_a_code_is_of_no_use_to_whoever_saw_it(server):
    url = client_of(server).auth.sign_in_with_oauth({"provider": "keycloak"}).url
    code = query_of(browse(url, "carol"))["code"]
    thief = client_of(server)
    thief.auth.sign_in_with_oauth({"provider": "keycloak"})
    with pytest.raises(AuthApiError) as refusal:
        thief.auth.exchange_code_for_session({"auth_code": code})
    assert refusal.value.code == "bad_code_verifier"


def test_an_id_token_for_another_nonce_is_refused(server, provider):
    nonce = hashlib.sha256(b"mine").hexdigest()
    tokens = provider.tokens("dora", nonce=nonce)
    for given in ("other", None):
        credentials = {"provider": "google", "token": tokens["id_token"], "access_token": tokens["access_token"]}
        if given:
            credentials["nonce"] = given
        with pytest.raises(AuthApiError):
            client_of(server).auth.sign_in_with_id_token(credentials)


def test_a_third_partys_token_is_no_user_of_the_project(server, provider):
    token = provider.tokens("erik")["id_token"]
    answer = httpx.get(
        f"{server.url}/auth/v1/user", headers={"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 403
    assert answer.json()["error_code"] == "bad_jwt"


# --- Signing in -------------------------------------------------------------------------------------------------------


def test_sign_in_with_oauth(server):
    client = sign_in(server, "anna")
    session = client.auth.get_session()
    assert session.provider_token
    user = client.auth.get_user().user
    assert user.email == "anna@provider.test"
    assert user.app_metadata["provider"] == "keycloak"
    assert user.user_metadata["full_name"] == "Anna"
    identities = client.auth.get_user_identities().identities
    assert [identity.provider for identity in identities] == ["keycloak"]
    assert client.auth.refresh_session().session.user.id == user.id
    again = sign_in(server, "anna")
    assert again.auth.get_user().user.id == user.id


def test_sign_in_with_oauth_in_the_implicit_flow(server):
    client = client_of(server, flow="implicit")
    page = browse(client.auth.sign_in_with_oauth({"provider": "keycloak"}).url, "fred")
    members = fragment_of(page)
    session = client.auth.set_session(members["access_token"], members["refresh_token"])
    assert session.user.email == "fred@provider.test"


def test_sign_in_with_id_token(server, provider):
    nonce = hashlib.sha256(b"mine").hexdigest()
    tokens = provider.tokens("gina", nonce=nonce)
    session = client_of(server).auth.sign_in_with_id_token(
        {
            "provider": "google",
            "token": tokens["id_token"],
            "access_token": tokens["access_token"],
            "nonce": "mine",
        }
    )
    assert session.user.email == "gina@provider.test"


def test_link_and_unlink_identity(server):
    client = client_of(server)
    client.auth.sign_up({"email": "hugo@example.com", "password": PASSWORD})
    before = client.auth.get_user().user
    answer = client.auth.link_identity({"provider": "keycloak"})
    assert "code=" in browse(answer.url, "hugo")
    identities = client.auth.get_user_identities().identities
    assert sorted(identity.provider for identity in identities) == ["email", "keycloak"]
    linked = next(identity for identity in identities if identity.provider == "keycloak")
    assert linked.user_id == before.id
    client.auth.unlink_identity(linked)
    identities = client.auth.get_user_identities().identities
    assert [identity.provider for identity in identities] == ["email"]
    with pytest.raises(AuthApiError) as refusal:
        client.auth.unlink_identity(identities[0])
    assert refusal.value.code == "single_identity_not_deletable"


def test_the_async_client_signs_in(server):
    async def run():
        client = await acreate_client(server.url, server.status["ANON_KEY"])
        client.auth._flow_type = "pkce"
        url = (await client.auth.sign_in_with_oauth({"provider": "keycloak"})).url
        code = query_of(await asyncio.to_thread(browse, url, "ines"))["code"]
        return await client.auth.exchange_code_for_session({"auth_code": code})

    assert asyncio.run(run()).user.email == "ines@provider.test"


# --- Keys -------------------------------------------------------------------------------------------------------------


def key_ids(server):
    answer = httpx.get(f"{server.url}/auth/v1/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=600"
    for key in answer.json()["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()
    return {key["kid"]: key["alg"] for key in answer.json()["keys"]}


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_get_claims_verifies_with_the_published_keys(server):
    client = sign_in(server, "jana")
    claims = client.auth.get_claims()
    assert claims["claims"]["email"] == "jana@provider.test"
    assert claims["headers"]["alg"] == "ES256"
    assert claims["headers"]["kid"] in key_ids(server)


def test_keys_rotate_while_sessions_go_on(server):
    client = sign_in(server, "kara")
    old = client.auth.get_claims()["headers"]["kid"]
    server.command("gen", "signing-key", "--append", "--algorithm", "RS256")
    until(lambda: len(key_ids(server)) == 2)
    server.command("signing-keys", "rotate")

    def signs_with_the_new_key():
        client.auth.refresh_session()
        return client.auth.get_claims()["headers"]["alg"] == "RS256"

    before = client.auth.get_session().access_token
    until(signs_with_the_new_key)
    # A token of the old key is good until the key is revoked.
    headers = {"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {before}"}
    assert httpx.get(f"{server.url}/auth/v1/user", headers=headers).status_code == 200
    server.command("signing-keys", "revoke", old)
    until(lambda: httpx.get(f"{server.url}/auth/v1/user", headers=headers).status_code == 403)
    assert old not in key_ids(server)
    assert client.auth.get_user().user.email == "kara@provider.test"
    # API keys are signed with the project's secret and stay valid.
    assert create_client(server.url, server.status["SERVICE_ROLE_KEY"]).rpc("who").execute().data["role"] == "service_role"


def test_the_project_describes_itself(server):
    document = httpx.get(f"{server.url}/auth/v1/.well-known/openid-configuration").json()
    assert document["issuer"] == f"{server.url}/auth/v1"
    assert httpx.get(document["jwks_uri"]).status_code == 200


def test_tokens_of_a_third_party_work_and_follow_its_keys(server, provider):
    def who(token):
        return httpx.post(
            f"{server.url}/rest/v1/rpc/who",
            headers={"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {token}"},
        )

    first = provider.tokens("lena")["id_token"]
    answer = who(first)
    assert answer.status_code == 200, answer.text
    assert answer.json()["role"] == "authenticated"
    assert answer.json()["email"] == "lena@provider.test"
    # The new key is taken at its first token; the old one goes on until it is no longer published.
    provider.rotate()
    assert who(provider.tokens("lena")["id_token"]).status_code == 200
    assert who(first).status_code == 200
    provider.rotate(keep=False)
    assert who(provider.tokens("lena")["id_token"]).status_code == 200
    assert who(first).status_code == 401
    assert sign_in(server, "lena").auth.get_user().user.email == "lena@provider.test"
