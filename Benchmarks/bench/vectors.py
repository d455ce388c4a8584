# SPDX-License-Identifier: Apache-2.0
"""The work of the part `vectors`: a program, called with its facts as JSON. Loopback alone, bounded times, interleaved rounds."""

import http.client
import json
import os
import pathlib
import random
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

import numpy as np
import psycopg

FACTS = json.loads(sys.argv[1])
ADDRESS = urllib.parse.urlsplit(FACTS["url"])
ROUNDS = 3
SECONDS = 2.0
BATCH = 500
random.seed(1)


def say(text):
    print(text, flush=True)


def median(values):
    return statistics.median(values)


class Client:
    """One connection to Atoll."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=120)
        self.headers = {"api-key": FACTS["key"], "Content-Type": "application/json"}

    def send(self, method, path, body=None, headers=None):
        """The answer's `result`; anything but 200 ends the run. `body` may be bytes that are JSON already."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.connection.request(method, ADDRESS.path + path, body, {**self.headers, **(headers or {})})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"bench: {method} {path}: {answer.status} {text[:500]}")
        return text

    def result(self, *arguments, **named):
        return json.loads(self.send(*arguments, **named))["result"]


class Searcher:
    """One connection that sends requests which were written beforehand, and reads of an answer no more than its status and length.

    It takes about as much of a processor as psycopg does for a prepared statement; `http.client` takes three times that, which
    would be measured with the server where both share the processors.
    """

    def __init__(self):
        self.socket = socket.create_connection((ADDRESS.hostname, ADDRESS.port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def request(path, body):
        head = (
            f"POST {ADDRESS.path}{path} HTTP/1.1\r\nHost: {ADDRESS.netloc}\r\napi-key: {FACTS['key']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        return head.encode() + body

    def send(self, request):
        self.socket.sendall(request)
        answer = self.socket.recv(65536)
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self.more()
        head = answer[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"bench: {answer[:500]}")
        start = head.index(b"content-length:") + 15
        stop = head.find(b"\r", start)
        length = int(head[start:stop] if stop > 0 else head[start:])
        missing = end + 4 + length - len(answer)
        while missing > 0:
            missing -= len(self.more())

    def more(self):
        part = self.socket.recv(65536)
        if not part:
            raise SystemExit("bench: the server closed the connection")
        return part


def clustered(count, size, seed):
    """Vectors as embeddings are: in clusters, of length one."""
    generator = np.random.default_rng(seed)
    centers = generator.normal(size=(max(20, count // 200), size))
    made = centers[generator.integers(len(centers), size=count)] + 0.6 * generator.normal(size=(count, size))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def truth(vectors, queries, limit=10):
    scores = queries @ vectors.T
    return [set(np.argpartition(-row, limit)[:limit].tolist()) for row in scores]


def bodies(vectors):
    """Upserts as clients send them, encoded beforehand."""
    made = []
    for start in range(0, len(vectors), BATCH):
        points = [
            {"id": start + i, "vector": row.tolist(), "payload": {"n": start + i}}
            for i, row in enumerate(vectors[start : start + BATCH])
        ]
        made.append(json.dumps({"points": points}).encode())
    return made


def in_parallel(count, work):
    """Runs `work(number)` on as many threads; the seconds it took."""
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.monotonic() - begin


def create(client, name, size, **more):
    client.send("DELETE", f"/collections/{name}")
    client.send("PUT", f"/collections/{name}", {"vectors": {"size": size, "distance": "Cosine"}, **more})


def upload(name, encoded, clients):
    """Seconds for all batches with `wait=true`."""
    def work(number):
        client = Client()
        for body in encoded[number::clients]:
            client.send("PUT", f"/collections/{name}/points?wait=true", body)

    return in_parallel(clients, work)


def rate(search, clients, seconds=SECONDS):
    """Searches a second; `search` makes a function for each client."""
    counts = [0] * clients
    end = time.monotonic() + seconds

    def work(number):
        one = search()
        while time.monotonic() < end:
            one()
            counts[number] += 1

    took = in_parallel(clients, work)
    return sum(counts) / took


# --- upserts ---------------------------------------------------------------------------------------------------------------


def copy_rows(vectors, first=0):
    """The same rows in COPY's binary form: id from `first` on, vector, payload."""
    size = vectors.shape[1]
    made = bytearray(b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0))
    big = vectors.astype(">f4")
    for number, row in enumerate(big, first):
        payload = b'\x01{"n": %d}' % number
        made += struct.pack("!hiq", 3, 8, number) + struct.pack("!iHH", 4 + 4 * size, size, 0) + row.tobytes()
        made += struct.pack("!i", len(payload)) + payload
    return bytes(made + struct.pack("!h", -1))


def warm(database):
    """Makes a server that was just started one that has been in use: its buffers touched, its log segments there to be reused.

    A machine gives memory to who touches it first, which on a virtual one takes longer than all else that writing a row takes.
    """
    # By insert: COPY and CREATE TABLE AS keep to a few buffers.
    database.execute("create table warm (n bigint, text text)")
    database.execute("insert into warm select n, repeat('x', 1000) from generate_series(1, 1000000) as n")
    database.execute("drop table warm")


def settle():
    """Waits for the disk: what one step has left to be written must not slow the next."""
    os.sync()
    time.sleep(0.5)


def durable_copies(database, parts, clients, name):
    """Seconds for ready-made rows in parts of the same size, each a COPY and a commit, into a table with as many indexes as points have.

    What PostgreSQL and the disk allow, with nothing of HTTP, JSON and row level security.
    """
    database.execute(f"create unique index on {name} (id)")
    database.execute(f"create index on {name} (id, (1))")
    settle()

    def work(number):
        with psycopg.connect(FACTS["database"], autocommit=True) as own:
            for part in parts[number::clients]:
                with own.cursor().copy(f"copy bench.{name} from stdin (format binary)") as copy:
                    copy.write(part)

    return in_parallel(clients, work)


def upserts(vectors):
    """Each round fills a table and collections that are new, so that neither side finds pages the other has to ask the system for."""
    client = Client()
    encoded = bodies(vectors)
    rows = copy_rows(vectors)
    size = vectors.shape[1]
    parts = [copy_rows(vectors[start : start + BATCH], start) for start in range(0, len(vectors), BATCH)]
    times = {"copy": [], "durable": [], 1: [], 4: []}
    with psycopg.connect(FACTS["database"], autocommit=True) as database:
        database.execute("create schema if not exists bench")
        database.execute("set search_path to bench, extensions, public")
        warm(database)
        for number in range(ROUNDS):
            for name in (f"copied_{number}", f"durable_{number}"):
                database.execute(f"create table {name} (id bigint, embedding vector({size}), payload jsonb)")
                database.execute(f"alter table {name} alter embedding set storage plain")
            settle()
            begin = time.monotonic()
            with database.cursor().copy(f"copy copied_{number} from stdin (format binary)") as copy:
                copy.write(rows)
            times["copy"].append(time.monotonic() - begin)
            for clients in (1, 4):
                name = f"upserts_{number}_{clients}"
                create(client, name, size, optimizers_config={"indexing_threshold": 0})
                settle()
                times[clients].append(upload(name, encoded, clients))
            times["durable"].append(durable_copies(database, parts, 4, f"durable_{number}"))
        count = len(vectors)
        copied = count / median(times["copy"])
        say(f"Upserts of {count} x {size} in batches of {BATCH}, wait=true; binary COPY into a table without indexes beside it")
        say(f"  COPY       {copied:9.0f} rows/s")
        for clients in (1, 4):
            made = count / median(times[clients])
            say(f"  {clients} client{'s' if clients > 1 else ' '}  {made:9.0f} points/s   {made / copied:5.2f} of COPY   (goal: 0.5)")
        durable = count / median(times["durable"])
        say(
            f"  COPY of {BATCH} rows a commit, 4 connections, two indexes as points have: {durable:.0f} rows/s, {durable / copied:.2f} of "
            f"COPY; 4 clients {count / median(times[4]) / durable:.2f} of that")
        for number in range(ROUNDS):
            database.execute(f"drop table copied_{number}, durable_{number}")
            for clients in (1, 4):
                client.send("DELETE", f"/collections/upserts_{number}_{clients}")


# --- searches --------------------------------------------------------------------------------------------------------------


def searches(count, size):
    vectors = clustered(count, size, 7)
    queries = clustered(count, size, 7)[:0]
    generator = np.random.default_rng(9)
    queries = vectors[generator.integers(count, size=200)] + 0.25 * generator.normal(size=(200, size)) / size**0.5
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    expected = truth(vectors, queries)
    client = Client()
    create(client, "searched", size, optimizers_config={"indexing_threshold": 1000})
    encoded = bodies(vectors)
    upload("searched", encoded, 2)
    asked = [json.dumps({"query": q.tolist(), "limit": 10, "params": {"hnsw_ef": 100}}).encode() for q in queries]
    begin = time.monotonic()
    meanwhile = 0
    while True:
        for body in random.sample(asked, 5):
            client.send("POST", "/collections/searched/points/query", body)
            meanwhile += 1
        info = client.result("GET", "/collections/searched")
        if info["status"] == "green" and info["indexed_vectors_count"] == count:
            break
        if time.monotonic() - begin > 240:
            raise SystemExit(f"bench: not green: {info['status']} {info['indexed_vectors_count']}")
    green = time.monotonic() - begin

    database = psycopg.connect(FACTS["database"], autocommit=True)
    database.execute("create schema if not exists bench")
    database.execute("set search_path to bench, extensions, public")
    database.execute("drop table if exists raw")
    database.execute(f"create table raw (id bigint primary key, embedding vector({size}), payload jsonb)")
    database.execute("alter table raw alter embedding set storage plain")
    with database.cursor().copy("copy raw from stdin (format binary)") as copy:
        copy.write(copy_rows(vectors))
    database.execute("set maintenance_work_mem = '512MB'")
    database.execute("set max_parallel_maintenance_workers = 0")
    begin = time.monotonic()
    database.execute("create index on raw using hnsw (embedding vector_ip_ops) with (m = 16, ef_construction = 100)")
    raw_build = time.monotonic() - begin
    database.execute("vacuum analyze raw")
    texts = ["[" + ",".join(map(str, q.tolist())) + "]" for q in queries]
    statement = "select id, -(embedding <#> %s::vector) from raw order by embedding <#> %s::vector limit 10"

    requests = [Searcher.request("/collections/searched/points/query", body) for body in asked]

    def atoll_search():
        own = Searcher()
        return lambda: own.send(random.choice(requests))

    def raw_search():
        own = psycopg.connect(FACTS["database"], autocommit=True, prepare_threshold=0)
        own.execute("set search_path to bench, extensions, public")
        own.execute("set hnsw.ef_search = 100")

        def one():
            text = random.choice(texts)
            return own.execute(statement, (text, text)).fetchall()

        return one

    found = [
        {hit["id"] for hit in client.result("POST", "/collections/searched/points/query", body)["points"]} for body in asked
    ]
    recall = {"atoll": np.mean([len(f & e) / 10 for f, e in zip(found, expected)])}
    database.execute("set hnsw.ef_search = 100")
    found = [{row[0] for row in database.execute(statement, (text, text)).fetchall()} for text in texts]
    recall["pgvector"] = np.mean([len(f & e) / 10 for f, e in zip(found, expected)])
    rates = {(name, clients): [] for name in ("atoll", "pgvector", "qdrant") for clients in (1, 4)}
    shard, edge_recall = edge(vectors, queries, expected)
    for _ in range(ROUNDS):
        for clients in (1, 4):
            rates["atoll", clients].append(rate(atoll_search, clients))
            rates["pgvector", clients].append(rate(raw_search, clients))
            if shard:
                rates["qdrant", clients].append(rate(lambda: lambda: shard(random.randrange(len(queries))), clients))
    if shard:
        recall["qdrant"] = edge_recall
    say(f"Searches of {count} x {size}, 10 nearest, hnsw_ef 100, over HTTP; pgvector in the same database, Qdrant's engine in process")
    say(f"  green after {green:.1f} s, {meanwhile / green:.0f} searches/s meanwhile (the same index by hand: {raw_build:.1f} s)")
    for clients in (1, 4):
        for name in ("atoll", "pgvector", "qdrant"):
            if rates[name, clients]:
                made = median(rates[name, clients])
                other = median(rates["atoll", clients]) / made
                ratio = "" if name == "atoll" else f"   atoll / {name}: {other:5.2f}"
                say(f"  {clients} client{'s' if clients > 1 else ' '} {name:9} {made:8.0f}/s   recall {recall[name]:.3f}{ratio}")
    client.send("DELETE", "/collections/searched")
    database.execute("drop table raw")
    database.close()


def edge(vectors, queries, expected):
    """A search in Qdrant's own engine, and its recall; None where it is not installed."""
    try:
        import qdrant_edge as engine
    except ImportError:
        say("  (Qdrant's engine is not installed: scripts/setup --bench)")
        return None, 0
    folder = tempfile.mkdtemp(prefix="atoll-bench-edge-")
    graph = engine.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=1)
    config = engine.EdgeConfig(
        vectors=engine.EdgeVectorParams(size=vectors.shape[1], distance=engine.Distance.Cosine), hnsw_config=graph)
    shard = engine.EdgeShard.create(folder, config)
    for start in range(0, len(vectors), 2000):
        points = [
            engine.Point(start + i, row.tolist(), {"n": start + i}) for i, row in enumerate(vectors[start : start + 2000])
        ]
        shard.update(engine.UpdateOperation.upsert_points(points))
    shard.optimize()
    asked = [
        engine.SearchRequest(engine.Query.Nearest(q.tolist()), 10, params=engine.SearchParams(hnsw_ef=100)) for q in queries
    ]
    found = [{hit.id for hit in shard.search(request)} for request in asked]
    return (lambda number: shard.search(asked[number])), np.mean([len(f & e) / 10 for f, e in zip(found, expected)])


# --- tenants ---------------------------------------------------------------------------------------------------------------


def filtered():
    """One collection, 1,000 tenants with 100 vectors each."""
    vectors = clustered(100_000, 128, 3)
    client = Client()
    create(client, "tenants", 128)
    owners = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(1000)]
    encoded = []
    for start in range(0, len(vectors), BATCH):
        points = [
            {"id": start + i, "vector": row.tolist(), "payload": {"user_id": owners[(start + i) % 1000]}}
            for i, row in enumerate(vectors[start : start + BATCH])
        ]
        encoded.append(json.dumps({"points": points}).encode())
    upload("tenants", encoded, 2)
    picks = [(random.randrange(1000), vectors[random.randrange(len(vectors))]) for _ in range(300)]
    asked = [
        json.dumps({
            "query": query.tolist(), "limit": 10,
            "filter": {"must": [{"key": "user_id", "match": {"value": owners[owner]}}]},
        }).encode()
        for owner, query in picks
    ]
    hits = 0
    for (owner, query), body in zip(picks, asked):
        own = np.arange(owner, len(vectors), 1000)
        expected = set(own[np.argsort(-(vectors[own] @ query))[:10]].tolist())
        hits += len(expected & {hit["id"] for hit in client.result("POST", "/collections/tenants/points/query", body)["points"]})

    requests = [Searcher.request("/collections/tenants/points/query", body) for body in asked]

    def search():
        own = Searcher()
        return lambda: own.send(random.choice(requests))

    rates = {clients: [rate(search, clients) for _ in range(ROUNDS)] for clients in (1, 4)}
    say("Searches filtered by tenant, one collection, 1,000 tenants x 100 vectors of 128")
    say(f"  recall {hits / (10 * len(picks)):.3f} (goal: 1.0)   1 client {median(rates[1]):.0f}/s   4 clients {median(rates[4]):.0f}/s")
    client.send("DELETE", "/collections/tenants")


def resident():
    """Of the server and of PostgreSQL's shared and private memory, roughly: the server's alone, in bytes."""
    for line in pathlib.Path(f"/proc/{FACTS['pid']}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def many():
    """A collection for each of many tenants: making them, what they cost, and whether a search minds how many there are."""
    client = Client()
    database = psycopg.connect(FACTS["database"], autocommit=True)
    total = FACTS["tenants"]
    first = 2000
    space = """
        select sum(pg_total_relation_size(c.oid)) from pg_class c
        where c.relnamespace = 'vectors'::regnamespace and c.relkind = 'r' and c.relname ~ '^(collections|aliases|points|named|indexes)'
    """
    database.execute("set role service_role")
    tenants = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(total)]
    with database.cursor().copy("copy tenancy.tenants (id, name, slug) from stdin") as copy:
        for tenant in tenants:
            copy.write_row((tenant, "bench", f"b-{tenant}"))
    database.execute("reset role")
    before_disk = database.execute(space).fetchone()[0]
    before_memory = resident()
    settings = {"vectors": {"size": 128, "distance": "Cosine"}}

    def make(start, end):
        def work(number):
            own = Client()
            for tenant in tenants[start + number:end:4]:
                own.send("PUT", "/collections/notes", settings, {"X-Atoll-Tenant": tenant})

        return in_parallel(4, work)

    # The same few search while there are more and more others, so that nothing but these can make a difference.
    busy = tenants[:10]
    make(0, 10)
    vectors = clustered(10, 128, 5)
    body = json.dumps({"points": [{"id": i, "vector": v.tolist()} for i, v in enumerate(vectors)]}).encode()
    asked = json.dumps({"query": vectors[0].tolist(), "limit": 5}).encode()
    for tenant in busy:
        client.send("PUT", "/collections/notes/points?wait=true", body, {"X-Atoll-Tenant": tenant})

    def latency(among):
        """The median of some medians, in milliseconds."""
        medians = []
        for _ in range(5):
            times = []
            for _ in range(400):
                tenant = random.choice(among)
                begin = time.monotonic()
                client.send("POST", "/collections/notes/points/query", asked, {"X-Atoll-Tenant": tenant})
                times.append((time.monotonic() - begin) * 1000)
            medians.append(median(times))
        return median(medians)

    for _ in range(3):
        latency(busy)
    latencies = {10: latency(busy)}
    make(10, 1000)
    latencies[1000] = latency(busy)
    created = (first - 1000) / make(1000, first)
    points_disk = database.execute(space).fetchone()[0]
    database.execute("set role service_role")
    database.execute(
        "insert into vectors.collections (tenant_id, name, bucket, settings) select t, 'notes', 0, c.settings "
        "from unnest(%s::uuid[]) t cross join (select settings from vectors.collections where name = 'notes' limit 1) c",
        (tenants[first:],))
    database.execute("reset role")
    after_disk = database.execute(space).fetchone()[0]
    # Every tenant's collection is asked once, so that what the server remembers of them counts.
    sample = random.sample(tenants, min(total, 10_000))

    def touch(number):
        own = Client()
        for tenant in sample[number::4]:
            own.send("GET", "/collections/notes/exists", headers={"X-Atoll-Tenant": tenant})

    in_parallel(4, touch)
    latencies[total] = latency(busy)
    memory = resident() - before_memory
    say(f"{total} tenants with a collection each, all in one database")
    say(f"  made: {created:.0f}/s over HTTP with 4 clients")
    say(
        f"  disk {(after_disk - points_disk) / (total - first):.0f} bytes a tenant, "
        f"memory of the server {max(memory, 0) / len(sample):.0f} bytes a remembered collection   (goal: under 4096 each)")
    shown = ", ".join(f"{count}: {value:.2f} ms" for count, value in latencies.items())
    say(f"  search latency by tenants   {shown}   with the most / with 10: {latencies[total] / latencies[10]:.2f} (goal: 1.2)")
    for tenant in busy:
        client.send("DELETE", "/collections/notes", headers={"X-Atoll-Tenant": tenant})
    database.close()


def main():
    wanted = set(FACTS["parts"].split(",")) - {""}
    def chosen(name):
        return not wanted or name in wanted

    if chosen("upserts"):
        upserts(clustered(FACTS["points"], 128, 2))
    if chosen("search128"):
        searches(FACTS["points"], 128)
    if chosen("search768"):
        searches(FACTS["points"] // 5, 768)
    if chosen("filtered"):
        filtered()
    if chosen("many"):
        many()


main()
