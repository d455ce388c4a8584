# SPDX-License-Identifier: Apache-2.0
"""Whatever people type is shown as it was typed: long, from right to left, or as markup; and pages for what is not there."""

import httpx
import pytest

from atoll_server import AtollServer, example_migrations
from console_browser import CONFIG, Visitor
from people import Person, service

MARKUP = "<img src=x onerror=alert(1)>\"'&amp;</textarea></title>"
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
# Turns round what follows it, where nothing keeps it in.
TURNED = "شركة \u202e3.21"
MEMBERS = ["/dashboard", "/usage", "/activity", "/setup", "/setup/review", "/settings", "/settings/security", "/settings/keys"]
MEMBERS += ["/settings/members", "/settings/team", "/settings/account"]
OPERATORS = ["/admin", "/admin/users", "/admin/tenants", "/admin/tables/public/notes", "/admin/storage", "/admin/storage/papers"]
OPERATORS += ["/admin/vectors", "/admin/logs"]


@pytest.fixture(scope="module")
def server():
    with AtollServer(migrations=example_migrations(), config=CONFIG) as server:
        yield server


@pytest.fixture(scope="module")
def ada(browser, server):
    visitor = Visitor(browser, server).sign_up(f"{MARKUP} {LONG}{LONG[:40]}")
    visitor.open("/settings")
    visitor.page.get_by_label("Company").fill(MARKUP)
    visitor.page.get_by_role("button", name="Save profile").click()
    visitor.open("/settings/team")
    visitor.page.get_by_label("Name of the team").fill(f"{MARKUP}{LONG[:60]} {TURNED}")
    visitor.page.get_by_role("button", name="Make the team").click()
    visitor.store_key("openai", "sk-1")
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def keeper(browser, server, ada):
    person = Person(server, "noted")
    titles = [f"{MARKUP} {number}" for number in range(5)] + [LONG * 3, TURNED]
    person.client.table("notes").insert([{"title": title} for title in titles]).execute()
    storage = service(server).storage
    storage.create_bucket("papers")
    storage.from_("papers").upload(f"{'long' * 45}.txt", b"x")
    visitor = Visitor(browser, server)
    visitor.open("/admin")
    visitor.page.get_by_label("Secret key").fill(server.status["SERVICE_ROLE_KEY"])
    visitor.page.get_by_role("button", name="Sign in").click()
    yield visitor
    visitor.close()


@pytest.mark.parametrize("width", [320, 375, 700, 768, 1280])
@pytest.mark.parametrize("path", MEMBERS + OPERATORS)
def test_nothing_runs_and_nothing_sticks_out(request, path, width):
    visitor = request.getfixturevalue("keeper" if path in OPERATORS else "ada")
    visitor.page.set_viewport_size({"width": width, "height": 800})
    assert visitor.open(path).status == 200
    assert visitor.asked == []
    assert visitor.page.locator("main img[src='x']").count() == 0
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


def test_buttons_stay_in_sight_beside_long_names(keeper):
    """Tables of names are no wider than their page on a computer."""
    for path in ("/admin/tenants", "/admin/storage/papers"):
        keeper.page.set_viewport_size({"width": 1280, "height": 800})
        keeper.open(path)
        assert keeper.page.locator(".scroll").first.evaluate("part => part.scrollWidth - part.clientWidth") <= 1, path


def test_a_turned_name_leaves_the_sentence_as_it_is(ada):
    ada.open("/dashboard")
    lead = ada.page.locator("main .lead").first
    # Where the sentence ends: to the right of the name, not turned round with it.
    place = """lead => {
        const text = lead.firstChild, range = document.createRange();
        const at = (start, end) => { range.setStart(text, start); range.setEnd(text, end); return range.getBoundingClientRect(); };
        const end = text.length;
        return at(end - 1, end).left > at(end - 7, end - 6).left;
    }"""
    ada.page.set_viewport_size({"width": 1280, "height": 800})
    assert lead.inner_text().endswith(" at a glance.")
    assert lead.evaluate(place)


def test_times_say_their_zone_without_scripts(browser, server, ada):
    state = ada.context.storage_state()
    context = browser.new_context(java_script_enabled=False, storage_state=state)
    page = context.new_page()
    page.goto(f"{server.url}/settings/account")
    assert page.locator("time").first.inner_text().endswith(" UTC")
    context.close()


def test_what_is_not_there_is_said_on_a_page(ada, server):
    for path in ("/nowhere", "/settings/nothing", "/admin/tables/public/nothing/at/all"):
        assert ada.open(path).status == 404
        assert ada.page.get_by_role("heading", name="Not found").is_visible()
        assert ada.page.title() == "Not found · Atoll"
        assert ada.violations() == []
        # The page does not know who asks, and offers nobody to sign in.
        assert ada.page.get_by_role("link", name="Sign in").count() == 0
    ada.page.get_by_role("link", name="Back to the start").click()
    assert ada.path == "/dashboard"
    # Clients are told as clients are.
    answer = httpx.get(f"{server.url}/nowhere")
    assert answer.status_code == 404 and answer.json() == {"message": "Not Found"}
    assert httpx.get(f"{server.url}/rest/v1/", headers={"Accept": "text/html"}).headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    "path, home",
    [("/settings/team/new", "/settings/team"), ("/settings/avatar/remove", "/settings"), ("/setup/start", "/setup"), ("/language", "/")],
)
def test_the_address_of_a_form_that_is_loaded_again_leads_to_its_page(ada, server, path, home):
    # As a browser does that brings back its tabs.
    answer = ada.context.request.get(server.url + path, max_redirects=0, headers={"Accept": "text/html"})
    assert answer.status == 303
    ada.open(path)
    assert ada.path == (home if home != "/" else "/dashboard")


def test_choosing_a_language_keeps_the_page(browser):
    """The address with its query, and after a refusal the page of the form."""
    other = AtollServer(config=CONFIG)
    languages = other.folder / "supabase" / "languages"
    languages.mkdir()
    (languages / "de.json").write_text('{"name": "Deutsch", "texts": {"roleOwner": "Besitzerin", "roleMember": "Mitglied"}}')
    with other:
        visitor = Visitor(browser, other).sign_up("Ada")
        visitor.open("/usage?days=7&metric=tokens")
        visitor.page.get_by_role("button", name="Deutsch").click()
        assert visitor.path == "/usage?days=7&metric=tokens"
        visitor.open("/settings/team")
        visitor.page.get_by_label("Name of the team").fill("Other")
        visitor.page.get_by_role("button", name="Make the team").click()
        visitor.page.locator("details.menu summary").first.click()
        assert visitor.page.locator("details.menu .badge", has_text="Besitzerin").count() == 1
        visitor.open("/settings/account")
        visitor.page.get_by_label("Confirm").fill("x")
        visitor.main.get_by_label("Password").fill("wrong")
        visitor.page.get_by_role("button", name="Delete the account").click()
        visitor.page.get_by_role("button", name="English").click()
        assert visitor.path == "/settings/account"
        visitor.close()


def test_paper_shows_what_is_read(ada):
    ada.open("/dashboard")
    ada.page.emulate_media(media="print")
    assert ada.page.get_by_role("heading", level=1).is_visible()
    assert not ada.page.locator("header.top").is_visible() and not ada.page.locator("footer").is_visible()
    ada.page.emulate_media(media="screen")
