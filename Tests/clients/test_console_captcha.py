# SPDX-License-Identifier: Apache-2.0
"""The pages where a proof of a human is asked for, in a real browser with a double of the provider."""

import pytest

from atoll_server import AtollServer
from console_browser import Visitor
from servers.human_provider import Provider

SECRET = "0x-secret-of-the-project"
SITE_KEY = "site-1"
CONFIG = """
[auth.captcha]
enabled = true
provider = "{provider}"
secret = "env(CAPTCHA_SECRET)"
[auth.email]
max_frequency = "0s"
[auth.passkey]
enabled = true
[atoll.auth]
captcha_url = "{url}/siteverify"
{site_key}captcha_site_key = "site-1"
captcha_script_url = "{url}/api.js"
"""
PAGES = ["/", "/auth/signup", "/auth/signin", "/auth/forgot"]


def atoll(provider, name, site_key=""):
    config = CONFIG.format(provider=name, url=provider.url, site_key=site_key)
    return AtollServer(config=config, environment={"CAPTCHA_SECRET": SECRET})


@pytest.fixture(scope="module", params=["turnstile", "hcaptcha"])
def server(request):
    with Provider(SECRET, SITE_KEY) as provider, atoll(provider, request.param) as server:
        server.provider = provider
        yield server


@pytest.fixture
def ada(browser, server):
    visitor = Visitor(browser, server, url=f"http://localhost:{server.api_port}")
    yield visitor
    visitor.close()


def prove(visitor):
    visitor.page.frame_locator("iframe[title='Proof of a human']").get_by_role("button").click()
    visitor.page.wait_for_function(
        "[...document.querySelectorAll('[name$=-response]')].some(field => field.value.includes('human'))"
    )


def test_without_a_proof_nobody_comes_in(ada):
    ada.open("/auth/signup")
    ada.fill_sign_up("Ada")
    assert ada.alert() == "We could not tell that you are no program. Try again."
    assert ada.page.get_by_label("E-mail").input_value() == ada.email
    ada.open("/auth/forgot")
    ada.page.get_by_label("E-mail").fill(ada.email)
    ada.page.get_by_role("button", name="Send a link").click()
    assert "no program" in ada.alert()


def test_people_sign_up_and_in_and_have_their_password_mailed(ada):
    ada.open("/")
    prove(ada)
    ada.fill_sign_up("Ada")
    assert ada.path == "/setup"
    # Pages without the widget allow no script but their own.
    answer = ada.open("/dashboard")
    assert ada.server.provider.url not in answer.headers["content-security-policy"]
    ada.sign_out()

    ada.open("/auth/signin")
    prove(ada)
    ada.sign_in("wrong")
    assert "do not fit together" in ada.alert()
    # The proof is spent with the attempt; the page has another.
    prove(ada)
    ada.sign_in()
    assert ada.path == "/dashboard"

    ada.plug_in("internal", remembers_users=True)
    ada.open("/settings/security")
    ada.page.get_by_role("button", name="Add a passkey").click()
    ada.page.locator(".notice[role=status]").wait_for()
    ada.sign_out()
    ada.open("/auth/signin")
    ada.page.get_by_role("button", name="Use a passkey").click()
    ada.page.get_by_text("We could not tell that you are no program").wait_for()
    prove(ada)
    ada.page.get_by_role("button", name="Use a passkey").click()
    ada.page.wait_for_url(ada.url + "/dashboard")
    ada.sign_out()

    ada.open("/auth/forgot")
    prove(ada)
    ada.page.get_by_label("E-mail").fill(ada.email)
    ada.page.get_by_role("button", name="Send a link").click()
    assert "a mail with a link is on its way" in ada.status()


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_allow_the_provider_and_nobody_else(ada, path):
    answer = ada.open(path)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["script-src"] == f"'self' {ada.server.provider.url}"
    assert policy["frame-src"] == ada.server.provider.url
    assert policy["default-src"] == "'none'" and "unsafe" not in str(policy)
    for scheme in ("light", "dark"):
        ada.page.emulate_media(color_scheme=scheme)
        assert [each for each in ada.violations() if "iframe" not in each] == []


def test_a_server_that_knows_no_site_key_says_so(browser):
    with Provider(SECRET, SITE_KEY) as provider, atoll(provider, "turnstile", site_key="# ") as server:
        visitor = Visitor(browser, server)
        for path in PAGES:
            visitor.open(path)
            assert "captcha_site_key" in visitor.main.inner_text(), path
        visitor.close()
