# SPDX-License-Identifier: Apache-2.0
"""Passkeys, security keys and phones in a real browser, with the authenticator it brings for tests and a double of the sender of messages."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from atoll_server import AtollServer
from console_browser import Visitor

CONFIG = """
[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
[auth.mfa.web_authn]
enroll_enabled = true
verify_enabled = true
[auth.mfa.phone]
enroll_enabled = true
verify_enabled = true
max_frequency = "1s"
[auth.passkey]
enabled = true
[auth.sms.twilio]
enabled = true
account_sid = "AC1"
message_service_sid = "MG1"
auth_token = "env(TWILIO_TOKEN)"
[atoll.auth]
sms_base_url = "http://127.0.0.1:{port}"
"""
# Whoever is asked for a key, and closes the prompt.
CANCEL = "() => { navigator.credentials.create = async () => { throw new DOMException('', 'NotAllowedError') } }"


class Sender(BaseHTTPRequestHandler):
    """Takes messages as Twilio does, except to numbers that end in 0000."""

    sent = []

    def do_POST(self):
        fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        refused = fields["To"][0].endswith("0000")
        if not refused:
            self.sent.append((fields["To"][0], fields["Body"][0]))
        answer = b'{"sid": "SM1", "status": "queued"}'
        self.send_response(400 if refused else 201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def atoll():
    sender = ThreadingHTTPServer(("127.0.0.1", 0), Sender)
    threading.Thread(target=sender.serve_forever, daemon=True).start()
    config = CONFIG.replace("{port}", str(sender.server_port))
    with AtollServer(config=config, environment={"TWILIO_TOKEN": "t"}) as server:
        yield server
    sender.shutdown()
    sender.server_close()


@pytest.fixture
def somebody(browser, atoll):
    """Makes people at browsers of their own, and says goodbye to them."""
    made = []

    def make(email=None, **options):
        visitor = Visitor(browser, atoll, email=email, url=f"http://localhost:{atoll.api_port}", **options)
        made.append(visitor)
        return visitor

    yield make
    for visitor in made:
        visitor.close()


def add_passkey(visitor, name="My laptop"):
    visitor.open("/settings/security")
    visitor.page.get_by_label("Name of the passkey").fill(name)
    visitor.page.get_by_role("button", name="Add a passkey").click()
    expect(visitor.page.locator(".notice[role=status]")).to_contain_text("passkey is added")


def add_security_key(visitor, name="Key ring"):
    visitor.open("/settings/security")
    visitor.page.get_by_label("Name of the security key").fill(name)
    visitor.page.get_by_role("button", name="Add a security key").click()
    expect(visitor.page.locator(".notice[role=status]")).to_contain_text("security key is added")


def problem(visitor):
    """What a form says when a key did not answer."""
    shown = visitor.page.locator("[data-problem]:visible")
    shown.wait_for()
    return shown.inner_text()


def use_passkey(visitor):
    visitor.open("/auth/signin?next=/usage")
    visitor.page.get_by_role("button", name="Use a passkey").click()


def code(number):
    """The latest code that was sent to a number."""
    return re.search(r"\d{6}", [body for to, body in Sender.sent if to == number][-1]).group(0)


def test_a_passkey_signs_in_and_is_renamed_and_removed(somebody):
    ada = somebody().sign_up("Ada")
    ada.plug_in("internal", remembers_users=True)
    ada.open("/settings/security")
    assert "No passkey yet" in ada.main.inner_text()
    add_passkey(ada)
    # One key is added once.
    ada.page.get_by_role("button", name="Add a passkey").click()
    assert problem(ada) == "This key is registered already."

    ada.sign_out()
    use_passkey(ada)
    ada.page.wait_for_url(ada.url + "/usage")
    ada.open("/settings/security")
    ada.page.get_by_label("Name of My laptop").fill("Old laptop")
    ada.page.get_by_role("button", name="Rename My laptop").click()
    assert ada.status() == "The passkey has its new name."
    ada.page.get_by_role("button", name="Remove Old laptop").click()
    assert ada.status() == "The passkey is removed."
    ada.sign_out()
    use_passkey(ada)
    expect(ada.page.locator(".notice[role=alert]")).to_have_text("The key was not accepted. Try again.")
    assert ada.path == "/auth/passkey"


def test_a_passkey_is_named_after_its_browser(somebody):
    ada = somebody().sign_up("Ada")
    ada.plug_in("internal", remembers_users=True)
    add_passkey(ada, "")
    assert ada.page.get_by_label("Name of Chrome on Linux").is_visible()


def test_a_key_that_does_not_answer_is_told_beside_its_button(somebody):
    ada = somebody().sign_up("Ada")
    ada.open("/settings/security")
    ada.page.evaluate(CANCEL)
    ada.page.get_by_role("button", name="Add a passkey").click()
    assert "cancelled" in problem(ada)
    assert ada.page.get_by_role("button", name="Add a passkey").is_enabled()


def test_a_security_key_is_asked_for_at_sign_in(somebody):
    ada = somebody().sign_up("Ada")
    ada.plug_in()
    # A prompt that was cancelled is in the way of nothing.
    ada.open("/settings/security")
    ada.page.evaluate(CANCEL)
    ada.page.get_by_label("Name of the security key").fill("Key ring")
    ada.page.get_by_role("button", name="Add a security key").click()
    assert "cancelled" in problem(ada)
    add_security_key(ada)
    assert "Two factors" in ada.main.inner_text()

    ada.sign_out()
    ada.open("/auth/signin?next=/settings/keys")
    ada.sign_in()
    assert ada.path == "/auth/mfa?next=/settings/keys"
    # The password alone opens nothing.
    ada.open("/settings/security")
    assert ada.path == "/auth/mfa?next=/settings/security"
    assert ada.violations() == []
    ada.keep("auth-mfa")
    ada.page.get_by_role("button", name="Use your security key").click()
    ada.page.wait_for_url(ada.url + "/settings/security")

    # Another machine, another key.
    elsewhere = somebody(email=ada.email)
    elsewhere.plug_in()
    elsewhere.open("/auth/signin")
    elsewhere.sign_in()
    elsewhere.page.get_by_role("button", name="Use your security key").click()
    assert "No key answered" in problem(elsewhere)
    assert elsewhere.path.startswith("/auth/mfa")

    ada.page.get_by_role("button", name="Remove Key ring").click()
    assert ada.status() == "The second factor is removed."


def test_a_passkey_does_not_go_past_the_second_factor(somebody):
    ada = somebody().sign_up("Ada")
    ada.plug_in("internal", remembers_users=True)
    add_passkey(ada)
    ada.add_authenticator()
    ada.sign_out()
    use_passkey(ada)
    ada.page.wait_for_url(ada.url + "/auth/mfa?next=/usage")


def test_codes_are_sent_to_a_phone(somebody):
    ada = somebody().sign_up("Ada")
    ada.open("/settings/security")
    for number, said in [("12345678a", None), ("+49 170 0000", "could not be sent"), ("012345678", "country code")]:
        ada.page.get_by_label("Name of the phone").fill("Mobile")
        ada.page.get_by_label("Phone number").fill(number)
        ada.page.get_by_role("button", name="Add a phone").click()
        if said:
            assert said in ada.page.locator("#phone-error").inner_text(), number
    ada.page.get_by_label("Name of the phone").fill("Mobile")
    ada.page.get_by_label("Phone number").fill("+49 170 1234567")
    ada.page.get_by_role("button", name="Add a phone").click()
    assert "number ending in 4567" in ada.main.inner_text()
    assert ada.violations() == []
    ada.page.get_by_label("Code").fill("000000")
    ada.page.get_by_role("button", name="Verify").click()
    assert ada.page.locator("#code-error").inner_text() == "The code is wrong, or was used before."
    ada.page.get_by_label("Code").fill(code("+491701234567"))
    ada.page.get_by_role("button", name="Verify").click()
    assert "phone is added" in ada.status()
    assert "···4567" in ada.main.inner_text()

    ada.sign_out()
    ada.open("/auth/signin")
    ada.sign_in()
    ada.page.get_by_role("button", name="Send a code").click()
    ada.page.get_by_label("Code").fill(code("+491701234567"))
    ada.page.get_by_role("button", name="Verify").click()
    assert ada.path == "/dashboard"


def test_one_of_several_factors_is_chosen(somebody):
    ada = somebody().sign_up("Ada")
    ada.plug_in()
    ada.add_authenticator()
    add_security_key(ada)
    ada.sign_out()
    ada.open("/auth/signin")
    ada.sign_in()
    assert ada.page.get_by_role("button", name="Use your security key").is_visible()
    ada.page.get_by_role("link", name="My phone").click()
    assert ada.page.get_by_label("Code").is_visible()
    ada.page.get_by_role("link", name="Key ring").click()
    ada.page.get_by_role("button", name="Use your security key").click()
    ada.page.wait_for_url(ada.url + "/dashboard")


def test_without_scripts_the_pages_say_that_keys_need_them(somebody):
    ada = somebody(scripts=False)
    ada.open("/auth/signin")
    assert "Keys need scripts" in ada.main.inner_text()
    assert not ada.page.get_by_role("button", name="Use a passkey").is_visible()


def test_another_persons_keys_are_out_of_reach(somebody, atoll):
    """The ids of one person in the forms of another: refused by Auth, whose word the page passes on."""
    ada = somebody().sign_up("Ada")
    ada.plug_in("internal", remembers_users=True)
    add_passkey(ada)
    add_security_key(ada)
    passkey = ada.page.locator("[name=passkey]").first.get_attribute("value")
    factor = ada.page.locator("form[action='/settings/factors/remove'] [name=factor]").get_attribute("value")
    bob = somebody().sign_up("Bob")
    bob.open("/settings/security")
    token = bob.page.locator("[name=form_token]").first.get_attribute("value")
    for path, field, value in [
        ("/settings/passkeys/remove", "passkey", passkey),
        ("/settings/passkeys/rename", "passkey", passkey),
        ("/settings/factors/remove", "factor", factor),
        ("/settings/factors/verify", "factor", factor),
    ]:
        form = {"form_token": token, field: value, "passkey_name": "mine", "code": "000000"}
        assert bob.context.request.post(bob.url + path, form=form, max_redirects=0).status in (403, 404), path
    ada.open("/settings/security")
    assert ada.page.get_by_label("Name of My laptop").is_visible() and "Key ring" in ada.main.inner_text()
