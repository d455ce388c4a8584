# SPDX-License-Identifier: Apache-2.0
"""The README's tour: its commands run, in order and in one shell, and print what the page shows."""

import os
import re
import subprocess

import pytest

from atoll_server import ROOT, AtollServer, binary, example_migrations

END = "--- end of command ---"


def sessions():
    """Pairs of a command and the output that the README shows for it."""
    text = (ROOT / "README.md").read_text()
    pairs = []
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                pairs.append((line[2:], []))
            else:
                pairs[-1][1].append(line)
    return pairs


def normalised(text):
    """What differs from run to run, by name."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*\+00:00", "<time>", text).strip()


@pytest.fixture
def server():
    with AtollServer(migrations=example_migrations()) as server:
        yield server


def test_the_tour_prints_what_the_readme_shows(server):
    pairs = sessions()
    assert len(pairs) > 5
    commands = []
    for command, _ in pairs:
        # The tour stands in the repository; the test's project stands elsewhere, with free ports.
        command = command.replace("$PWD/.build/debug", str(binary().parent)).replace("cd example", f"cd {server.folder}")
        commands += [command, f"echo '{END}'"]
    shell = subprocess.run(
        ["bash", "-u"], input="\n".join(commands), capture_output=True, text=True, timeout=60, env=os.environ)
    outputs = shell.stdout.split(END)[:-1]
    assert len(outputs) == len(pairs), shell.stderr
    for (command, shown), printed in zip(pairs, outputs):
        assert normalised(printed) == normalised("\n".join(shown)), command
