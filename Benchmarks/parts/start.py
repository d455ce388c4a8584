# SPDX-License-Identifier: Apache-2.0
"""Start-up times and idle memory."""

from bench import ROUNDS, median, resident_mib, say

ORDER = 20


def run(bench):
    atoll = bench.atoll
    idle = resident_mib(atoll.pid)
    later = []
    for _ in range(ROUNDS):
        atoll.stop()
        later.append(atoll.start())
    say("Start to first answered request")
    say(f"  first {bench.first_start:.2f} s (goal: 5)   later {median(later):.2f} s (goal: 1.5)")
    say(f"Resident memory of Atoll, idle: {idle:.1f} MiB (goal: under 40)")
