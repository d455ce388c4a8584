# SPDX-License-Identifier: Apache-2.0
"""Names and header fields of every kind: no file leaves its place, nobody's object is reached, and nothing is a 5xx.

STORAGE_FUZZED_NAMES says how many names are tried (100,000 in the full form).
"""

import os
import random
import socket
from concurrent.futures import ThreadPoolExecutor

from atoll_server import AtollServer
from people import Person
from storage_projects import POLICIES, incoming_files, rows, stored_files, stored_rows

NAMES = int(os.environ.get("STORAGE_FUZZED_NAMES", "3000"))
WORKERS = 4

PIECES = [
    b"..", b".", b"/", b"//", b"\\", b"%2e", b"%2E%2e", b"%2f", b"%2F", b"%5c", b"%00", b"%0a", b"%0d%0a", b"%25", b"%",
    b"%zz", b"%c0%ae", b"%c0%af", b"%e2%80%ae", b"%ef%bc%8f", b"%ef%bc%8e", b"%cc%88", b"%c3%a4", b"a%cc%88", b"%20",
    b"%7f", b"%1b", b"%f0%9f%92%a9", b"%ff", b"%fe%ff", b"etc/passwd", b".atoll", b"secrets.json", b"objects", b"incoming",
    b"node", b"a", b"B", b"0", b"-", b"_", b"~", b"$(id)", b"`id`", b";", b"&", b"+", b"@", b":", b",", b"'", b"*", b"|",
    b"con", b"nul", b"x.txt", b".emptyFolderPlaceholder", b"public", b"sign", b"authenticated", b"info", b"list", b"upload",
    b"x" * 255, b"y" * 900, b"CON.", b"trailing.", b"trailing%20", b"%2e%2e%2f%2e%2e%2f", b"..;/", b"....//", b"?", b"#",
]
FIELDS = [
    b"Content-Type", b"Cache-Control", b"x-upsert", b"x-metadata", b"Range", b"If-None-Match", b"If-Modified-Since",
    b"If-Match", b"Content-Disposition", b"x-robots-tag", b"Upload-Metadata", b"Upload-Offset", b"Upload-Length",
    b"Tus-Resumable", b"x-amz-copy-source", b"x-amz-date", b"x-signature", b"X-Client-Info", b"Accept", b"Prefer",
    b"x-amz-content-sha256", b"x-amz-decoded-content-length", b"Authorization",
]
VALUES = [
    b"", b"a", b"-1", b"0", b"99999999999999999999", b"bytes=0-", b"bytes=-0", b"bytes=5-1", b"bytes=0-0,1-1", b"*", b"W/\"x\"",
    b"\"", b"true", b"TRUE", b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=x",
    b"text/html\t;", b"/", b"a/b/c", b"e30=", b"eyJhIjoxfQ==", b"%%%", b"AAAA", b"1.0.0", b"\xff\xfe", b"\xc3\xa4", b"x" * 3000,
    b"Thu, 01 Jan 1970 00:00:00 GMT", b"Mon, 99 Foo 9999 99:99:99 GMT", b"bucketName ZmlsZXM=,objectName Li4vLi4veA==",
    b"/files/../x", b"AWS4-HMAC-SHA256 Credential=a/20260101/b/s3/aws4_request,SignedHeaders=host,Signature=" + b"0" * 64,
    b"Bearer ", b"UNSIGNED-PAYLOAD", b"STREAMING-UNSIGNED-PAYLOAD-TRAILER", b"application/offset+octet-stream",
]
ROUTES = [
    (b"POST", b"/object/files/%s"), (b"PUT", b"/object/files/%s"), (b"GET", b"/object/files/%s"), (b"DELETE", b"/object/files/%s"),
    (b"GET", b"/object/authenticated/files/%s"), (b"GET", b"/object/public/%s"), (b"GET", b"/object/sign/files/%s?token=x"),
    (b"GET", b"/object/info/files/%s"), (b"POST", b"/object/sign/files/%s"), (b"POST", b"/object/upload/sign/files/%s"),
    (b"HEAD", b"/object/files/%s"), (b"POST", b"/object/%s"), (b"GET", b"/bucket/%s"), (b"POST", b"/object/list/%s"),
    (b"PATCH", b"/upload/resumable/%s"), (b"HEAD", b"/upload/resumable/%s"), (b"POST", b"/upload/resumable"),
    (b"GET", b"/s3/files/%s"), (b"PUT", b"/s3/files/%s"), (b"GET", b"/s3/%s"), (b"GET", b"/render/image/public/open/%s?width=5"),
    (b"PUT", b"/object/upload/sign/files/%s?token=x"), (b"POST", b"/bucket/%s/empty"), (b"GET", b"/object/files/x?download=%s"),
]


class Prober:
    """Sends requests as raw bytes, so that no client makes a name harmless."""

    def __init__(self, server, person, seed):
        self.address = ("127.0.0.1", server.api_port)
        self.own = f"{person.id}/".encode()
        self.credential = (
            f"Host: x\r\napikey: {server.status['ANON_KEY']}\r\nConnection: close\r\n".encode(),
            f"Authorization: Bearer {person.session.access_token}\r\n".encode(),
        )
        self.random = random.Random(seed)

    def name(self):
        text = b"".join(self.random.choices(PIECES, k=self.random.randrange(1, 7)))
        if self.random.random() < 0.1:
            text += bytes(self.random.choices(range(0x21, 0x100), k=5))
        return (self.own if self.random.random() < 0.7 else b"") + text

    def request(self):
        method, route = self.random.choice(ROUTES)
        fields = b"".join(
            name + b": " + self.random.choice(VALUES) + b"\r\n"
            for name in self.random.sample(FIELDS, self.random.choice([0, 0, 1, 2]))
        )
        credential = self.credential[0] + (b"" if b"Authorization:" in fields else self.credential[1])
        body = self.random.choice([b"", b"x", b"{}", b'{"prefix":""}', b'{"expiresIn":5}', b"--x\r\n\r\n", os.urandom(20)])
        if method in (b"GET", b"HEAD"):
            body = b""
        head = method + b" /storage/v1" + route.replace(b"%s", self.name()) + b" HTTP/1.1\r\n"
        return head + credential + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def probe(self):
        request = self.request()
        with socket.create_connection(self.address, timeout=20) as connection:
            connection.sendall(request)
            answer = b""
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except ConnectionResetError:
                pass
        return request, answer


def probe_many(server, person, seed, count):
    prober = Prober(server, person, seed)
    statuses = {}
    for _ in range(count):
        request, answer = prober.probe()
        assert answer.startswith(b"HTTP/1.1 "), (seed, request, answer[:200])
        status = int(answer[9:12])
        assert status < 500 or status in (501,), (seed, request, answer[:600])
        # Nothing of the server's own folder is ever told.
        for secret in (b"jwt_secret", b"root:x:0", b"encryption_keys"):
            assert secret not in answer, (seed, request)
        statuses[status] = statuses.get(status, 0) + 1
    return statuses


def folder_listing(server):
    """Everything in the project's folder, but what the server may write there."""
    own = (".atoll/storage/objects/", ".atoll/storage/incoming/", ".atoll/storage/rendered/", ".atoll/postgres", ".atoll/pg")
    return {
        path
        for path in (str(file.relative_to(server.folder)) for file in server.folder.rglob("*"))
        if not path.startswith(own) and "/data/" not in path and "/base/" not in path
    }


def test_no_name_escapes_and_nothing_fails():
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}) as server:
        person, other = Person(server, "ann"), Person(server, "ben")
        other.client.storage.from_("files").upload(f"{other.id}/secret", b"secret")
        before = folder_listing(server)
        seed = random.randrange(1 << 30)
        with ThreadPoolExecutor(WORKERS) as pool:
            runs = [pool.submit(probe_many, server, person, seed + number, NAMES // WORKERS) for number in range(WORKERS)]
            print("seed", seed, [run.result() for run in runs])
        assert {path for path in folder_listing(server) - before if "postgres" not in path} == set()
        assert stored_files(server) == stored_rows(server)
        known = {version for (version,) in rows(server, "select version from storage.uploads")}
        assert {name.split(".")[0] for name in incoming_files(server)} <= known
        strangers = rows(
            server,
            "select bucket_id, name from storage.objects where (storage.foldername(name))[1] is distinct from %s",
            person.id,
        )
        assert strangers == [("files", f"{other.id}/secret")]
        assert other.client.storage.from_("files").download(f"{other.id}/secret") == b"secret"
