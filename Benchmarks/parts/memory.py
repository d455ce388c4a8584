# SPDX-License-Identifier: Apache-2.0
"""Memory of Atoll while a large answer is sent."""

import http.client
import pathlib

from bench import resident_mib, say

ORDER = 60
MEBIBYTES = 50


def run(bench):
    atoll = bench.atoll
    user = bench.person["user"]["id"]
    atoll.psql(
        f"insert into public.documents (user_id, body) select '{user}', string_agg(md5(random()::text), '') "
        f"from generate_series(1, {MEBIBYTES}) document, generate_series(1, {(1 << 20) // 32}) group by document")
    connection = http.client.HTTPConnection("127.0.0.1", atoll.port, timeout=60)

    def read():
        connection.request("GET", "/rest/v1/documents?select=body", headers=bench.headers)
        answer = connection.getresponse()
        count = 0
        while piece := answer.read(1 << 16):
            count += len(piece)
        if answer.status != 200 or count < MEBIBYTES << 20:
            raise SystemExit(f"bench: a large answer came as {answer.status} with {count} bytes")

    growths = []
    for _ in range(3):
        # Makes the kernel count the highest resident memory anew.
        pathlib.Path(f"/proc/{atoll.pid}/clear_refs").write_text("5")
        before = resident_mib(atoll.pid)
        read()
        growths.append(resident_mib(atoll.pid, "VmHWM") - before)
    say(f"Answer of {MEBIBYTES} MiB: Atoll's resident memory grows by {max(growths):.1f} MiB at most   (goal: under 20)")
