# SPDX-License-Identifier: Apache-2.0
"""Runs the built `atoll rest`."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import httpx

from atoll_server import binary, free_ports

START_SECONDS = 30


def wait_until(condition, what, seconds=START_SECONDS):
    """Asks until the condition holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def environment(variables):
    """The environment without what would change the server, with `variables`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PGRST_", "PG"))}
    return {**clean, **variables}


def command(*arguments, env=None, stdin=""):
    """Runs `atoll rest` with arguments that make it end."""
    return subprocess.run(
        [binary(), "rest", *arguments], env=environment(env or {}), input=stdin, capture_output=True, text=True,
        timeout=START_SECONDS)


class RESTServer:
    """`atoll rest` with settings as in a configuration file, on free ports; a context manager."""

    def __init__(self, settings, env=None, wait_for="ready", unix_socket=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-rest-"))
        self.file = self.folder / "rest.conf"
        self.port, self.admin_port = free_ports(2)
        self.settings = {"server-host": "127.0.0.1", "server-port": self.port, **settings}
        if "admin-server-port" not in settings:
            self.settings["admin-server-port"] = self.admin_port
        if unix_socket:
            self.settings["server-unix-socket"] = unix_socket
        self.env = env or {}
        self.wait_for = wait_for
        self.write()
        transport = httpx.HTTPTransport(uds=str(unix_socket)) if unix_socket else None
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", transport=transport, timeout=30)
        self.admin = httpx.Client(base_url=f"http://127.0.0.1:{self.admin_port}", timeout=30)
        self.process = None

    def write(self, **changes):
        """Writes the configuration file, with changes to it."""
        self.settings.update({name.replace("_", "-"): value for name, value in changes.items()})
        lines = []
        for name, value in self.settings.items():
            if isinstance(value, bool):
                text = "true" if value else "false"
            elif isinstance(value, int):
                text = str(value)
            else:
                text = '"' + str(value).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'
            lines.append(f"{name} = {text}\n")
        self.file.write_text("".join(lines))

    def __enter__(self):
        self.log = open(self.folder / "log", "w+")
        self.access = open(self.folder / "access", "w+")
        self.process = subprocess.Popen(
            [binary(), "rest", "--config", self.file], env=environment(self.env), stdin=subprocess.DEVNULL,
            stdout=self.access, stderr=self.log)
        try:
            if self.wait_for:
                wait_until(self.is_up, f"{self.wait_for}; {self.text('log')}")
        except BaseException:
            self.process.kill()
            raise
        return self

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}: {self.text('log')}")
        return self.status(self.wait_for) == 200 if self.wait_for == "ready" else self.answers()

    def answers(self):
        with contextlib.suppress(httpx.HTTPError):
            return self.client.get("/").status_code
        return None

    def status(self, page):
        """The status of an admin page, or None where there is no answer."""
        with contextlib.suppress(httpx.HTTPError):
            return self.admin.get(f"/{page}").status_code
        return None

    def text(self, name):
        return (self.folder / name).read_text()

    def signal(self, number):
        self.process.send_signal(number)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(20)
            assert code == 0, self.text("log")
        self.log.close()
        self.access.close()
