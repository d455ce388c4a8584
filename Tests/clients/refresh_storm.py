# SPDX-License-Identifier: Apache-2.0
"""Many clients refresh one session at once while the server is killed now and then: nobody may be logged out.

    .tools/python/bin/python Tests/clients/refresh_storm.py [--clients 200] [--rounds 1000] [--kills 10] [--sleepers 5]

Each client is a tab of one browser profile: all hold the same refresh token, and in every round all refresh at once. Some
sleep through a round and come with the token before. A tab whose answer is lost, because the server was killed, sends the
same token again. In the end a token stolen in the first round is used after the reuse interval: that must end the session.
"""

import argparse
import asyncio
import json
import pathlib
import random
import sys
import time

import httpx

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from atoll_server import AtollServer  # noqa: E402

RETRY_SECONDS = 60
PASSWORD = "correct horse battery"


class LoggedOut(AssertionError):
    """A client was refused that had done nothing wrong."""


class Tab:
    """A client with a connection of its own."""

    def __init__(self, server, token):
        self.server = server
        self.token = token
        self.access_token = None
        self.stream = None
        self.retries = 0

    async def refresh(self):
        """Sends the token until an answer comes, and keeps the token of the answer."""
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                status, body = await self._post()
            except (OSError, asyncio.IncompleteReadError, ValueError):
                self.stream = None
                self.retries += 1
                if time.monotonic() > deadline:
                    raise TimeoutError("the server did not come back")
                await asyncio.sleep(0.05)
                continue
            if status == 503:
                self.retries += 1
                if time.monotonic() > deadline:
                    raise TimeoutError("the server does not work")
                await asyncio.sleep(0.05)
                continue
            if status != 200:
                raise LoggedOut(f"{status} {body.decode(errors='replace')}")
            answer = json.loads(body)
            self.token, self.access_token = answer["refresh_token"], answer["access_token"]
            return

    async def _post(self):
        if self.stream is None:
            self.stream = await asyncio.open_connection("127.0.0.1", self.server.api_port)
        reader, writer = self.stream
        body = json.dumps({"refresh_token": self.token}).encode()
        writer.write(
            b"POST /auth/v1/token?grant_type=refresh_token HTTP/1.1\r\nHost: localhost\r\n"
            + f"apikey: {self.server.status['ANON_KEY']}\r\n".encode()
            + f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split()[1]), await reader.readexactly(int(fields["content-length"]))

    def close(self):
        if self.stream is not None:
            self.stream[1].close()


async def restart(server, after):
    """Kills the server in the middle of a round. It is started on this thread: it ends with the one that started it."""
    await asyncio.sleep(after)
    server.kill()
    server.start()


async def storm(server, clients, rounds, kills, sleepers_percent):
    """Runs the rounds; returns what was measured, and the token of the first round."""
    answer = httpx.post(
        f"{server.url}/auth/v1/signup",
        headers={"apikey": server.status["ANON_KEY"]},
        json={"email": "tabs@example.com", "password": PASSWORD},
    )
    assert answer.status_code == 200, answer.text
    stolen = answer.json()["refresh_token"]
    tabs = [Tab(server, stolen) for _ in range(clients)]
    killing = set(random.sample(range(1, rounds), min(kills, rounds - 1)))
    began, refreshes, slowest = time.monotonic(), 0, 0.0
    for number in range(rounds):
        # Who sleeps now was awake in the round before: nobody is more than a round behind.
        asleep = set(random.sample(range(clients), clients * sleepers_percent // 100)) if number % 2 else set()
        awake = [tab for index, tab in enumerate(tabs) if index not in asleep]
        round_began = time.monotonic()
        work = [tab.refresh() for tab in awake]
        if number in killing:
            work.append(restart(server, random.uniform(0, 0.05)))
        await asyncio.gather(*work)
        refreshes += len(awake)
        slowest = max(slowest, time.monotonic() - round_began) if number not in killing else slowest
        # A tab that slept may be answered with the token the others are spending at this moment.
        tokens = {tab.token for tab in awake}
        assert sleepers_percent or len(tokens) == 1, f"round {number}: the tabs hold {len(tokens)} different tokens"
    seconds = time.monotonic() - began
    # Every tab's access token works.
    for access_token in {tab.access_token for tab in tabs}:
        user = httpx.get(
            f"{server.url}/auth/v1/user",
            headers={"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {access_token}"},
        )
        assert user.status_code == 200, user.text
    for tab in tabs:
        tab.close()
    return {
        "clients": clients,
        "rounds": rounds,
        "kills": len(killing),
        "refreshes": refreshes,
        "seconds": round(seconds, 1),
        "refreshes_per_second": round(refreshes / seconds),
        "slowest_round_without_kill_seconds": round(slowest, 2),
        "requests_sent_again": sum(tab.retries for tab in tabs),
        "logged_out": 0,
    }, stolen, tabs[0].token


def refresh(server, token):
    return httpx.post(
        f"{server.url}/auth/v1/token?grant_type=refresh_token",
        headers={"apikey": server.status["ANON_KEY"]},
        json={"refresh_token": token},
    )


def run(clients, rounds, kills, sleepers_percent, interval):
    """The whole of it on a server of its own; raises when somebody was logged out, or the thief was not."""
    with AtollServer(config=f"[auth]\nrefresh_token_reuse_interval = {interval}") as server:
        figures, stolen, current = asyncio.run(storm(server, clients, rounds, kills, sleepers_percent))
        time.sleep(interval + 0.5)
        thief = refresh(server, stolen)
        assert (thief.status_code, thief.json()["error_code"]) == (400, "refresh_token_already_used"), thief.text
        owner = refresh(server, current)
        assert (owner.status_code, owner.json()["error_code"]) == (400, "refresh_token_already_used"), owner.text
        return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--sleepers", type=int, default=5, help="percent of the clients that sleep through a round")
    parser.add_argument("--interval", type=int, default=10, help="refresh_token_reuse_interval in seconds")
    arguments = parser.parse_args()
    figures = run(arguments.clients, arguments.rounds, arguments.kills, arguments.sleepers, arguments.interval)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
