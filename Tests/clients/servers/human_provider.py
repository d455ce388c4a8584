# SPDX-License-Identifier: Apache-2.0
"""Stands in for Turnstile and hCaptcha: their widget's script, and the address that checks its proofs."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

# What the providers' scripts do as far as a page sees it: an element becomes a frame, and a field of the form holds the proof once the
# visitor has ticked the box.
SCRIPT = """
let made = 0;
const kinds = { "cf-turnstile": "cf-turnstile-response", "h-captcha": "h-captcha-response" };
for (const [kind, name] of Object.entries(kinds)) {
  for (const element of document.getElementsByClassName(kind)) {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    const frame = document.createElement("iframe");
    frame.title = "Proof of a human";
    frame.src = new URL("frame", document.currentScript.src);
    frame.width = 300;
    frame.height = 65;
    element.append(field, frame);
    addEventListener("message", (event) => {
      if (event.source === frame.contentWindow) field.value = `${element.dataset.sitekey}-${event.data}-${made++}`;
    });
  }
}
"""
FRAME = """<!doctype html><html lang="en"><title>Proof</title>
<button onclick="parent.postMessage(`human-${Date.now()}-${Math.random()}`, '*'); this.textContent = 'Done'">I am human</button>"""


class Provider:
    """Both servers on one port; a proof counts once, and only with the key of its site."""

    def __init__(self, secret, site_key):
        self.secret, self.site_key = secret, site_key
        self.spent = set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self, body, kind):
                body = body.encode()
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path.startswith("/frame"):
                    self.reply(FRAME, "text/html; charset=utf-8")
                else:
                    self.reply(SCRIPT, "text/javascript")

            def do_POST(self):
                fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                codes = provider.problems(fields.get("secret", [""])[0], fields.get("response", [""])[0])
                self.reply(json.dumps({"success": not codes, "error-codes": codes}), "application/json")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def problems(self, secret, proof):
        if secret != self.secret:
            return ["invalid-input-secret"]
        if not proof.startswith(f"{self.site_key}-human-"):
            return ["invalid-input-response"]
        if proof in self.spent:
            return ["timeout-or-duplicate"]
        self.spent.add(proof)
        return []

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
