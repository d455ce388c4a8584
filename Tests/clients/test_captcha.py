# SPDX-License-Identifier: Apache-2.0
"""Proof of a human with the official client, checked by a server that speaks as Turnstile and hCaptcha do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from supabase import create_client
from supabase_auth.errors import AuthApiError

from atoll_server import AtollServer
from people import PASSWORD, service

SECRET = "0x-secret-of-the-project"
CONFIG = """
[auth]
enable_anonymous_sign_ins = true
[auth.email]
max_frequency = "0s"
[auth.captcha]
enabled = true
provider = "turnstile"
secret = "env(CAPTCHA_SECRET)"
[atoll.auth]
captcha_url = "http://127.0.0.1:{port}/siteverify"
"""


class SiteVerify(BaseHTTPRequestHandler):
    """A proof counts once, as the providers have it."""

    spent = set()

    def do_POST(self):
        fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        proof = fields["response"][0]
        codes = []
        if fields["secret"] != [SECRET]:
            codes = ["invalid-input-secret"]
        elif not proof.startswith("human-"):
            codes = ["invalid-input-response"]
        elif proof in self.spent:
            codes = ["timeout-or-duplicate"]
        self.spent.add(proof)
        answer = json.dumps({"success": not codes, "error-codes": codes}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    provider = ThreadingHTTPServer(("127.0.0.1", 0), SiteVerify)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    config = CONFIG.format(port=provider.server_address[1])
    try:
        with AtollServer(config=config, environment={"CAPTCHA_SECRET": SECRET}) as server:
            yield server
    finally:
        provider.shutdown()
        provider.server_close()


def test_the_clients_token_is_asked_for_and_counts_once(server):
    auth = create_client(server.url, server.status["ANON_KEY"]).auth
    email = "ada@example.com"
    numbers = iter(range(100))

    def calls(token):
        options = {"options": {"captcha_token": token}} if token else {}
        person = {"email": email, "password": PASSWORD}
        return [
            lambda: auth.sign_up({**person, **options}),
            lambda: auth.sign_in_with_password({**person, **options}),
            lambda: auth.sign_in_with_otp({"email": email, **options}),
            lambda: auth.sign_in_anonymously(options),
            lambda: auth.reset_password_for_email(email, options.get("options", {})),
        ]

    for token in [None, "robot"]:
        for call in calls(token):
            with pytest.raises(AuthApiError) as refusal:
                call()
            assert (refusal.value.status, refusal.value.code) == (400, "captcha_failed")
    for index in range(len(calls("x"))):
        token = f"human-{next(numbers)}"
        calls(token)[index]()
        with pytest.raises(AuthApiError) as twice:
            calls(token)[index]()
        assert twice.value.code == "captcha_failed" and "timeout-or-duplicate" in twice.value.message
    # What has no widget needs none: a refresh, and the project's own back end.
    session = auth.sign_in_with_password({"email": email, "password": PASSWORD, "options": {"captcha_token": "human-x"}})
    assert auth.refresh_session(session.session.refresh_token).session
    assert service(server).auth.sign_in_with_password({"email": email, "password": PASSWORD}).session
    assert SECRET not in server.log and "human-" not in server.log
