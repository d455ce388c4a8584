# SPDX-License-Identifier: Apache-2.0
"""Sign-up until the new tenant's profile was read."""

import time

from bench import call, median, say

ORDER = 30


def run(bench):
    atoll = bench.atoll
    times = []
    for number in range(40):
        begin = time.monotonic()
        session = atoll.signup(f"bench{number}@example.com")
        status, profile = call("GET", f"{atoll.url}/api/user/profile", atoll.headers(session))
        if status != 200:
            raise SystemExit(f"bench: profile answered {status} {profile}")
        times.append(time.monotonic() - begin)
    say(f"Sign-up to the first read of the new tenant: p50 {median(times) * 1000:.0f} ms "
        f"(one password hash of cost 10 included)")
