# SPDX-License-Identifier: Apache-2.0
"""People at a real browser: Debian's Chromium, headless, driven by Playwright."""

import base64
import hashlib
import hmac
import io
import os
import pathlib
import shutil
import struct
import time
import uuid

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

PASSWORD = "correct horse battery staple"
CHROMIUM = shutil.which("chromium")
# For what a loaded machine has to do.
WAIT_MILLISECONDS = 15_000
# Pictures in the documentation are no larger.
PICTURE_BYTES = 150 << 10
# What the tests of the pages want of a project.
CONFIG = "[auth.mfa.totp]\nenroll_enabled = true\nverify_enabled = true\n"
# What axe looks for: levels A and AA of WCAG 2.2, and its own good practices.
AXE_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}


class Chromium:
    """A browser of Debian's."""

    def __enter__(self):
        assert CHROMIUM, "no Chromium here: run scripts/setup --test"
        self.playwright = sync_playwright().start()
        # Chromium's own sandbox needs rights that a container's root does not have; the pages are ours.
        self.browser = self.playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        return self.browser

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()


class Visitor:
    """Somebody at a browser of their own."""

    def __init__(self, browser, server, scripts=True, email=None, url=None):
        self.server = server
        # Keys are made for names, not for numbers: whoever uses one comes by `localhost`.
        self.url = url or server.url
        self.scripts = scripts
        # What a page asks before it does what cannot be undone, and what it is told.
        self.asked = []
        self.agrees = True
        self.email = email or f"visitor-{uuid.uuid4().hex[:8]}@example.com"
        self.context = browser.new_context(viewport={"width": 1200, "height": 860}, java_script_enabled=scripts)
        self.context.set_default_timeout(WAIT_MILLISECONDS)
        self.page = self.context.new_page()
        self.page.on("dialog", self.reply)
        self.problems = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text) if "Content Security" in message.text else None)

    def reply(self, dialog):
        self.asked.append(dialog.message)
        dialog.accept() if self.agrees else dialog.dismiss()

    def close(self):
        self.context.close()
        assert self.problems == []

    def open(self, path):
        return self.page.goto(self.url + path)

    @property
    def path(self):
        return self.page.url.removeprefix(self.url)

    @property
    def main(self):
        return self.page.locator("main")

    def status(self):
        """What the page says was done."""
        return self.page.locator(".notice[role=status]").inner_text()

    def alert(self):
        return self.page.locator(".notice[role=alert]").inner_text()

    def fill_sign_up(self, name):
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("E-mail").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.main.get_by_role("button", name="Sign up").click()

    def sign_up(self, name="Ada"):
        """Ends at the dashboard; the set-up can wait."""
        self.open("/auth/signup")
        self.fill_sign_up(name)
        assert self.path == "/setup"
        self.open("/dashboard")
        return self

    def sign_in(self, password=PASSWORD):
        self.page.get_by_label("E-mail").fill(self.email)
        self.page.get_by_label("Password").fill(password)
        self.main.get_by_role("button", name="Sign in").click()

    def sign_out(self):
        self.page.locator("details.menu.end summary").click()
        self.page.get_by_role("button", name="Sign out", exact=True).click()

    def store_key(self, service, key):
        self.open("/settings/keys")
        self.page.get_by_label("Service", exact=True).select_option(service)
        self.page.get_by_label("Key", exact=True).fill(key)
        self.page.get_by_role("button", name="Store key").click()

    def plug_in(self, transport="usb", remembers_users=False):
        """A key in the machine, which answers at once."""
        tools = self.context.new_cdp_session(self.page)
        tools.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": transport, "hasUserVerification": True, "isUserVerified": True}
        options.update({"automaticPresenceSimulation": True, "hasResidentKey": remembers_users})
        tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    def token(self):
        """The access token of the session, for official clients."""
        return next(cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "atoll-access")

    def user(self):
        self.open("/dashboard")
        return self.page.locator("dt:text-is('User') + dd").inner_text()

    def tenant(self):
        self.open("/dashboard")
        return self.page.locator("dt:text-is('Tenant') + dd").inner_text()

    def add_authenticator(self):
        """Returns the secret that the codes are made of."""
        self.open("/settings/security")
        self.page.get_by_label("Name of the authenticator").fill("My phone")
        self.page.get_by_role("button", name="Add an authenticator").click()
        secret = self.page.locator(".secret code").inner_text()
        self.page.get_by_label("Code").fill(one_time_code(secret))
        self.page.get_by_role("button", name="Verify").click()
        return secret

    def violations(self):
        """What axe finds wrong with the page, a line a finding."""
        found = Axe().run(self.page, options=AXE_RULES).response["violations"]
        return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]

    def keep(self, name, width=1200, height=860, scheme="light"):
        """Writes a picture to the folder that ATOLL_SCREENSHOTS names, small enough for the documentation."""
        folder = os.environ.get("ATOLL_SCREENSHOTS")
        if not folder:
            return
        self.page.evaluate("document.activeElement.blur()")
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme)
        picture = Image.open(io.BytesIO(self.page.screenshot()))
        path = pathlib.Path(folder) / f"{name}.png"
        for colours in (256, 128, 64, 32):
            picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
            if path.stat().st_size <= PICTURE_BYTES:
                break
        self.page.set_viewport_size({"width": 1200, "height": 860})
        self.page.emulate_media(color_scheme="light")


def one_time_code(secret, at=None):
    """The code that an authenticator app shows (RFC 6238), with six digits and steps of 30 seconds."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int((at or time.time()) // 30)), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"
