# SPDX-License-Identifier: Apache-2.0
"""Auth: password sign-ins against what hashing allows, refreshes, GET /user idle and under sign-ins, verifying tokens."""

import base64
import ctypes
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import tempfile
import threading
import time

from bench import SECONDS, call, cpu_seconds, median, say, wrk

ORDER = 35
PASSWORD = "correct horse battery"
PEOPLE = 64


def hash_seconds():
    """Seconds one hash of cost 10 takes on one processor: libcrypt's, which Atoll calls."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    setting = b"$2b$10$" + b"abcdefghijklmnopqrstuu"
    crypt(b"x", setting)
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        crypt(PASSWORD.encode(), setting)
        times.append(time.perf_counter() - begin)
    return median(times)


class Caller(threading.Thread):
    """One connection that sends a request again and again and keeps how long each took."""

    def __init__(self, port, method, path, headers, bodies, ending, pause=0.0):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.request = (method, path, headers)
        self.bodies = bodies
        self.ending = ending
        self.pause = pause
        self.times = []
        self.failure = None

    def run(self):
        method, path, headers = self.request
        number = 0
        while not self.ending.is_set():
            body = self.bodies(number, self)
            number += 1
            begin = time.perf_counter()
            self.connection.request(method, path, body=body, headers=headers)
            answer = self.connection.getresponse()
            self.text = answer.read()
            self.times.append(time.perf_counter() - begin)
            if answer.status != 200:
                self.failure = f"{answer.status} {self.text[:200]}"
                return
            if self.pause:
                time.sleep(self.pause)
        self.connection.close()


def run_callers(callers, ending, seconds):
    """All times of the callers, which run for that long."""
    for caller in callers:
        caller.start()
    time.sleep(seconds)
    ending.set()
    for caller in callers:
        caller.join()
        if caller.failure:
            raise SystemExit(f"bench: auth answered {caller.failure}")
    return [each for caller in callers for each in caller.times]


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def sign_in_callers(atoll, emails, count, ending):
    headers = {"apikey": atoll.status["ANON_KEY"], "Content-Type": "application/json"}

    def body(index):
        return lambda number, _: json.dumps(
            {"email": emails[(index + number * count) % len(emails)], "password": PASSWORD})

    return [
        Caller(atoll.port, "POST", "/auth/v1/token?grant_type=password", headers, body(index), ending)
        for index in range(count)
    ]


def user_times(atoll, session, seconds, load=()):
    """Times of GET /user, one each few milliseconds, with the load running beside it."""
    ending = threading.Event()
    headers = {"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {session['access_token']}"}
    reader = Caller(atoll.port, "GET", "/auth/v1/user", headers, lambda *_: None, ending, pause=0.004)
    run_callers([reader, *load(ending)] if load else [reader], ending, seconds)
    return reader.times


def refreshes(atoll, sessions, seconds):
    """Refreshes a second, each connection with a session of its own."""
    ending = threading.Event()
    headers = {"apikey": atoll.status["ANON_KEY"], "Content-Type": "application/json"}

    def body(first):
        def next_body(number, caller):
            token = json.loads(caller.text)["refresh_token"] if number else first
            return json.dumps({"refresh_token": token})

        return next_body

    callers = [
        Caller(atoll.port, "POST", "/auth/v1/token?grant_type=refresh_token", headers, body(each["refresh_token"]), ending)
        for each in sessions
    ]
    return len(run_callers(callers, ending, seconds)) / seconds


def run(bench):
    atoll = bench.atoll
    emails = [f"auth{number}@example.com" for number in range(PEOPLE)]
    # Administrators make accounts without a limit of their own.
    admin = {"apikey": atoll.status["SERVICE_ROLE_KEY"], "Authorization": f"Bearer {atoll.status['SERVICE_ROLE_KEY']}"}
    for email in emails:
        status, answer = call(
            "POST", f"{atoll.url}/auth/v1/admin/users", admin,
            {"email": email, "password": PASSWORD, "email_confirm": True})
        if status != 200:
            raise SystemExit(f"bench: creating a user answered {status} {answer}")

    one = hash_seconds()
    cores = len(os.sched_getaffinity(0))
    limit = cores / one
    ending = threading.Event()
    seconds = max(SECONDS, 4)
    signed_in = len(run_callers(sign_in_callers(atoll, emails, 8, ending), ending, seconds)) / seconds
    say(f"Password sign-ins: {signed_in:.1f}/s, {signed_in / limit:.2f} of {cores} processors / {one * 1000:.1f} ms a hash   "
        f"(goal: at least 0.90)")

    sessions = []
    for email in emails[:8]:
        status, answer = call(
            "POST", f"{atoll.url}/auth/v1/token?grant_type=password", {"apikey": atoll.status["ANON_KEY"]},
            {"email": email, "password": PASSWORD})
        sessions.append(answer)
    say(f"Refreshes, 8 sessions: {refreshes(atoll, sessions, seconds):.0f}/s")

    session = sessions[0]
    status, session = call(
        "POST", f"{atoll.url}/auth/v1/token?grant_type=password", {"apikey": atoll.status["ANON_KEY"]},
        {"email": emails[0], "password": PASSWORD})
    idle = user_times(atoll, session, seconds)
    loaded = user_times(
        atoll, session, seconds, lambda ending: sign_in_callers(atoll, emails[1:], 8, ending))
    ratio = percentile(loaded, 0.99) / percentile(idle, 0.99)
    say(f"GET /user idle: p50 {percentile(idle, 0.5) * 1000:.2f} ms, p99 {percentile(idle, 0.99) * 1000:.2f} ms; "
        f"while sign-ins fill the pool: p50 {percentile(loaded, 0.5) * 1000:.2f} ms, "
        f"p99 {percentile(loaded, 0.99) * 1000:.2f} ms, {ratio:.1f} times idle   (goal: under 5)")

    measure_tokens(atoll)


def signed(secret, claims):
    """A token signed with the shared secret (HS256)."""
    def encode(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    text = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    return (text + b"." + encode(hmac.new(secret.encode(), text, hashlib.sha256).digest())).decode()


def cpu_of_requests(atoll, tokens):
    """Microseconds of Atoll's processor time a request takes whose keys are these tokens, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "tokens.lua"
        (pathlib.Path(folder) / "tokens.txt").write_text("\n".join(tokens) + "\n")
        script.write_text(f"""
local requests = {{}}
local position = 0
init = function()
    for token in io.lines({json.dumps(str(pathlib.Path(folder) / "tokens.txt"))}) do
        requests[#requests + 1] = wrk.format("GET", "/auth/v1/settings", {{["apikey"] = token}})
    end
end
request = function()
    position = position % #requests + 1
    return requests[position]
end
""")
        before = cpu_seconds(atoll.pid)
        rate = wrk(f"{atoll.url}/auth/v1/settings", script=str(script))
        return (cpu_seconds(atoll.pid) - before) / (rate * SECONDS) * 1e6


def measure_tokens(atoll):
    """What verifying a token costs when it was not seen before: more tokens than are remembered, against one."""
    def token(number):
        return signed(
            atoll.status["JWT_SECRET"],
            {"role": "anon", "iss": "bench", "jti": str(number), "exp": int(time.time()) + 3600})

    known = cpu_of_requests(atoll, [token(0)])
    fresh = cpu_of_requests(atoll, [token(number) for number in range(20_000)])
    say(f"Verifying a token (HS256): {fresh - known:.1f} us of processor time the first time; "
        f"{known:.1f} us the whole request once it is known")
