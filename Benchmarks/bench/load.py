# SPDX-License-Identifier: Apache-2.0
"""Load on a server by wrk, and the same statements by pgbench."""

import dataclasses
import json
import re
import subprocess

from .machine import CONNECTIONS, ROOT, SECONDS, call, postgres_program


def wrk(url, connections=CONNECTIONS, headers=(), script=None, seconds=SECONDS):
    """Requests a second; refuses a run in which any answer was no success."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    for header in headers:
        command += ["-H", header]
    if script:
        command += ["-s", script]
    text = subprocess.run(command + [url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"bench: failed answers from {url}:\n{text}")
    return int(re.search(r"(\d+) requests in", text)[1]) / seconds


@dataclasses.dataclass
class Mix:
    """Requests of one kind: `path` and `body` may hold `{n}`, a random number up to `count`, or `{serial}`, one never used before."""

    path: str
    method: str = "GET"
    body: str = ""
    count: int = 1
    content_type: str = "application/json"

    def write(self, path, start=0):
        """The script for wrk. Requests are made beforehand: making them while measuring would measure the generator. Only what
        holds a serial number has to be made anew each time."""

        def expression(text):
            parts = re.split(r"(\{n\}|\{serial\})", text)
            lua = {"{n}": "n", "{serial}": "serial"}
            return " .. ".join(lua.get(part, json.dumps(part)) for part in parts if part) or '""'

        body = f"""
wrk.method = "{self.method}"
{f'wrk.headers["Content-Type"] = "{self.content_type}"' if self.body else ''}
local serial = {start}
local function make()
    local n = math.random({self.count})
    serial = serial + 1
    return wrk.format("{self.method}", {expression(self.path)}, nil, {expression(self.body) if self.body else 'nil'})
end
"""
        if "{serial}" in self.path + self.body:
            body += "init = function() math.randomseed(42) end\nrequest = make\n"
        else:
            body += """
local requests = {}
local position = 0
init = function()
    math.randomseed(42)
    for number = 1, 4096 do requests[number] = make() end
end
request = function()
    position = position % 4096 + 1
    return requests[position]
end
"""
        path.write_text(body)
        return path


def transaction(atoll, path, headers, statement, variables=("\\set id random(1, 100000)",), *, read_only=True):
    """What one of Atoll's requests sends, for pgbench as one pipeline: the statements as PostgreSQL saw them, the same values.

    Those that surround the request's own are taken from PostgreSQL's views, so that they cannot differ from what Atoll runs, and their
    values from a function that a request of the same kind calls. `statement` is the request's own, with pgbench's variables in it.
    Returns the options that set the values.
    """
    preamble = atoll.psql(
        "select query from extensions.pg_stat_statements where query like 'select pg_catalog.%set_config%' "
        "order by calls desc, length(query) desc limit 1")
    # PostgreSQL counts no utility statements of this kind, so these are named, and looked for where they are sent.
    source = (ROOT / "Sources/Core/Postgres/Connection+sending.swift").read_text()
    resets = ["reset all", "discard temporary"]
    if re.findall(r'sendPrepared\("([^"]+)", operation, handle, role: nil, isQuiet: true\)', source) != resets:
        raise SystemExit("bench: what a unit of work begins with has changed; change `resets`")
    pairs = len(re.findall("set_config", preamble))
    status, settings = call("GET", f"{atoll.url}/rest/v1/rpc/bench_settings", headers)
    if status != 200:
        raise SystemExit(f"bench: cannot learn what a request sends: {status} {settings}")
    settings = {name: value for name, value in settings.items() if value is not None}
    if pairs > len(settings):
        raise SystemExit(f"bench: a request sets {pairs} settings, and only {list(settings)} are known")
    options = []
    for number, (name, value) in enumerate(list(settings.items())[:pairs]):
        options += ["-D", f"p{number * 2 + 1}={name}", "-D", f"p{number * 2 + 2}={value}"]
    lines = [*variables, "\\startpipeline"]
    lines += [f"{reset};" for reset in resets]
    lines.append(re.sub(r"\$(\d+)", r":p\1", preamble) + ";")
    lines.append(" ".join(statement.split()) + ";")
    lines.append("\\endpipeline")
    path.write_text("\n".join(lines) + "\n")
    return options


def pgbench(atoll, script, options=(), connections=CONNECTIONS, seconds=SECONDS):
    """Transactions a second, logged in as the server is."""
    text = subprocess.run(
        [postgres_program("pgbench"), "-n", "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(seconds),
         "-f", str(script), *options, atoll.status["DB_URL"]],
        capture_output=True, text=True)
    if text.returncode != 0 or "tps" not in text.stdout:
        raise SystemExit(f"bench: pgbench failed:\n{text.stdout}{text.stderr}")
    failed = re.search(r"number of failed transactions: (\d+)", text.stdout)
    if failed and int(failed[1]) > 0:
        raise SystemExit(f"bench: pgbench had failures:\n{text.stdout}")
    return float(re.search(r"tps = ([\d.]+)", text.stdout)[1])
