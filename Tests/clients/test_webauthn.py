# SPDX-License-Identifier: Apache-2.0
"""Security keys as second factors and passkeys, in a real browser with the authenticator it brings for tests."""

import base64
import json
import shutil

import httpx
import pytest
from playwright.sync_api import sync_playwright

from atoll_server import AtollServer
from people import PASSWORD, Person

# Browsers take keys for names, not for numbers, and this one without TLS.
SITE = "http://localhost:3000"
CONFIG = f"""
[auth]
site_url = "{SITE}"
[auth.mfa.web_authn]
enroll_enabled = true
verify_enabled = true
[auth.passkey]
enabled = true
[auth.webauthn]
rp_display_name = "Reef"
"""
CHROMIUM = shutil.which("chromium")

# What supabase-js does with a challenge and the answer.
CREATE = """async options => {
  const made = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey) });
  return made.toJSON();
}"""
REQUEST = """async options => {
  const got = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey) });
  return got.toJSON();
}"""


@pytest.fixture(scope="module")
def server():
    with AtollServer(config=CONFIG) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "no Chromium here: run scripts/setup --test"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Page:
    """A page of the site, with a key in the machine."""

    def __init__(self, browser, site=SITE, protocol="ctap2", remembers_users=False):
        self.context = browser.new_context()
        self.page = self.context.new_page()
        self.page.route(f"{site}/**", lambda route: route.fulfill(body="<title>Reef</title>", content_type="text/html"))
        self.page.goto(f"{site}/security")
        tools = self.context.new_cdp_session(self.page)
        tools.send("WebAuthn.enable")
        options = {"protocol": protocol, "transport": "usb", "automaticPresenceSimulation": True}
        if protocol == "ctap2":
            options.update({"hasUserVerification": True, "isUserVerified": True, "hasResidentKey": remembers_users})
        self.key = tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


class Factor:
    """A factor of a person, over the interface."""

    def __init__(self, server, person):
        self.auth = httpx.Client(
            base_url=f"{server.url}/auth/v1",
            headers={"apikey": server.status["ANON_KEY"], **person.headers},
        )
        enrolled = self.auth.post("/factors", json={"factor_type": "webauthn", "friendly_name": "key"})
        assert enrolled.status_code == 200, enrolled.text
        self.path = f"/factors/{enrolled.json()['id']}"

    def sign_in_again(self, person):
        session = self.auth.post("/token?grant_type=password", json={"email": person.email, "password": PASSWORD}).json()
        self.auth.headers["Authorization"] = f"Bearer {session['access_token']}"

    def challenge(self):
        answer = self.auth.post(f"{self.path}/challenge", json={})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def verify(self, challenge, response):
        body = {
            "challenge_id": challenge["id"],
            "webauthn": {"type": challenge["webauthn"]["type"], "credential_response": response},
        }
        return self.auth.post(f"{self.path}/verify", json=body)


def level(session):
    """`aal` of an access token, unverified."""
    claims = session.json()["access_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["aal"]


def test_a_page_of_another_origin_cannot_use_the_key(server, browser):
    factor = Factor(server, Person(server, "mallory"))
    page = Page(browser, site="http://localhost:3001")
    challenge = factor.challenge()
    response = page.page.evaluate(CREATE, challenge["webauthn"]["credential_options"])
    refused = factor.verify(challenge, response)
    assert (refused.status_code, refused.json()["error_code"]) == (422, "mfa_verification_failed")


@pytest.mark.parametrize("protocol", ["ctap2", "u2f"])
def test_a_key_is_added_and_proved(server, browser, protocol):
    person = Person(server, protocol)
    factor, page = Factor(server, person), Page(browser, protocol=protocol)
    challenge = factor.challenge()
    assert challenge["webauthn"]["credential_options"]["publicKey"]["rp"] == {"id": "localhost", "name": "Reef"}
    created = factor.verify(challenge, page.page.evaluate(CREATE, challenge["webauthn"]["credential_options"]))
    assert created.status_code == 200, created.text
    assert level(created) == "aal2"
    for _ in range(2):
        factor.sign_in_again(person)
        challenge = factor.challenge()
        response = page.page.evaluate(REQUEST, challenge["webauthn"]["credential_options"])
        proved = factor.verify(challenge, response)
        assert proved.status_code == 200, proved.text
        assert level(proved) == "aal2"
        # Its answer is to one challenge.
        factor.sign_in_again(person)
        again = factor.verify(factor.challenge(), response)
        assert again.json()["error_code"] == "mfa_verification_failed"


def test_a_passkey_signs_in_without_a_name(server, browser):
    person = Person(server, "reef")
    page = Page(browser, remembers_users=True)
    auth = httpx.Client(base_url=f"{server.url}/auth/v1", headers={"apikey": server.status["ANON_KEY"]})
    given = auth.post("/passkeys/registration/options", headers=person.headers).json()
    made = page.page.evaluate(CREATE, {"publicKey": given["options"]})
    body = {"challenge_id": given["challenge_id"], "credential": made}
    added = auth.post("/passkeys/registration/verify", json=body, headers=person.headers)
    assert added.status_code == 200, added.text

    for _ in range(2):
        asked = auth.post("/passkeys/authentication/options").json()
        got = page.page.evaluate(REQUEST, {"publicKey": asked["options"]})
        body = {"challenge_id": asked["challenge_id"], "credential": got}
        session = auth.post("/passkeys/authentication/verify", json=body)
        assert session.status_code == 200, session.text
        assert session.json()["user"]["email"] == person.email
        assert level(session) == "aal1"
        again = auth.post("/passkeys/authentication/verify", json=body)
        assert again.json()["error_code"] == "webauthn_challenge_not_found"

    passkeys = auth.get("/passkeys", headers=person.headers).json()
    assert [each["id"] for each in passkeys] == [added.json()["id"]] and passkeys[0]["last_used_at"]
    assert auth.delete(f"/passkeys/{passkeys[0]['id']}", headers=person.headers).status_code == 204
    asked = auth.post("/passkeys/authentication/options").json()
    got = page.page.evaluate(REQUEST, {"publicKey": asked["options"]})
    refused = auth.post("/passkeys/authentication/verify", json={"challenge_id": asked["challenge_id"], "credential": got})
    assert refused.json()["error_code"] == "webauthn_verification_failed"
