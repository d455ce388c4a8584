# SPDX-License-Identifier: Apache-2.0
"""Forms that meet something else than they were made for: nothing typed is lost, and nothing happens to somebody else."""

import pytest

from atoll_server import AtollServer, example_migrations
from console_browser import CONFIG, Visitor


@pytest.fixture(scope="module")
def server():
    with AtollServer(migrations=example_migrations(), config=CONFIG) as server:
        yield server


@pytest.fixture(params=["scripts", "no scripts"])
def ada(browser, server, request):
    visitor = Visitor(browser, server, scripts=request.param == "scripts").sign_up("Ada")
    yield visitor
    visitor.close()


@pytest.fixture
def eve(browser, server):
    visitor = Visitor(browser, server).sign_up("Eve")
    yield visitor
    visitor.close()


def forget(visitor):
    """The session ends without the visitor's doing."""
    for name in ("atoll-access", "atoll-refresh"):
        visitor.context.clear_cookies(name=name)


def new_tab(visitor, click):
    with visitor.context.expect_page() as opened:
        click.click()
    opened.value.wait_for_load_state()
    return opened.value


def make_team(visitor, name):
    visitor.open("/settings/team")
    visitor.page.get_by_label("Name of the team").fill(name)
    visitor.page.get_by_role("button", name="Make the team").click()
    assert visitor.status() == "The team is made. Invite its members."


def rename(page, name):
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Rename").click()


def test_what_was_typed_outlives_the_session(ada):
    ada.open("/settings")
    ada.page.get_by_label("Company").fill('Ada & "Söhne" <b>\u202e')
    forget(ada)
    ada.page.get_by_role("button", name="Save profile").click()
    assert ada.page.get_by_role("heading", name="Not sent yet").is_visible()
    assert ada.violations() == [] if ada.scripts else True
    # Sent too early, it is kept all the same.
    ada.page.get_by_role("button", name="Send it again").click()
    tab = new_tab(ada, ada.page.get_by_role("link", name="Sign in in a new tab"))
    tab.get_by_label("E-mail").fill(ada.email)
    tab.get_by_label("Password").fill("correct horse battery staple")
    tab.get_by_role("main").get_by_role("button", name="Sign in").click()
    assert "waits in the other tab" in tab.locator(".notice[role=status]").inner_text()
    ada.page.get_by_role("button", name="Send it again").click()
    assert ada.status() == "Your profile is saved."
    assert ada.page.get_by_label("Company").input_value() == 'Ada & "Söhne" <b>\u202e'


def test_a_secret_is_not_sent_back(ada):
    ada.open("/settings/keys")
    forget(ada)
    ada.page.get_by_label("Key", exact=True).fill("sk-very-secret")
    ada.page.get_by_role("button", name="Store key").click()
    assert ada.path == "/auth/signin?next=/settings/keys"
    assert "sk-very-secret" not in ada.page.content()
    ada.sign_in()
    assert ada.path == "/settings/keys"


def test_a_form_of_one_tenant_does_nothing_in_another(ada):
    ada.open("/settings/team")
    rename(ada.page, "Ada's own")
    other = ada.context.new_page()
    other.goto(f"{ada.url}/settings/team")
    other.get_by_label("Name of the team").fill("Second")
    other.get_by_role("button", name="Make the team").click()
    # This tab still shows the first tenant.
    rename(ada.page, "Renamed")
    assert "You work in Second now, and this form is of Ada's own" in ada.alert()
    other.goto(f"{ada.url}/settings/team")
    assert other.get_by_label("Name", exact=True).input_value() == "Second"
    new_tab(ada, ada.page.get_by_role("button", name="Switch in a new tab"))
    ada.page.get_by_role("button", name="Send it again").click()
    assert ada.status() == "The tenant has its new name."
    assert ada.page.get_by_label("Name", exact=True).input_value() == "Renamed"


def test_what_concerns_the_person_alone_goes_on_in_any_tenant(ada):
    ada.open("/settings")
    other = ada.context.new_page()
    other.goto(f"{ada.url}/settings/team")
    other.get_by_label("Name of the team").fill("Third")
    other.get_by_role("button", name="Make the team").click()
    ada.page.get_by_label("Name", exact=True).fill("Ada L.")
    ada.page.get_by_role("button", name="Save profile").click()
    assert ada.status() == "Your profile is saved."


def test_a_form_of_one_person_does_nothing_to_another(ada, eve):
    ada.open("/settings")
    ada.page.get_by_label("Company").fill("Ada's")
    forget(ada)
    tab = ada.context.new_page()
    tab.goto(f"{ada.url}/auth/signin")
    tab.get_by_label("E-mail").fill(eve.email)
    tab.get_by_label("Password").fill("correct horse battery staple")
    tab.get_by_role("main").get_by_role("button", name="Sign in").click()
    ada.page.get_by_role("button", name="Save profile").click()
    assert "of another account" in ada.alert()
    eve.open("/settings")
    assert eve.page.get_by_label("Company").input_value() == ""


def test_statements_outlive_the_operators_hour(browser, server):
    visitor = Visitor(browser, server)
    key = server.status["SERVICE_ROLE_KEY"]
    visitor.open("/admin/sql")
    visitor.page.get_by_label("Secret key").fill(key)
    visitor.page.get_by_role("button", name="Sign in").click()
    statement = "select 'kept <i>' as what,\n  2 as second"
    visitor.page.get_by_label("Statements", exact=True).fill(statement)
    visitor.context.clear_cookies(name="atoll-operator")
    visitor.page.get_by_role("button", name="Run").click()
    tab = new_tab(visitor, visitor.page.get_by_role("link", name="Sign in in a new tab"))
    tab.get_by_label("Secret key").fill(key)
    tab.get_by_role("button", name="Sign in").click()
    assert "waits in the other tab" in tab.locator(".notice[role=status]").inner_text()
    visitor.page.get_by_role("button", name="Send it again").click()
    assert visitor.page.get_by_label("Statements", exact=True).input_value() == statement
    assert visitor.page.locator("td").all_inner_texts() == ["kept <i>", "2"]
    visitor.close()


def test_a_form_without_its_token_is_not_kept(eve):
    forget(eve)
    answer = eve.context.request.post(
        eve.url + "/settings/profile", form={"full_name": "forged"}, max_redirects=0, headers={"sec-fetch-mode": "navigate"}
    )
    assert answer.status == 303 and "forged" not in answer.text()


def test_a_form_sent_twice_counts_once(eve):
    eve.open("/settings/team")
    eve.page.get_by_label("Name of the team").fill("Once")
    # Two clicks before the answer is there.
    eve.page.get_by_role("button", name="Make the team").dblclick()
    assert eve.status() == "The team is made. Invite its members."
    eve.page.locator("details.menu summary").first.click()
    assert eve.page.get_by_role("button", name="Once").count() == 1


def test_nothing_is_seen_by_going_back_after_signing_out(eve):
    eve.open("/settings/account")
    eve.sign_out()
    assert eve.path == "/"
    eve.page.go_back()
    assert eve.path.startswith("/auth/signin")
    assert eve.email not in eve.page.content()


def test_what_cannot_be_undone_is_asked_about(eve):
    eve.store_key("openai", "sk-1")
    eve.agrees = False
    eve.page.get_by_role("button", name="Remove OpenAI").click()
    assert eve.asked == ["Remove OpenAI? It cannot be brought back."]
    eve.open("/settings/keys")
    assert eve.page.get_by_role("button", name="Remove OpenAI").is_visible()
    eve.agrees = True
    eve.page.get_by_role("button", name="Remove OpenAI").click()
    assert eve.status() == "The key is removed."


def test_a_picture_that_is_too_large_is_told_before_and_after_it_is_sent(ada):
    ada.open("/settings")
    large = {"name": "large.png", "mimeType": "image/png", "buffer": b"x" * 3_000_000}
    ada.page.get_by_label("New picture").set_input_files(large)
    if ada.scripts:
        assert ada.page.locator("#file").evaluate("field => field.validationMessage") == "The picture is larger than 1 MiB."
        small = {"name": "small.png", "mimeType": "image/png", "buffer": b"x"}
        ada.page.get_by_label("New picture").set_input_files(small)
        assert ada.page.locator("#file").evaluate("field => field.validity.valid")
    else:
        ada.page.get_by_role("button", name="Upload").click()
        assert "more than a form may hold" in ada.alert()
        ada.page.get_by_role("link", name="Back to the form").click()
        assert ada.path == "/settings"
