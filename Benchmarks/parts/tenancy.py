# SPDX-License-Identifier: Apache-2.0
"""Tenants: sign-ups with set-up a second, and REST reads while there are 10, 1,000 and 20,000 of them."""

import concurrent.futures
import json
import os
import re
import subprocess
import time
import urllib.request

from bench import Atoll, call, median, say

ORDER = 32
COUNTS = (10, 1_000, 20_000)
PEOPLE = 60
ROUNDS = 5
SECONDS = 4
# Tenants that read, in turn: the same few among more and more others, and so many that their rows are in no cache of the processor.
ACTIVE = (10, 256)

MIGRATION = """
create table public.entries (
    id bigint generated always as identity primary key,
    tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
    title text not null
);
create index entries_tenant_id_idx on public.entries (tenant_id, id desc);
alter table public.entries enable row level security;
create policy entries_own on public.entries for all to authenticated
    using (tenant_id = (select tenancy.current_tenant()))
    with check (tenant_id = (select tenancy.current_tenant()));
"""

# Accounts as Auth makes them, without hashing a password for each; the triggers make their homes.
FILL = """
insert into auth.users (id, aud, role, email, email_confirmed_at)
select gen_random_uuid(), 'authenticated', 'authenticated', 'filler' || n || '@example.com', now()
from generate_series({first}, {last}) n;
insert into public.entries (tenant_id, title)
select t.id, 'entry ' || n from tenancy.tenants t, generate_series(1, 20) n
where not exists (select from public.entries e where e.tenant_id = t.id);
"""


def run(bench):
    signups()
    reads()


def newcomer(atoll, number):
    """Seconds of the sign-up, and of the set-up after it."""
    begin = time.monotonic()
    session = atoll.signup(f"newcomer{number}@example.com")
    between = time.monotonic()
    request = urllib.request.Request(
        f"{atoll.url}/api/setup", method="POST",
        data=json.dumps({"profile": {"full_name": f"Newcomer {number}"}}).encode(),
        headers={**atoll.headers(session), "Content-Type": "application/json", "Prefer": "wait=60"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        state = json.load(answer)
    if state["status"] != "completed":
        raise SystemExit(f"bench: the set-up is {state}")
    return between - begin, time.monotonic() - between


def signups():
    for cost, note in ((10, "passwords hashed at cost 10"), (4, "at cost 4, which is next to nothing")):
        atoll = Atoll(configuration=f"[atoll.auth]\nbcrypt_cost = {cost}\n[auth.rate_limit]\nsign_in_sign_ups = 1000000\n")
        try:
            atoll.start()
            newcomer(atoll, 0)
            if cost == 10:
                one_after_the_other(atoll)
            begin = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                times = list(pool.map(lambda number: newcomer(atoll, number), range(1, PEOPLE + 1)))
            elapsed = time.monotonic() - begin
            say(f"Sign-ups with the whole set-up, 8 at once, {note}: {PEOPLE / elapsed:.1f}/s   "
                f"sign-up p50 {median([t for t, _ in times]) * 1000:.0f} ms, set-up p50 {median([t for _, t in times]) * 1000:.0f} ms")
        finally:
            atoll.remove()


def one_after_the_other(atoll):
    """What somebody waits for who comes alone, against the hash of the password, which nobody can do without."""
    alone = bcrypt_seconds()
    times = [newcomer(atoll, f"alone{number}") for number in range(20)]
    sign_up, home = median([t for t, _ in times]), median([sum(pair) for pair in times])
    say(f"One newcomer after the other: sign-up p50 {sign_up * 1000:.0f} ms, to a usable home {home * 1000:.0f} ms; "
        f"bcrypt alone {alone * 1000:.0f} ms ({sign_up / alone:.2f} and {home / alone:.2f} times as long)")


def bcrypt_seconds(cost=10, count=5):
    """Hashing one password with the library the server uses."""
    import ctypes
    import ctypes.util

    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    times = []
    for _ in range(count):
        begin = time.monotonic()
        if not library.crypt(b"correct horse", f"$2b${cost:02}$abcdefghijklmnopqrstuu".encode()):
            raise SystemExit("bench: libcrypt makes no bcrypt hashes")
        times.append(time.monotonic() - begin)
    return median(times)


def reads():
    """p50 and p99 of the same read, with more and more tenants beside the one that reads."""
    atoll = Atoll({"20260101000000_create_entries.sql": MIGRATION})
    try:
        atoll.start()
        figures = {}
        made = 0
        for count in COUNTS:
            fill(atoll, made + 1, count)
            made = count
            for active in sorted({min(count, few) for few in ACTIVE}):
                script = readers(atoll, active)
                measured = [latency(atoll, script) for _ in range(ROUNDS)]
                figures[count, active] = tuple(median([m[place] for m in measured]) for place in range(3))
        say("REST read of a tenant's newest 10 of 20 rows under row level security, 8 connections, some tenants in turn")
        for (count, active), (p50, p99, rate) in figures.items():
            first = min((figure for figure in figures.items() if figure[0][1] == active), key=lambda figure: figure[0][0])
            ratio = "" if first[0][0] == count else (
                f"   ({p50 / first[1][0]:.2f} and {p99 / first[1][1]:.2f} of those among {first[0][0]}; goal: 1.2)")
            say(f"  {active:4} of {count:6} tenants: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {rate:.0f}/s{ratio}")
    finally:
        atoll.remove()


def fill(atoll, first, last):
    """As the owner of the cluster: the triggers of accounts do the rest."""
    url = superuser(atoll)
    for start in range(first, last + 1, 5_000):
        atoll.psql(FILL.format(first=start, last=min(last, start + 4_999)), url=url)
    atoll.psql("vacuum analyze", "checkpoint", url=url)
    # What is still to be written of it must not be in the way of the reads.
    os.sync()
    time.sleep(1)


def superuser(atoll):
    """PostgreSQL's address as its administrator, over the socket in the project's state folder."""
    secrets = json.loads((atoll.folder / ".atoll" / "secrets.json").read_text())
    return re.sub(r"//postgres:[^@]*@", f"//supabase_admin:{password(secrets['database_key'])}@", atoll.status["DB_URL"])


def password(key):
    """As the program derives it from the project's key (HKDF with SHA-256)."""
    import base64
    import hashlib
    import hmac

    extracted = hmac.new(bytes(32), key.encode(), hashlib.sha256).digest()
    expanded = hmac.new(extracted, b"database password of role supabase_admin\x01", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(expanded[:24]).decode().rstrip("=")


def readers(atoll, count):
    """A script for wrk in which many tenants read in turn, with tokens signed as the server signs them."""
    rows = atoll.psql(
        f"select id, raw_app_meta_data ->> 'tenant_id' from auth.users order by md5(id::text) limit {count}",
        url=superuser(atoll))
    tokens = []
    for row in rows.splitlines():
        user, tenant = row.split("|")
        tokens.append(sign(atoll.status["JWT_SECRET"], {
            "sub": user, "role": "authenticated", "aud": "authenticated", "exp": int(time.time()) + 3600,
            "app_metadata": {"tenant_id": tenant}}))
    path = atoll.folder / f"readers{count}.lua"
    path.write_text(f"""
local tokens = {{{", ".join(json.dumps(token) for token in tokens)}}}
local requests = {{}}
local position = 0
init = function()
    for number, token in ipairs(tokens) do
        requests[number] = wrk.format("GET", "/rest/v1/entries?select=id,title&order=id.desc&limit=10", {{
            apikey = {json.dumps(atoll.status["ANON_KEY"])}, Authorization = "Bearer " .. token }})
    end
end
request = function()
    position = position % #requests + 1
    return requests[position]
end
""")
    return path


def sign(secret, claims):
    """A token with HS256."""
    import base64
    import hashlib
    import hmac

    def encoded(data):
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = encoded(b'{"alg":"HS256","typ":"JWT"}') + "." + encoded(json.dumps(claims).encode())
    return head + "." + encoded(hmac.new(secret.encode(), head.encode(), hashlib.sha256).digest())


def latency(atoll, script, path="/rest/v1/"):
    """p50 and p99 in milliseconds, and requests a second."""
    subprocess.run(["wrk", "-t1", "-c8", "-d1s", "-s", script, atoll.url + path], capture_output=True, check=True)
    text = subprocess.run(
        ["wrk", "-t1", "-c8", f"-d{SECONDS}s", "--latency", "-s", script, atoll.url + path],
        capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"bench: failed answers:\n{text}")
    units = {"us": 0.001, "ms": 1, "s": 1000}

    def at(percent):
        number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text).groups()
        return float(number) * units[unit]

    return at(50), at(99), float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
