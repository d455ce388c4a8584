# SPDX-License-Identifier: Apache-2.0
"""Tabs that refresh one session at once, through kills of the server, are never logged out; a thief is.

The full form, 200 tabs and 1,000 rounds, is a command: see refresh_storm.py.
"""

import refresh_storm


def test_tabs_refresh_at_once_through_kills():
    figures = refresh_storm.run(clients=50, rounds=30, kills=2, sleepers_percent=0, interval=3)
    assert figures["logged_out"] == 0
    assert figures["kills"] == 2
