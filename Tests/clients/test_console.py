# SPDX-License-Identifier: Apache-2.0
"""The web pages in a real browser: accounts, keys, what each may see."""

import time

import pytest

from atoll_server import AtollServer, example_migrations
from console_browser import CONFIG, PASSWORD, Visitor, one_time_code


@pytest.fixture(scope="module")
def server():
    with AtollServer(migrations=example_migrations(), config=CONFIG) as server:
        yield server


@pytest.fixture
def ada(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.close()


@pytest.fixture
def bob(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.close()


def test_signing_up_ends_at_a_home_that_is_ones_own(ada, bob):
    ada.sign_up("Ada")
    assert ada.page.get_by_role("heading", name="Hello, Ada").is_visible()
    assert "No key yet" in ada.page.content()
    ada.store_key("openai", "sk-of-ada")
    assert ada.status() == "The key is stored."
    assert "sk-of-ada" not in ada.page.content()

    bob.sign_up("Bob")
    bob.open("/settings/keys")
    assert "No key yet" in bob.page.content()
    assert ada.tenant() != bob.tenant()

    ada.open("/settings/keys")
    ada.page.get_by_role("button", name="Remove OpenAI").click()
    assert ada.status() == "The key is removed."
    assert "No key yet" in ada.page.content()


def test_protected_pages_lead_to_sign_in_and_back(ada):
    ada.sign_up()
    ada.sign_out()
    assert ada.path == "/"
    ada.open("/usage?days=7&metric=tokens")
    assert ada.path == "/auth/signin?next=/usage%3Fdays%3D7%26metric%3Dtokens"
    ada.sign_in("wrong")
    assert "do not fit together" in ada.alert()
    ada.sign_in()
    assert ada.path == "/usage?days=7&metric=tokens"
    ada.open("/auth/signin")
    assert ada.path == "/dashboard"


def test_the_api_answers_401_where_pages_redirect(ada, server):
    assert ada.context.request.get(server.url + "/api/user/profile").status in (400, 401)
    answer = ada.context.request.get(server.url + "/dashboard", max_redirects=0)
    assert answer.status == 303 and answer.headers["location"] == "/auth/signin?next=/dashboard"


def test_errors_stand_beside_their_fields(ada):
    ada.open("/auth/signup")
    ada.page.get_by_label("E-mail").fill(ada.email)
    ada.page.locator("#password").evaluate("field => field.removeAttribute('minlength')")
    ada.page.get_by_label("Password").fill("12")
    ada.main.get_by_role("button", name="Sign up").click()
    field = ada.page.get_by_label("Password")
    assert field.get_attribute("aria-invalid") == "true"
    assert ada.page.locator("#password-error").is_visible()
    assert ada.page.get_by_label("E-mail").input_value() == ada.email
    assert ada.page.evaluate("document.activeElement.id") == "password"


def test_cookies_are_out_of_reach_of_scripts(ada):
    ada.sign_up()
    assert ada.page.evaluate("document.cookie") == ""
    cookies = {cookie["name"]: cookie for cookie in ada.context.cookies()}
    assert cookies["atoll-access"]["httpOnly"] and cookies["atoll-refresh"]["sameSite"] == "Lax"


def test_a_password_is_changed_and_the_old_one_is_not_taken(ada):
    ada.sign_up()
    ada.open("/settings/security")
    ada.page.get_by_label("Current password").fill("not this one")
    ada.page.get_by_label("New password").fill("another horse battery staple")
    ada.page.get_by_role("button", name="Change password").click()
    assert ada.page.locator("#current_password-error").inner_text() == "That is not your current password."
    ada.page.get_by_label("Current password").fill(PASSWORD)
    ada.page.get_by_label("New password").fill("another horse battery staple")
    ada.page.get_by_role("button", name="Change password").click()
    assert ada.status() == "Password changed."
    ada.sign_out()
    ada.open("/auth/signin")
    ada.sign_in()
    assert ada.path == "/auth/signin"
    ada.sign_in("another horse battery staple")
    assert ada.path == "/dashboard"


def test_a_second_factor_is_added_asked_for_and_removed(ada, browser, server):
    ada.sign_up()
    secret = ada.add_authenticator()
    assert "authenticator is added" in ada.status()
    assert "Two factors" in ada.page.content()

    phone = Visitor(browser, server, email=ada.email)
    phone.open("/auth/signin")
    phone.sign_in()
    assert phone.path == "/auth/mfa?next=/dashboard"
    # The password alone opens nothing.
    phone.open("/settings/keys")
    assert phone.path == "/auth/mfa?next=/settings/keys"
    phone.page.get_by_label("Code").fill("000000")
    phone.page.get_by_role("button", name="Verify").click()
    assert "The code is wrong" in phone.page.locator("#code-error").inner_text()
    # A code counts once: the next one is a step later.
    phone.page.get_by_label("Code").fill(one_time_code(secret, time.time() + 30))
    phone.page.get_by_role("button", name="Verify").click()
    assert phone.path == "/settings/keys"
    phone.open("/settings/security")
    phone.page.get_by_role("button", name="Remove My phone").click()
    assert "second factor is removed" in phone.status()
    phone.close()


def test_other_sessions_are_listed_and_ended(ada, browser, server):
    ada.sign_up()
    elsewhere = Visitor(browser, server, email=ada.email)
    elsewhere.open("/auth/signin")
    elsewhere.sign_in()
    ada.open("/settings/security")
    assert ada.page.locator("#sessions ~ .scroll tbody tr").count() == 2
    assert ada.page.get_by_text("This one").count() == 1
    ada.page.get_by_role("button", name="End", exact=True).click()
    assert ada.status() == "The session is ended."
    elsewhere.open("/dashboard")
    assert elsewhere.path.startswith("/auth/signin")
    elsewhere.close()


def test_a_picture_is_uploaded_shown_and_removed(ada, tmp_path):
    from PIL import Image

    path = tmp_path / "picture.png"
    Image.new("RGB", (64, 64), (10, 120, 110)).save(path)
    ada.sign_up()
    ada.open("/settings")
    ada.page.get_by_label("New picture").set_input_files(path)
    ada.page.get_by_role("button", name="Upload").click()
    assert ada.status() == "Your picture is saved."
    assert ada.page.locator("img.avatar.large").evaluate("image => image.naturalWidth") == 64
    text = tmp_path / "text.png"
    text.write_text("no picture")
    ada.page.get_by_label("New picture").set_input_files({"name": "page.html", "mimeType": "text/html", "buffer": b"<b>"})
    ada.page.get_by_role("button", name="Upload").click()
    assert ada.page.locator(".notice[role=alert]").is_visible()
    ada.open("/settings")
    ada.page.get_by_role("button", name="Remove the picture").click()
    assert ada.status() == "Your picture is removed."
    assert ada.page.locator("img.avatar").count() == 0


def test_another_persons_picture_is_not_shown(ada, bob, server, tmp_path):
    from PIL import Image

    path = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(path)
    ada.sign_up()
    ada.open("/settings")
    ada.page.get_by_label("New picture").set_input_files(path)
    ada.page.get_by_role("button", name="Upload").click()
    address = ada.page.locator("img.avatar.large").get_attribute("src")
    assert ada.context.request.get(server.url + address).status == 200
    bob.sign_up()
    assert bob.context.request.get(server.url + address).status == 404


def test_an_account_is_deleted_after_it_was_typed(ada):
    ada.sign_up()
    ada.open("/settings/account")
    ada.page.get_by_label("Confirm").fill("somebody@example.com")
    ada.main.get_by_label("Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Delete the account").click()
    assert ada.page.locator("#confirmation-error").is_visible()
    ada.page.get_by_label("Confirm").fill(ada.email)
    ada.main.get_by_label("Password").fill("wrong")
    ada.page.get_by_role("button", name="Delete the account").click()
    assert ada.page.locator("#password-error").inner_text() == "That is not your current password."
    ada.page.get_by_label("Confirm").fill(ada.email)
    ada.main.get_by_label("Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Delete the account").click()
    assert ada.status() == "Your account is deleted."
    ada.sign_in()
    assert "do not fit together" in ada.alert()


def test_pages_work_without_scripts(browser, server):
    visitor = Visitor(browser, server, scripts=False)
    visitor.open("/auth/signup")
    visitor.fill_sign_up("Grace")
    assert visitor.path == "/setup"
    visitor.open("/settings/keys")
    visitor.page.get_by_label("Service", exact=True).select_option("anthropic")
    visitor.page.get_by_label("Key", exact=True).fill("k")
    visitor.page.get_by_role("button", name="Store key").click()
    assert visitor.status() == "The key is stored."
    visitor.sign_out()
    assert visitor.path == "/"
    visitor.close()
