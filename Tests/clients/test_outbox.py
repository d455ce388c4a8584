# SPDX-License-Identifier: Apache-2.0
"""Mail through a real mail server: through its absence, its refusals, and `kill -9` of Atoll."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import httpx
import psycopg

from atoll_server import AtollServer, free_ports

PASSWORD = "smtp-password-that-nobody-sees"
SERVER = pathlib.Path(__file__).parent / "servers" / "mail_server.py"


def config(port, login=""):
    return f"""
[auth.email]
max_frequency = "0s"
[auth.email.smtp]
host = "127.0.0.1"
port = {port}
{login}
admin_email = "no-reply@example.com"
sender_name = "Example"
[auth.rate_limit]
email_sent = 1000
[atoll.mail]
security = "opportunistic"
first_retry_delay = "200ms"
max_retry_delay = "500ms"
attempt_lease = "3s"
timeout = "2s"
max_attempts = 100
"""


class MailServer:
    """A real SMTP server of its own process."""

    def __init__(self, port, *arguments):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-smtp-"))
        self.process = subprocess.Popen([sys.executable, SERVER, self.folder, "--port", str(port), *arguments])
        wait_for(lambda: (self.folder / "ready.json").exists(), "the mail server listens")

    @property
    def mails(self):
        files = sorted(self.folder.glob("mail-*.json"), key=lambda file: int(file.stem.split("-")[1]))
        return [json.loads(file.read_text()) for file in files]

    def to(self, address):
        return [mail for mail in self.mails if mail["to"] == [address]]

    def stop(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def mail_server(port, *arguments):
    server = MailServer(port, *arguments)
    try:
        yield server
    finally:
        server.stop()


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def ask(server, address):
    answer = httpx.post(
        f"{server.url}/auth/v1/otp", headers={"apikey": server.status["ANON_KEY"]}, json={"email": address}
    )
    assert answer.status_code == 200, answer.text


def message_id(mail):
    return re.search(r"^Message-ID: (.*)\r$", mail["data"], re.MULTILINE).group(1)


def test_mail_survives_the_death_of_everybody():
    (port,) = free_ports(1)
    with AtollServer(config=config(port)) as atoll:
        ask(atoll, "ann@example.com")
        atoll.kill()
        with mail_server(port) as smtp:
            atoll.start()
            wait_for(lambda: smtp.to("ann@example.com"), "the mail arrives after kill -9 and restart")
            mail = smtp.to("ann@example.com")[0]
            assert mail["from"] == "no-reply@example.com"
            assert "From: Example <no-reply@example.com>" in mail["data"]
            code = re.search(r"code: (\d{6})", mail["data"]).group(1)
            verified = httpx.post(
                f"{atoll.url}/auth/v1/verify",
                headers={"apikey": atoll.status["ANON_KEY"]},
                json={"type": "email", "email": "ann@example.com", "token": code},
            )
            assert verified.status_code == 200, verified.text


def test_mail_is_delivered_at_least_once_under_one_id():
    (port,) = free_ports(1)
    with mail_server(port) as smtp, AtollServer(config=config(port)) as atoll:
        ask(atoll, "drop@example.com")
        wait_for(lambda: len(smtp.to("drop@example.com")) >= 2, "a mail that may have been lost is sent again")
        assert len({message_id(mail) for mail in smtp.to("drop@example.com")}) == 1
        ask(atoll, "later@example.com")
        wait_for(lambda: smtp.to("later@example.com"), "a mail that was deferred twice arrives")
        assert len(smtp.to("later@example.com")) == 1


def test_what_is_refused_for_good_is_kept_where_it_can_be_seen():
    (port,) = free_ports(1)
    with mail_server(port) as smtp, AtollServer(config=config(port)) as atoll:
        ask(atoll, "refused@example.com")
        with psycopg.connect(atoll.status["DB_URL"], autocommit=True) as database:

            def dead():
                return database.execute("select summary ->> 'to', attempts, last_error from jobs.dead_jobs").fetchall()

            wait_for(dead, "the mail is given up")
            (to, attempts, error), = dead()
            assert (to, attempts) == ("refused@example.com", 1) and "550" in error
            (payload,), = database.execute("select payload from jobs.jobs").fetchall()
            assert payload.startswith("v1.") and "example" not in payload, "what is queued is sealed"
        assert smtp.mails == []
        assert 'atoll_jobs_dead_total{queue="mail"} 1' in httpx.get(f"{atoll.url}/metrics").text


def test_the_password_is_told_to_the_mail_server_alone():
    (port,) = free_ports(1)
    login = f'user = "user"\npass = "{PASSWORD}"'
    with AtollServer(config=config(port, login)) as atoll:
        with mail_server(port, "--login", "user:another") as smtp:
            ask(atoll, "ann@example.com")
            wait_for(lambda: "job failed" in atoll.log, "the login is refused")
            assert smtp.mails == []
        with mail_server(port, "--login", f"user:{PASSWORD}") as smtp:
            wait_for(lambda: smtp.to("ann@example.com"), "the mail arrives once the login is right")
            assert smtp.mails[0]["authenticated"]
        assert PASSWORD not in atoll.log
        assert PASSWORD not in atoll.command("config")
