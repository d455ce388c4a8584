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


# What REST sets for each request.
SETTINGS = [
    "role", "transaction_read_only", "search_path", "request.jwt.claims", "request.identity", "request.method", "request.path",
    "request.headers", "request.cookies",
]


@dataclasses.dataclass
class Mix:
    """Requests of one kind: `path` and `body` may hold `{n}`, a random number from 1 to `count`."""

    path: str
    method: str = "GET"
    body: str = ""
    count: int = 1
    headers: tuple = ()
    # How the number is written: Lua's format.
    number: str = "%d"

    def write(self, path):
        """The script for wrk. The requests are made beforehand: making them while measuring would measure the generator."""

        def expression(text):
            parts = re.split(r"(\{n\})", text)
            return " .. ".join("n" if part == "{n}" else json.dumps(part) for part in parts if part) or '""'

        headers = dict(self.headers)
        if self.body:
            headers["Content-Type"] = "application/json"
        lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
        path.write_text("\n".join(lines) + f"""
local requests = {{}}
local position = 0
init = function()
    math.randomseed(42)
    for number = 1, 4096 do
        local n = string.format("{self.number}", math.random({self.count}))
        requests[number] = wrk.format(
            "{self.method}", {expression(self.path)}, nil, {expression(self.body) if self.body else 'nil'})
    end
end
request = function()
    position = position % 4096 + 1
    return requests[position]
end
""")
        return path


def transaction(atoll, path, headers, statement, variables=(), *, reads):
    """What one of Atoll's requests sends, for pgbench as one pipeline: the statements as PostgreSQL saw them, the same values.

    Those that surround the request's own are taken from PostgreSQL's views, so that they cannot differ from what Atoll runs, and their
    values from a function that a request of the same kind calls. `statement` is the request's own, with pgbench's variables in it.
    Returns the options that set the values.
    """
    # PostgreSQL counts no utility statements of this kind, so these are named, and looked for where they are sent.
    source = (ROOT / "Sources/Core/Postgres/Connection+sending.swift").read_text()
    resets = ["reset all", "discard temporary"]
    if re.findall(r'sendPrepared\("([^"]+)", operation, handle, role: nil, isQuiet: true\)', source) != resets:
        raise SystemExit("bench: what a unit of work begins with has changed; change `resets`")
    status, values = call("GET", f"{atoll.url}/rest/v1/rpc/bench_settings", headers)
    if status != 200:
        raise SystemExit(f"bench: cannot learn what a request sends: {status} {values}")
    names = SETTINGS
    if not reads:
        names = [name for name in names if name != "transaction_read_only"]
    preamble = atoll.psql(
        "select query from extensions.pg_stat_statements where query like 'select pg_catalog.%set_config%' "
        f"and regexp_count(query, 'set_config') = {len(names)} limit 1")
    missing = [name for name in names if values.get(name) is None]
    if not preamble or missing:
        raise SystemExit(f"bench: a request sets other things than {names}; change them (unknown: {missing})")
    # Temporary tables are discarded only behind units that could have made some.
    if reads:
        resets.remove("discard temporary")
    options = []
    for number, name in enumerate(names):
        options += ["-D", f"p{number * 2 + 1}={name}", "-D", f"p{number * 2 + 2}={values[name]}"]
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
