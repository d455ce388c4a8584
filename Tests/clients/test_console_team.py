# SPDX-License-Identifier: Apache-2.0
"""Teams in a real browser: invitations, members, switching, and that each sees only what is theirs."""

import re

import httpx
import pytest

from console_browser import Visitor


@pytest.fixture
def ada(browser, server):
    visitor = Visitor(browser, server).sign_up("Ada")
    yield visitor
    visitor.close()


@pytest.fixture
def bob(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.close()


def make_team(visitor, name):
    visitor.open("/settings/team")
    visitor.page.get_by_label("Name of the team").fill(name)
    visitor.page.get_by_role("button", name="Make the team").click()
    assert visitor.path.startswith("/settings/members") and "team is made" in visitor.status()


def invite(visitor, email, role="member"):
    visitor.open("/settings/members")
    visitor.page.get_by_label("E-mail").fill(email)
    visitor.page.get_by_label("Role", exact=True).select_option(role)
    visitor.page.get_by_role("button", name="Invite").click()


def link_in_mail(server, email):
    """The address in the latest mail to somebody, once it is there."""
    base = f"http://127.0.0.1:{server.mail_port}"
    for _ in range(200):
        for message in httpx.get(f"{base}/api/v1/messages").json()["messages"]:
            if email in [to["Address"] for to in message["To"]]:
                text = httpx.get(f"{base}/api/v1/message/{message['ID']}").json()
                found = re.search(r"https?://[^\s\"<>]*/invitations/accept\?token=[\w-]+", text["Text"] + text["HTML"])
                if found:
                    return found.group(0)
    raise AssertionError(f"no mail to {email}")


def switch(visitor, name):
    visitor.page.locator("details.menu:not(.end) summary").click()
    visitor.page.locator("details.menu:not(.end)").get_by_role("button", name=re.compile(re.escape(name))).click()


def test_a_member_is_invited_joins_is_promoted_and_removed(ada, bob, server):
    make_team(ada, "Engines")
    invite(ada, bob.email)
    assert ada.status() == "The invitation is sent."
    ada.keep("settings-members")
    link = link_in_mail(server, bob.email)
    bob.page.goto(link)
    bob.page.get_by_role("link", name="Sign up").last.click()
    bob.fill_sign_up("Bob")
    if bob.path.startswith("/invitations/accept"):
        bob.page.get_by_role("button", name="Accept").click()
        assert bob.status() == "Welcome to the team."
    else:
        switch(bob, "Engines")
    assert ada.tenant() == bob.tenant()

    ada.open("/settings/members")
    row = ada.page.locator("tr", has_text=bob.email)
    row.get_by_role("combobox").select_option("admin")
    row.get_by_role("button", name="Change").click()
    assert ada.status() == "The role is changed."
    bob.open("/settings/members")
    assert bob.page.get_by_role("button", name="Invite").is_visible()
    # The owner is out of an admin's reach.
    assert bob.page.locator("tr", has_text=ada.email).get_by_role("button").count() == 0

    ada.open("/settings/members")
    ada.page.locator("tr", has_text=bob.email).get_by_role("button", name="Remove").click()
    assert ada.status() == "The member is removed."
    bob.open("/settings/members")
    assert ada.email not in bob.main.inner_text()


def test_each_tenant_has_its_own_and_switching_shows_the_other(ada, bob):
    ada.store_key("openai", "k")
    home = ada.tenant()
    make_team(ada, "Looms")
    assert ada.tenant() != home
    ada.open("/settings/keys")
    assert "No key yet" in ada.main.inner_text()
    switch(ada, "Ada")
    assert "another tenant" in ada.status()
    assert ada.tenant() == home
    ada.open("/settings/keys")
    assert "OpenAI" in ada.main.inner_text()

    bob.sign_up("Bob")
    for path in ("/dashboard", "/settings/keys", "/settings/members", "/settings/team", "/usage"):
        bob.open(path)
        text = bob.page.content()
        assert ada.email not in text and home not in text and "Looms" not in text, path


def test_an_invitation_is_of_no_use_to_somebody_else(ada, bob, server):
    make_team(ada, "Pumps")
    invite(ada, "somebody@example.com")
    link = link_in_mail(server, "somebody@example.com")
    bob.sign_up("Bob")
    bob.page.goto(link)
    bob.page.get_by_role("button", name="Accept").click()
    assert bob.page.locator(".notice[role=alert]").is_visible()
    bob.open("/dashboard")
    assert "Pumps" not in bob.page.content()


def test_an_invitation_is_withdrawn(ada):
    make_team(ada, "Mills")
    invite(ada, "somebody@example.com")
    ada.page.get_by_role("button", name="Withdraw").click()
    assert ada.status() == "The invitation is withdrawn."
    assert "Nobody is invited" in ada.main.inner_text()


def test_a_team_is_renamed_and_deleted_once_its_name_is_typed(ada):
    make_team(ada, "Wheels")
    ada.open("/settings/team")
    ada.page.get_by_label("Name", exact=True).fill("Big Wheels")
    ada.page.get_by_role("button", name="Rename").click()
    assert "new name" in ada.status()
    ada.page.get_by_label("Confirm").fill("Wheels")
    ada.page.get_by_role("button", name="Delete the tenant").click()
    assert ada.page.locator("#confirmation-error").is_visible()
    ada.page.get_by_label("Confirm").fill("Big Wheels")
    ada.page.get_by_role("button", name="Delete the tenant").click()
    assert "tenant is deleted" in ada.status()
    assert "Ada" in ada.page.locator("details.menu:not(.end) summary").inner_text()


def test_the_tenant_is_exported(ada):
    ada.open("/settings/team")
    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Download the export").click()
    assert download.value.path().stat().st_size > 0


def test_an_operator_chooses_plans_and_suspends(ada, browser, server):
    keeper = Visitor(browser, server)
    keeper.open("/admin/tenants")
    keeper.page.get_by_label("Secret key").fill(server.status["SERVICE_ROLE_KEY"])
    keeper.page.get_by_role("button", name="Sign in").click()
    keeper.open(f"/admin/tenants?q={ada.email}")
    row = keeper.page.locator("tr", has_text=ada.email)
    row.get_by_role("combobox").select_option("pro")
    row.get_by_role("button", name="Change").click()
    assert keeper.status() == "The plan is changed."
    ada.open("/usage")
    assert "Plan Pro" in ada.main.inner_text()
    keeper.open(f"/admin/tenants?q={ada.email}")
    keeper.page.locator("tr", has_text=ada.email).get_by_role("button", name="Suspend").click()
    assert keeper.status() == "The tenant is suspended."
    ada.open("/settings/keys")
    ada.page.get_by_label("Service", exact=True).select_option("openai")
    ada.page.get_by_label("Key", exact=True).fill("k")
    ada.page.get_by_role("button", name="Store key").click()
    assert ada.page.locator(".error, .notice[role=alert]").first.is_visible()
    keeper.open(f"/admin/tenants?q={ada.email}")
    keeper.page.locator("tr", has_text=ada.email).get_by_role("button", name="Resume").click()
    assert keeper.status() == "The tenant is open again."
    keeper.close()


def test_a_personal_tenant_offers_what_it_can_do(ada):
    ada.open("/settings/members")
    assert "This tenant is yours alone" in ada.main.inner_text()
    assert ada.page.get_by_role("button", name="Invite").count() == 0
    ada.page.get_by_role("link", name="New team").last.click()
    assert ada.path == "/settings/team#new-team"
    assert ada.page.get_by_role("button", name="Delete the tenant").count() == 0
    assert ada.page.locator("section.danger-zone").get_by_role("link", name="Account").get_attribute("href") == "/settings/account"
    assert ada.violations() == []


def test_a_closed_tenant_says_so_on_every_page(ada, server):
    tenant = ada.tenant()
    headers = {"apikey": server.status["SERVICE_ROLE_KEY"]}
    ada.context.request.post(f"{server.url}/api/admin/tenants/{tenant}/suspend", headers=headers)
    for path in ("/dashboard", "/settings/keys", "/setup", "/usage"):
        assert ada.open(path).status < 500
        assert "The tenant is suspended." in ada.page.locator(".notice[role=alert]").first.inner_text(), path
    assert ada.violations() == []
    ada.context.request.post(f"{server.url}/api/admin/tenants/{tenant}/resume", headers=headers)
    ada.open("/dashboard")
    assert ada.page.locator(".notice[role=alert]").count() == 0
