# SPDX-License-Identifier: Apache-2.0
"""The web pages in a real browser: Debian's Chromium, headless, driven by Playwright.

ATOLL_SCREENSHOTS=folder keeps a picture of each page."""

import os
import shutil
import uuid

import pytest
from playwright.sync_api import sync_playwright

PASSWORD = "correct horse battery staple"
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "no Chromium here: run scripts/setup --test"
    with sync_playwright() as playwright:
        # Chromium's own sandbox needs rights that a container's root does not have; the pages are ours.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """Somebody at a browser of their own."""

    def __init__(self, browser, server):
        self.server = server
        self.email = f"visitor-{uuid.uuid4().hex[:8]}@example.com"
        self.context = browser.new_context(viewport={"width": 1200, "height": 900})
        self.page = self.context.new_page()
        self.problems = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text) if "Content Security" in message.text else None)

    def open(self, path):
        self.page.goto(self.server.url + path)
        self.keep(path)

    @property
    def path(self):
        return self.page.url.removeprefix(self.server.url)

    def keep(self, path):
        folder = os.environ.get("ATOLL_SCREENSHOTS")
        if folder:
            name = path.strip("/").replace("/", "-") or "home"
            self.page.screenshot(path=f"{folder}/{name}.png", full_page=True)

    def sign_up(self, name="Ada"):
        self.open("/auth/signup")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("E-mail").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.locator("main").get_by_role("button", name="Sign up").click()
        assert self.path == "/dashboard"

    def sign_in(self, password=PASSWORD):
        self.page.get_by_label("E-mail").fill(self.email)
        self.page.get_by_label("Password").fill(password)
        self.page.locator("main").get_by_role("button", name="Sign in").click()

    def store_key(self, service, key):
        self.open("/settings")
        self.page.get_by_label("Service").select_option(service)
        self.page.get_by_role("textbox", name="Key").fill(key)
        self.page.get_by_role("button", name="Store key").click()


@pytest.fixture
def ada(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.context.close()
    assert visitor.problems == []


@pytest.fixture
def bob(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.context.close()
    assert visitor.problems == []


def test_signing_up_ends_at_a_dashboard_that_is_ones_own(ada, bob):
    ada.sign_up("Ada")
    ada.keep("/dashboard")
    assert ada.page.get_by_role("heading", name="Hello, Ada").is_visible()
    assert "No key yet" in ada.page.content()
    ada.store_key("openai", "sk-of-ada")
    assert "The key of openai is stored." in ada.page.get_by_role("status").inner_text()
    assert "sk-of-ada" not in ada.page.content()
    ada.keep("/settings")

    bob.sign_up("Bob")
    bob.open("/settings")
    assert "No key yet." in bob.page.content()
    tenants = [visitor.page.locator("dt:text-is('Tenant') + dd").inner_text() for visitor in (ada, bob) if not visitor.open("/dashboard")]
    assert tenants[0] != tenants[1]

    ada.open("/settings")
    ada.page.get_by_role("button", name="Remove openai").click()
    assert "No key yet." in ada.page.content()


def test_protected_pages_lead_to_sign_in_and_back(ada):
    ada.sign_up()
    ada.page.get_by_role("button", name="Sign out", exact=True).click()
    assert ada.path == "/"
    ada.open("/settings")
    assert ada.path == "/auth/signin?next=/settings"
    ada.sign_in("wrong")
    assert "Invalid login credentials" in ada.page.get_by_role("alert").inner_text()
    ada.sign_in()
    assert ada.path == "/settings"
    ada.open("/auth/signin")
    assert ada.path == "/dashboard"


def test_errors_stand_beside_their_fields(ada):
    ada.open("/auth/signup")
    ada.page.get_by_label("E-mail").fill(ada.email)
    ada.page.locator("#password").evaluate("field => field.removeAttribute('minlength')")
    ada.page.get_by_label("Password").fill("12")
    ada.page.locator("main").get_by_role("button", name="Sign up").click()
    field = ada.page.get_by_label("Password")
    assert field.get_attribute("aria-invalid") == "true"
    assert ada.page.locator("#password-error").is_visible()
    assert ada.page.get_by_label("E-mail").input_value() == ada.email


def test_cookies_are_out_of_reach_of_scripts(ada):
    ada.sign_up()
    assert ada.page.evaluate("document.cookie") == ""
    cookies = {cookie["name"]: cookie for cookie in ada.context.cookies()}
    assert cookies["atoll-access"]["httpOnly"] and cookies["atoll-refresh"]["sameSite"] == "Lax"


def test_a_password_is_changed_and_the_old_one_is_not_taken(ada):
    ada.sign_up()
    ada.open("/settings")
    ada.page.get_by_label("New password").fill("another horse battery staple")
    ada.page.get_by_role("button", name="Change password").click()
    assert "Password changed." in ada.page.get_by_role("status").inner_text()
    ada.page.get_by_role("button", name="Sign out", exact=True).click()
    ada.open("/auth/signin")
    ada.sign_in()
    assert ada.path == "/auth/signin"
    ada.sign_in("another horse battery staple")
    assert ada.path == "/dashboard"


@pytest.mark.parametrize("path", ["/", "/auth/signin", "/auth/signup", "/auth/forgot", "/dashboard", "/settings"])
def test_pages_can_be_used_by_keyboard_and_read_out(ada, path):
    if path in ("/dashboard", "/settings"):
        ada.sign_up()
    ada.open(path)
    page = ada.page
    # Every control has a name, every page one heading of the first rank, a language, landmarks, and a way past the navigation.
    for control in page.locator("input:not([type=hidden]), select, textarea").all():
        identity = control.get_attribute("id")
        assert page.locator(f"label[for='{identity}']").count() == 1, identity
    for button in page.locator("button, a").all():
        assert (button.get_attribute("aria-label") or button.inner_text() or button.text_content()).strip()
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("main").count() == 1 and page.locator("header").count() == 1
    identities = page.evaluate("Array.from(document.querySelectorAll('[id]')).map(element => element.id)")
    assert len(identities) == len(set(identities))
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    # On a phone nothing sticks out at the side.
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


# Contrast of text against what is behind it, as WCAG 2.2 computes it; AA asks for 4.5 of text of this size.
CONTRAST = """() => {
  const luminance = ([r, g, b]) => [r, g, b].map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 })
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const bad = [];
  for (const element of document.querySelectorAll('body *')) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const style = getComputedStyle(element);
    if (!element.offsetParent || style.visibility === 'hidden') continue;
    let behind = element, colour;
    do { colour = parse(getComputedStyle(behind).backgroundColor); behind = behind.parentElement } while (behind && colour[3] === 0);
    const [a, b] = [luminance(parse(style.color)), luminance(colour)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${element.tagName} ${element.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(ada, scheme):
    ada.page.emulate_media(color_scheme=scheme)
    for path in ("/", "/auth/signin", "/auth/signup"):
        ada.open(path)
        assert ada.page.evaluate(CONTRAST) == [], path
    ada.sign_up()
    for path in ("/dashboard", "/settings"):
        ada.open(path)
        assert ada.page.evaluate(CONTRAST) == [], path
