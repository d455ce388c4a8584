#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From sign-up to a usable home, by the API alone, with the time each step takes.

    make run                                    # in another terminal
    eval "$(atoll status -o env)"
    .tools/python/bin/python examples/onboarding.py --people 20

Each newcomer signs up, is set up (profile, keys, schema, vector collection, settings), stores a vector in the collection that is
theirs and finds it again. The last line compares the sign-up with what its password hash alone costs on this machine.
"""

import argparse
import ctypes
import ctypes.util
import os
import statistics
import sys
import time
import uuid
import warnings

import httpx
from qdrant_client import QdrantClient, models
from supabase import create_client

PASSWORD = "correct horse battery staple"


class Clock:
    """Milliseconds by step, over all newcomers."""

    def __init__(self):
        self.steps = {}

    def time(self, step, work):
        start = time.perf_counter()
        value = work()
        self.steps.setdefault(step, []).append((time.perf_counter() - start) * 1000)
        return value

    def print(self):
        print(f"{'step':<24}{'p50 ms':>10}{'max ms':>10}")
        for step, times in self.steps.items():
            print(f"{step:<24}{statistics.median(times):>10.1f}{max(times):>10.1f}")


def bcrypt_milliseconds(cost, count=5):
    """What hashing one password takes, with the library the server uses."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = f"$2b${cost:02}$abcdefghijklmnopqrstuu".encode()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        if not library.crypt(PASSWORD.encode(), salt):
            raise OSError("libcrypt makes no bcrypt hashes")
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def set_up(url, token, keys):
    """Runs the set-up to its end and returns what it says of itself."""
    response = httpx.post(
        f"{url}/api/setup",
        headers={"Authorization": f"Bearer {token}", "Prefer": "wait=60"},
        json={"profile": {"full_name": "New Comer"}, "keys": keys, "preferences": {"language": "en"}},
        timeout=90,
    )
    response.raise_for_status()
    state = response.json()
    if state["status"] != "completed":
        failed = [step for step in state["steps"] if step["status"] == "failed"]
        raise SystemExit(f"the set-up is {state['status']}: {failed}")
    return state


def use_home(vectors, token, collection):
    """Stores a vector in the newcomer's own collection and finds it."""
    with warnings.catch_warnings():
        # The client warns of keys over plain HTTP, which loopback is.
        warnings.simplefilter("ignore")
        client = QdrantClient(url=vectors, api_key=token, timeout=30)
    vector = [0.0] * 1535 + [1.0]
    client.upsert(collection, [models.PointStruct(id=1, vector=vector, payload={"text": "hello"})], wait=True)
    found = client.query_points(collection, query=vector, limit=1).points
    client.close()
    if [point.payload for point in found] != [{"text": "hello"}]:
        raise SystemExit(f"the collection answers {found}")


def newcomer(arguments, clock):
    supabase = create_client(arguments.url, arguments.key)
    email = f"newcomer-{uuid.uuid4().hex[:12]}@example.com"
    start = time.perf_counter()
    session = clock.time(
        "sign up", lambda: supabase.auth.sign_up({"email": email, "password": PASSWORD}).session
    )
    if session is None:
        raise SystemExit("addresses have to be confirmed first: run this against a project without confirmations")
    token = session.access_token
    keys = dict(pair.split("=", 1) for pair in arguments.secret)
    state = clock.time("set up", lambda: set_up(arguments.url, token, keys))
    for step in state["steps"]:
        clock.steps.setdefault(f"  {step['name']}", []).append(step["duration_ms"] or 0)
    collection = next(s for s in state["steps"] if s["name"] == "vector_collection")["detail"]["collection_name"]
    clock.time("first vector", lambda: use_home(arguments.vectors, token, collection))
    clock.steps.setdefault("sign-up to usable home", []).append((time.perf_counter() - start) * 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("API_URL", "http://127.0.0.1:54321"))
    parser.add_argument("--key", default=os.environ.get("ANON_KEY"), help="the project's public key")
    parser.add_argument("--vectors", default="http://127.0.0.1:6333")
    parser.add_argument("--people", type=int, default=5, help="how many sign up, one after the other")
    parser.add_argument("--bcrypt-cost", type=int, default=10, help="the server's `[atoll.auth] bcrypt_cost`")
    parser.add_argument(
        "--secret", action="append", default=[], metavar="SERVICE=KEY", help="a third-party key to be stored"
    )
    arguments = parser.parse_args()
    if not arguments.key:
        parser.error("name the public key with --key, or set ANON_KEY")
    clock = Clock()
    for _ in range(arguments.people):
        newcomer(arguments, clock)
    clock.print()
    alone = bcrypt_milliseconds(arguments.bcrypt_cost)
    sign_up = statistics.median(clock.steps["sign up"])
    print(f"bcrypt alone {alone:.1f} ms, sign-up p50 {sign_up:.1f} ms: {sign_up / alone:.2f} times as long")
    return 0


if __name__ == "__main__":
    sys.exit(main())
