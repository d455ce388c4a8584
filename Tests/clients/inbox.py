# SPDX-License-Identifier: Apache-2.0
"""Reads mail from the catcher, as tests of projects do."""

import re
import time

import httpx


class Inbox:
    """The catcher's API."""

    def __init__(self, server):
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{server.mail_port}")

    def newest(self, address, count=1):
        """The newest mail to an address, once there are as many."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = self.api.get("/api/v1/search", params={"query": f"to:{address}"}).json()["messages"]
            if len(found) >= count:
                return self.api.get(f"/api/v1/message/{found[0]['ID']}").json()
            time.sleep(0.05)
        raise AssertionError(f"no mail number {count} to {address}")

    def code(self, address, count=1):
        return re.search(r"code: (\d+)", self.newest(address, count)["Text"]).group(1)

    def link(self, address, count=1):
        return re.search(r"\((http\S+)\)", self.newest(address, count)["Text"]).group(1)
