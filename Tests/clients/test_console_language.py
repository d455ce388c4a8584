# SPDX-License-Identifier: Apache-2.0
"""A language that a project brings in a file; and that no page, of people or of operators, says anything that is not in it."""

import json
import re
import subprocess

import pytest

from atoll_server import AtollServer, binary, example_migrations
from console_browser import Visitor
from people import Person, service
from test_console_pages import EVERYTHING, MEMBERS, OPEN, OPERATORS

# What people read: headings, labels, buttons, explanations; what pages name things by, not the things.
SAYING = "title, h1, h2, h3, th, label, legend, button, p, dt, caption, nav a, summary, .badge, .notice, figcaption"
# Each text of these with what it says, and what is said to screen readers alone.
COLLECT = """saying => [...document.querySelectorAll(saying)].flatMap(element => {
  if (element.closest("code, pre, [data-names]")) return [];
  const own = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.textContent);
  return own;
}).concat([...document.querySelectorAll("[aria-label], [title], [placeholder], [alt]")].flatMap(element =>
  ["aria-label", "title", "placeholder", "alt"].map(name => element.getAttribute(name) || "")))"""
# Names and values that stand where texts stand: of this test's own making, of services, of units and of PostgreSQL.
NAMES = r"""Atoll|Ada|Lovelace|Pseudo|English|notes|public|papers|docs|free|Free|vectors|PostgreSQL|NULL|[\w.+-]+@example\.com
|OpenAI|Anthropic|Perplexity|Twitter[a-z\x20A-Z]*|HeyGen|Twilio|Qdrant|[KMG]?i?B|[0-9a-f-]{36}|UTC|ms|[\d.]+\x20?s|\d{4}-[\dT:.-]+Z?|debug|info|warning|error|id|user_id|tenant_id|done|details|title|body|content|created_at|updated_at"""


@pytest.fixture(scope="module")
def atoll():
    printed = subprocess.run([binary(), "reference", "messages"], capture_output=True, text=True, check=True, timeout=60)
    language = json.loads(printed.stdout)
    language["name"] = "Pseudo"
    language["texts"] = {
        key: "|".join(f"⟦{form}⟧" for form in text.split("|")) for key, text in language["texts"].items()
    }
    server = AtollServer(migrations=example_migrations(), config=EVERYTHING)
    folder = server.folder / "supabase" / "languages"
    folder.mkdir()
    (folder / "en-XA.json").write_text(json.dumps(language, ensure_ascii=False))
    with server:
        yield server


def choose(visitor):
    """The language is chosen at the foot of the page."""
    visitor.open("/auth/signin")
    visitor.page.get_by_role("button", name="Pseudo").click()
    assert visitor.page.locator("html").get_attribute("lang") == "en-XA"
    return visitor


@pytest.fixture(scope="module")
def people(browser, atoll):
    member = Visitor(browser, atoll).sign_up("Ada Lovelace")
    member.store_key("openai", "sk-1")
    Person(atoll, "bob").client.table("notes").insert({"title": "x"}).execute()
    service(atoll).storage.create_bucket("papers")
    keeper = Visitor(browser, atoll)
    keeper.open("/admin")
    keeper.page.get_by_label("Secret key").fill(atoll.status["SERVICE_ROLE_KEY"])
    keeper.page.get_by_role("button", name="Sign in").click()
    visitor = choose(Visitor(browser, atoll))
    keeper.context.add_cookies([{"name": "atoll-language", "value": "en-XA", "url": atoll.url}])
    member.context.add_cookies([{"name": "atoll-language", "value": "en-XA", "url": atoll.url}])
    yield {"visitor": visitor, "member": member, "keeper": keeper}
    for each in (visitor, member, keeper):
        each.close()


def left(text):
    """What of a text is in no message of the catalogue, and is no name."""
    for pattern in (r"⟦[^⟦⟧]*⟧", r"⟦[^⟧]*⟧"):
        text = re.sub(pattern, " ", text)
    text = re.sub(rf"\b(?:{NAMES})\b", " ", text.replace("\n", " "), flags=re.VERBOSE)
    return text if re.search(r"[^\W\d_]", text) else None


@pytest.mark.parametrize("path", OPEN + MEMBERS + OPERATORS)
def test_every_text_of_a_page_comes_from_the_file(people, path):
    who = people["visitor" if path in OPEN else "keeper" if path in OPERATORS else "member"]
    assert who.open(path).status == 200
    texts = who.page.evaluate(COLLECT, SAYING)
    assert any("⟦" in text for text in texts)
    assert [text for text in map(left, texts) if text] == []


def test_a_file_with_a_fault_keeps_the_server_from_starting(tmp_path):
    server = AtollServer()
    folder = server.folder / "supabase" / "languages"
    folder.mkdir()
    (folder / "de.json").write_text('{"name": "Deutsch", "texts": {"logIn": "Anmelden"}}')
    with pytest.raises(RuntimeError, match="de.json.*no message `logIn`"):
        server.__enter__()


def test_refusals_of_services_come_from_the_file(people):
    member = people["member"]
    member.open("/settings/team")
    member.page.locator("#team_name").fill("Team")
    member.page.locator("form[action='/settings/team/new'] button").click()
    for _ in range(2):
        member.page.locator("#email").fill("guest@example.com")
        member.page.locator("form[action='/settings/invitations'] button").click()
    assert member.page.locator("#email-error").inner_text().startswith("⟦This address is invited already.")
    visitor = people["visitor"]
    visitor.open("/auth/signup")
    visitor.page.locator("#email").fill("new@example.com")
    visitor.page.locator("#password").evaluate("field => field.removeAttribute('minlength')")
    visitor.page.locator("#password").fill("1")
    visitor.page.locator("main form button").first.click()
    assert visitor.page.locator("#password-error").inner_text() == "⟦The password is too short.⟧"
    assert visitor.open("/nowhere").status == 404
    assert visitor.page.locator("h1").inner_text() == "⟦Not found⟧"
