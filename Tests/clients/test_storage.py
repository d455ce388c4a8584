# SPDX-License-Identifier: Apache-2.0
"""The official storage client against Atoll: every method of it, blocking and asynchronous."""

import base64
import inspect
import json
import socket
import time
import uuid

import httpx
import pytest
from storage3 import AsyncStorageClient, SyncStorageClient
from storage3._async.bucket import AsyncStorageBucketAPI
from storage3._async.file_api import AsyncBucketActionsMixin
from storage3._sync.bucket import SyncStorageBucketAPI
from storage3._sync.file_api import SyncBucketActionsMixin
from storage3.exceptions import StorageApiError

from atoll_server import AtollServer
from people import Person
from storage_projects import POLICIES, SEED, Async, Sync, incoming_files, new_loop, rows, stored_files, stored_rows


@pytest.fixture(scope="module")
def files_server():
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES + SEED}) as server:
        yield server


@pytest.fixture(scope="module")
def ann(files_server):
    return Person(files_server, "ann")


@pytest.fixture(scope="module")
def ben(files_server):
    return Person(files_server, "ben")


def headers(server, person=None):
    """Those of a person, or of the server's own back end."""
    key = server.status["ANON_KEY"] if person else server.status["SERVICE_ROLE_KEY"]
    return {"apikey": key, "Authorization": f"Bearer {person.session.access_token if person else key}"}


@pytest.fixture(params=["sync", "async"])
def make_client(request, files_server):
    """Makes clients of either kind, called in one way."""
    loop = new_loop()

    def make(person=None):
        url = f"{files_server.url}/storage/v1/"
        if request.param == "sync":
            return Sync(SyncStorageClient(url, headers(files_server, person)))
        return Async(AsyncStorageClient(url, headers(files_server, person)), loop)

    yield make
    loop.close()


def name(text="file.txt"):
    return f"{uuid.uuid4().hex}-{text}"


# --- Refusals ----------------------------------------------------------------------------------------------------------


def refusal(call, client):
    with pytest.raises(StorageApiError) as error:
        client(call)
    return error.value


def test_others_files_are_not_there(make_client, ann, ben):
    mine, theirs = make_client(ann), make_client(ben)
    path = f"{ann.id}/{name()}"
    mine(lambda s: s.from_("files").upload(path, b"secret"))
    missing = {"status": "404", "code": "not_found", "message": "Object not found"}
    for call in (
        lambda s: s.from_("files").download(path),
        lambda s: s.from_("files").info(path),
        lambda s: s.from_("files").create_signed_url(path, 60),
        lambda s: s.from_("files").move(path, f"{ben.id}/stolen.txt"),
        lambda s: s.from_("files").copy(path, f"{ben.id}/stolen.txt"),
    ):
        error = refusal(call, theirs)
        assert {"status": error.status, "code": error.code, "message": error.message} == missing
    assert theirs(lambda s: s.from_("files").list(ann.id)) == []
    assert theirs(lambda s: s.from_("files").remove([path])) == []
    assert theirs(lambda s: s.from_("files").exists(path)) is False
    for call in (
        lambda s: s.from_("files").upload(path, b"forged", {"upsert": "true"}),
        lambda s: s.from_("files").update(path, b"forged"),
        lambda s: s.from_("files").upload(f"{ann.id}/{name()}", b"forged"),
        lambda s: s.from_("files").create_signed_upload_url(f"{ann.id}/{name()}"),
    ):
        error = refusal(call, theirs)
        assert (error.status, error.code) == ("403", "Unauthorized")
        assert error.message == "new row violates row-level security policy"
    assert mine(lambda s: s.from_("files").download(path)) == b"secret"


def test_a_name_is_taken_once_without_upsert(make_client, ann):
    client = make_client(ann)
    path = f"{ann.id}/{name()}"
    client(lambda s: s.from_("files").upload(path, b"one"))
    error = refusal(lambda s: s.from_("files").upload(path, b"two"), client)
    assert (error.status, error.code, error.message) == ("409", "Duplicate", "The resource already exists")
    client(lambda s: s.from_("files").upload(path, b"three", {"upsert": "true"}))
    assert client(lambda s: s.from_("files").download(path)) == b"three"


def test_buckets_limit_sizes_and_types(make_client, ann):
    client = make_client(ann)
    png = b"\x89PNG\r\n\x1a\n" + bytes(64)
    upload = lambda content, kind: lambda s: s.from_("images").upload(  # noqa: E731
        f"{ann.id}/{name('x.png')}", content, {"content-type": kind}
    )
    client(upload(png, "image/png"))
    client(upload(b"anything unknown", "image/png"))
    for content, kind in [(png, "text/plain"), (b"<!DOCTYPE html><script>", "image/png"), (b"%PDF-1.7", "image/png")]:
        error = refusal(upload(content, kind), client)
        assert (error.status, error.code) == ("415", "invalid_mime_type"), kind
    error = refusal(upload(png + bytes(1 << 20), "image/png"), client)
    assert (error.status, error.code) == ("413", "Payload too large")
    assert error.message == "The object exceeded the maximum allowed size"


def test_visitors_and_bad_tokens_are_refused(files_server, ann):
    url = f"{files_server.url}/storage/v1"
    key = {"apikey": files_server.status["ANON_KEY"]}
    assert httpx.post(f"{url}/object/files/{ann.id}/x", content=b"x").status_code == 401
    answer = httpx.post(f"{url}/object/files/{ann.id}/x", content=b"x", headers=key)
    assert (answer.status_code, answer.json()["statusCode"]) == (400, "403")
    answer = httpx.get(f"{url}/object/files/x", headers={**key, "Authorization": "Bearer a.b.c"})
    assert (answer.status_code, answer.json()["statusCode"], answer.json()["error"]) == (400, "403", "Unauthorized")
    answer = httpx.get(f"{url}/object/public/files/{ann.id}/x")
    assert answer.status_code == 400
    assert answer.json() == {
        "statusCode": "404",
        "error": "Bucket not found",
        "message": "Bucket not found",
        "code": "NoSuchBucket",
    }
    assert httpx.get(f"{url}/object/nowhere/x", headers=key).json()["error"] == "Bucket not found"


def test_signed_addresses_are_bound(files_server, make_client, ann):
    client = make_client(ann)
    path = f"{ann.id}/{name()}"
    client(lambda s: s.from_("files").upload(path, b"signed"))
    signed = client(lambda s: s.from_("files").create_signed_url(path, 60))["signedURL"]
    answer = httpx.get(signed)
    assert (answer.status_code, answer.content) == (200, b"signed")
    assert "expires" in answer.headers
    token = signed.split("token=")[1]
    other = f"{ann.id}/{name()}"
    client(lambda s: s.from_("files").upload(other, b"other"))
    base = f"{files_server.url}/storage/v1"
    for address in (
        f"{base}/object/sign/files/{other}?token={token}",
        f"{base}/object/sign/files/{path}?token={token[:-2]}",
        f"{base}/object/sign/files/{path}",
        f"{base}/object/sign/files/{path}?token={ann.session.access_token}",
    ):
        assert httpx.get(address).status_code == 400, address
    answer = httpx.put(f"{base}/object/upload/sign/files/{path}?token={token}", content=b"forged")
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidSignature")
    # Where images are not rendered, an address with a transformation is that of the object.
    body = {"expiresIn": 60, "transform": {"width": 5}}
    answer = httpx.post(f"{base}/object/sign/files/{path}", json=body, headers=headers(files_server, ann))
    assert answer.json()["signedURL"].startswith(f"/object/sign/files/{path}?token=")
    # The token of an address is no credential.
    answer = httpx.get(f"{base}/object/files/{path}", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["statusCode"] == "403"


def test_an_address_ends_to_the_second(files_server, ann):
    base, own = f"{files_server.url}/storage/v1", headers(files_server, ann)
    path = f"{ann.id}/{name()}"
    httpx.post(f"{base}/object/files/{path}", content=b"x", headers=own)
    url = base + httpx.post(f"{base}/object/sign/files/{path}", json={"expiresIn": 1}, headers=own).json()["signedURL"]
    end = time.monotonic() + 3
    while (answer := httpx.get(url)).status_code == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidJWT")
    assert answer.json()["message"] == '"exp" claim timestamp check failed'


def test_what_tells_of_the_service_itself(files_server):
    base = f"{files_server.url}/storage/v1"
    assert httpx.get(f"{base}/health").json() == {"healthy": True}
    assert httpx.get(f"{base}/status").status_code == 200
    assert httpx.get(f"{base}/version").headers["content-type"].startswith("text/plain")
    assert "# TYPE" in httpx.get(f"{base}/metrics").text
    assert httpx.get(f"{base}/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 401


def test_bad_requests_are_told_what_is_wrong(files_server, ann):
    base = f"{files_server.url}/storage/v1"
    own = headers(files_server, ann)
    cases = [
        ("POST", "/object/list/files", {}, 400, "MissingParameter"),
        ("POST", "/object/list/files", {"prefix": "", "sortBy": {"column": "id; drop table"}}, 400, "InvalidParameter"),
        ("POST", "/object/list/files", {"prefix": "", "limit": -1}, 400, "InvalidParameter"),
        ("POST", "/object/sign/files/x", {"expiresIn": 0}, 400, "InvalidRequest"),
        ("POST", "/object/sign/files", {"expiresIn": 5, "paths": []}, 400, "InvalidRequest"),
        ("POST", "/object/move", {"bucketId": "files"}, 400, "MissingParameter"),
        ("POST", "/object/move", {"bucketId": "files", "sourceKey": "a\u0000", "destinationKey": "b"}, 400, "InvalidKey"),
        ("POST", "/object/copy", {"bucketId": "no", "sourceKey": "a", "destinationKey": "b"}, 400, "NoSuchBucket"),
        ("POST", "/bucket", {"name": "a/b"}, 400, "InvalidBucketName"),
        ("POST", "/bucket", {"name": "logs--table-s3"}, 400, "InvalidBucketName"),
        ("POST", "/bucket", {"name": "x", "file_size_limit": "much"}, 400, "InvalidRequest"),
        ("PUT", "/bucket/files", {}, 400, "InvalidRequest"),
        ("POST", "/bucket/files/empty", {}, 403, "AccessDenied"),
        ("POST", "/object/list-v2/files", {"cursor": "x"}, 400, "InvalidParameter"),
        ("GET", "/object/unknown", None, 405, "MethodNotAllowed"),
        ("GET", "/nothing/here", None, 404, "NotFound"),
    ]
    for method, path, body, status, code in cases:
        answer = httpx.request(method, base + path, headers=own, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (path, body, answer.text)
    answer = httpx.post(f"{base}/object/list/files", headers=own, content=b"[")
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidRequest")


# --- Every method ------------------------------------------------------------------------------------------------------


# Who called what: (kind of client, class), and the methods.
CALLED = {(kind, group): set() for kind in ("sync", "async") for group in ("buckets", "files")}


def kind_of(client):
    return "sync" if isinstance(client, Sync) else "async"


def test_every_method_of_buckets(make_client):
    client = make_client()

    def call(method, *arguments, **options):
        CALLED[kind_of(client), "buckets"].add(method)
        return client(lambda s: getattr(s, method)(*arguments, **options))

    bucket = f"bucket-{uuid.uuid4().hex[:8]}"
    assert call("create_bucket", bucket, options={"public": False, "file_size_limit": 1000})["name"] == bucket
    made = call("get_bucket", bucket)
    assert (made.id, made.name, made.public, made.file_size_limit) == (bucket, bucket, False, 1000)
    assert bucket in [each.id for each in call("list_buckets")]
    call("update_bucket", bucket, {"public": True, "allowed_mime_types": ["text/plain"]})
    made = call("get_bucket", bucket)
    assert (made.public, made.allowed_mime_types, made.file_size_limit) == (True, ["text/plain"], 1000)
    client(lambda s: s.from_(bucket).upload("a.txt", b"a"))
    error = refusal(lambda s: s.delete_bucket(bucket), client)
    assert (error.status, error.message) == ("409", "The bucket you tried to delete is not empty")
    error = refusal(lambda s: s.create_bucket(bucket), client)
    assert (error.status, error.code) == ("409", "Duplicate")
    call("empty_bucket", bucket)
    assert call("delete_bucket", bucket) == {"message": "Successfully deleted"}
    assert refusal(lambda s: s.get_bucket(bucket), client).status == "404"


def test_every_method_of_files(files_server, make_client, ann):
    client = make_client(ann)

    def call(method, *arguments, bucket="files", **options):
        CALLED[kind_of(client), "files"].add(method)

        def make(storage):
            result = getattr(storage.from_(bucket), method)(*arguments, **options)
            if inspect.isawaitable(result) or isinstance(client, Sync):
                return result

            async def value():
                return result

            return value()

        return client(make)

    folder = f"{ann.id}/{uuid.uuid4().hex}"
    first, second, third = (f"{folder}/{each}" for each in ("one.txt", "two words.txt", "deeper/three.json"))
    made = call("upload", first, b"first", file_options={"metadata": {"colour": "blue"}, "cache-control": "60"})
    assert (made.path, made.full_path) == (first, f"files/{first}")
    call("upload", second, b"second")
    call("upload", third, b"{}", file_options={"content-type": "application/json"})
    assert call("download", first) == b"first"
    assert call("download", second) == b"second"
    call("update", first, b"changed", file_options={"content-type": "text/markdown"})
    info = call("info", first)
    assert (info["size"], info["content_type"], info["bucket_id"], info["name"]) == (7, "text/markdown", "files", first)
    assert call("exists", first) is True
    assert call("exists", f"{folder}/none") is False

    listed = call("list", folder)
    assert [(each["name"], each["id"] is None) for each in listed] == [
        ("deeper", True),
        ("one.txt", False),
        ("two words.txt", False),
    ]
    assert listed[1]["metadata"]["mimetype"] == "text/markdown"
    options = {"sortBy": {"column": "created_at", "order": "desc"}, "limit": 2, "offset": 1}
    assert [each["name"] for each in call("list", folder, options)] == ["two words.txt", "one.txt"]
    assert [each["name"] for each in call("list", folder, {"search": "TWO"})] == ["two words.txt"]

    page = call("list_v2", {"prefix": f"{folder}/", "with_delimiter": True, "limit": 2})
    assert page.hasNext and [each.name for each in page.folders] == [f"{folder}/deeper/"]
    assert [each.name for each in page.objects] == [first]
    page = call("list_v2", {"prefix": f"{folder}/", "with_delimiter": True, "limit": 2, "cursor": page.nextCursor})
    assert not page.hasNext and [each.name for each in page.objects] == [second]
    for column in ("created_at", "updated_at", "name"):
        for order in ("asc", "desc"):
            names, cursor = [], None
            while True:
                options = {"prefix": f"{folder}/", "limit": 1, "sortBy": {"column": column, "order": order}}
                page = call("list_v2", {**options, "cursor": cursor} if cursor else options)
                names += [each.name for each in page.objects]
                cursor = page.nextCursor
                if not page.hasNext:
                    break
            by_name = sorted([first, second, third])
            by_update = [second, third, first]
            expected = {"name": by_name, "created_at": [first, second, third], "updated_at": by_update}[column]
            assert names == (expected if order == "asc" else expected[::-1]), (column, order)

    signed = call("create_signed_url", first, 60, {"download": "näme.md"})["signedURL"]
    answer = httpx.get(signed)
    assert answer.content == b"changed"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"n__me.md\"; filename*=UTF-8''n%C3%A4me.md"
    )
    many = call("create_signed_urls", [first, second, f"{folder}/none"], 60)
    assert httpx.get(many[1]["signedURL"]).content == b"second"
    assert many[2]["signedURL"] is None and many[2]["error"]

    upload = call("create_signed_upload_url", f"{folder}/sent.txt")
    call("upload_to_signed_url", upload["path"], upload["token"], b"sent later")
    assert call("download", f"{folder}/sent.txt") == b"sent later"
    assert call("copy", first, f"{folder}/copy.txt")["Key"] == f"files/{folder}/copy.txt"
    assert call("download", f"{folder}/copy.txt") == b"changed"
    assert call("move", f"{folder}/copy.txt", f"{folder}/moved.txt")["message"] == "Successfully moved"
    assert call("exists", f"{folder}/copy.txt") is False
    assert call("download", f"{folder}/moved.txt") == b"changed"

    call("upload", f"{folder}/open.txt", b"for all", bucket="open")
    address = call("get_public_url", f"{folder}/open.txt", bucket="open")
    assert httpx.get(address).content == b"for all"

    removed = call("remove", [first, second, f"{folder}/none"])
    assert sorted(each["name"] for each in removed) == sorted([first, second])
    assert call("exists", first) is False


# Buckets of vectors and of Iceberg tables are no part of this service.
OTHER_SERVICES = {"vectors", "analytics"}


def test_no_method_was_left_out():
    def offered(kind):
        return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}

    clients = {
        "sync": (SyncStorageClient, SyncStorageBucketAPI, SyncBucketActionsMixin),
        "async": (AsyncStorageClient, AsyncStorageBucketAPI, AsyncBucketActionsMixin),
    }
    for kind, (client, buckets, files) in clients.items():
        assert offered(buckets) == CALLED[kind, "buckets"], kind
        assert offered(files) == CALLED[kind, "files"], kind
        # `from_` is how every call on files began.
        assert offered(client) == offered(buckets) | {"from_"} | OTHER_SERVICES, kind


# --- HTTP --------------------------------------------------------------------------------------------------------------


def test_downloads_obey_ranges_and_conditions(files_server, ann):
    base = f"{files_server.url}/storage/v1"
    own = headers(files_server, ann)
    path = f"{ann.id}/{name('range.bin')}"
    content = bytes(range(256)) * 1024
    answer = httpx.post(f"{base}/object/files/{path}", content=content, headers={**own, "cache-control": "max-age=9", "x-robots-tag": "all"})
    assert answer.status_code == 200
    url = f"{base}/object/authenticated/files/{path}"
    whole = httpx.get(url, headers=own)
    assert whole.content == content
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["cache-control"] == "max-age=9"
    assert whole.headers["x-robots-tag"] == "all"
    assert whole.headers["etag"].startswith('"')
    head = httpx.head(url, headers=own)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(content)), b"")
    part = httpx.get(url, headers={**own, "Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert httpx.get(url, headers={**own, "Range": "bytes=-5"}).content == content[-5:]
    answer = httpx.get(url, headers={**own, "Range": f"bytes={len(content)}-"})
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidRange")
    assert httpx.get(url, headers={**own, "If-None-Match": whole.headers["etag"]}).status_code == 304
    assert httpx.get(url, headers={**own, "If-Modified-Since": whole.headers["last-modified"]}).status_code == 304
    assert httpx.get(url, headers={**own, "If-Match": '"other"'}).status_code == 412
    assert httpx.get(f"{url}?download", headers=own).headers["content-disposition"] == "attachment"


# Ranges of a file of ten bytes: what is asked for, the status, and the bytes or the code.
RANGES = [
    ("bytes=0-0", 206, b"0"),
    ("bytes=3-", 206, b"3456789"),
    ("bytes=8-99999999999999999999999", 206, b"89"),
    ("bytes=-3", 206, b"789"),
    ("bytes=-99999999999999999999999", 206, b"0123456789"),
    ("BYTES=1-2", 206, b"12"),
    ("bytes=-0", 400, "InvalidRange"),
    ("bytes=10-", 400, "InvalidRange"),
    ("bytes=99999999999999999999999-", 400, "InvalidRange"),
    # Several ranges, other units and what is malformed may be ignored, and are.
    ("bytes=0-1,4-5", 200, b"0123456789"),
    ("bytes=5-1", 200, b"0123456789"),
    ("bytes=a-b", 200, b"0123456789"),
    ("bytes=", 200, b"0123456789"),
    ("bytes=-", 200, b"0123456789"),
    ("bytes= 1-2", 200, b"0123456789"),
    ("bytes=+1-2", 200, b"0123456789"),
    ("lines=1-2", 200, b"0123456789"),
]


def test_ranges_of_every_form(files_server, ann):
    own = headers(files_server, ann)
    url = f"{files_server.url}/storage/v1/object/files/{ann.id}/{name()}"
    assert httpx.post(url, content=b"0123456789", headers=own).status_code == 200
    tag = httpx.head(url, headers=own).headers["etag"]
    for wanted, status, expected in RANGES:
        answer = httpx.get(url, headers={**own, "Range": wanted})
        assert answer.status_code == status, wanted
        assert (answer.json()["code"] if status == 400 else answer.content) == expected, wanted
        assert ("content-range" in answer.headers) == (status == 206), wanted
    assert httpx.get(url, headers={**own, "Range": "bytes=1-2", "If-Range": tag}).content == b"12"
    assert httpx.get(url, headers={**own, "Range": "bytes=1-2", "If-Range": '"other"'}).content == b"0123456789"
    empty = f"{url}-empty"
    httpx.post(empty, content=b"", headers=own)
    for wanted in ("bytes=0-0", "bytes=-1"):
        assert httpx.get(empty, headers={**own, "Range": wanted}).json()["code"] == "InvalidRange"


FORM_TYPE = {"content-type": "multipart/form-data; boundary=x"}


def part(head, content=b""):
    return b"--x\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


FILE = b'Content-Disposition: form-data; name=""; filename="a.txt"\r\nContent-Type: text/plain'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        b"--x--\r\n",
        part(b'Content-Disposition: form-data; name="cacheControl"', b"5") + b"--x--\r\n",
        part(FILE, b"cut off"),
        b"--x\r\n" + FILE,
        b"--xyz\r\n" + FILE + b"\r\n\r\nx\r\n--x--\r\n",
        part(b"Content-Type: text/plain", b"x") + b"--x--\r\n",
        part(b"no colon", b"x") + b"--x--\r\n",
        part(FILE + b"\r\nX-Filler: " + b"f" * 20_000, b"x") + b"--x--\r\n",
        part(b'Content-Disposition: form-data; name="a"') * 1001 + part(FILE, b"x") + b"--x--\r\n",
        part(b'Content-Disposition: form-data; name="metadata"', b"[1]") + part(FILE, b"x") + b"--x--\r\n",
        part(b'Content-Disposition: form-data; name="metadata"', b"{" * 100_000) + part(FILE, b"x") + b"--x--\r\n",
        part(b'Content-Disposition: form-data; name="a"', bytes(2 << 20)) + part(FILE, b"x") + b"--x--\r\n",
        part(b'Content-Disposition: form-data; name="contentType"', b"text") + part(FILE, b"x") + b"--x--\r\n",
    ],
)
def test_broken_forms_store_nothing(files_server, ann, body):
    url = f"{files_server.url}/storage/v1/object/files/{ann.id}/{name()}"
    own = headers(files_server, ann)
    answer = httpx.post(url, content=body, headers={**own, **FORM_TYPE})
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("InvalidRequest", "EntityTooLarge", "InvalidMimeType")
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 71):
        assert httpx.post(url, content=part(FILE, b"x") + b"--x--\r\n", headers={**own, "content-type": kind}).status_code == 400
    assert httpx.get(url, headers=own).json()["code"] == "NoSuchKey"


def test_fields_of_a_form_cannot_forge_header_fields(files_server, ann):
    url = f"{files_server.url}/storage/v1/object/files/{ann.id}/{name()}"
    own = headers(files_server, ann)
    forged = b"max-age=1\r\nSet-Cookie: stolen=1"
    body = part(b'Content-Disposition: form-data; name="cacheControl"', forged) + part(FILE, b"x") + b"--x--\r\n"
    assert httpx.post(url, content=body, headers={**own, **FORM_TYPE}).status_code == 200
    answer = httpx.get(f"{url}?download=a%0d%0aSet-Cookie:%20stolen=1%22", headers=own)
    assert "set-cookie" not in answer.headers and answer.content == b"x"


def test_concurrent_replacements_of_one_name_leave_one_whole_file(files_server, ann):
    import hashlib
    from concurrent.futures import ThreadPoolExecutor

    url = f"{files_server.url}/storage/v1/object/files/{ann.id}/{name()}"
    own = headers(files_server, ann)
    contents = [bytes([number]) * (20_000 + number) for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda content: httpx.put(url, content=content, headers=own, timeout=60), contents))
    assert {answer.status_code for answer in answers} == {200}
    answer = httpx.get(url, headers=own)
    assert answer.content in contents
    assert answer.headers["etag"] == f'"{hashlib.md5(answer.content).hexdigest()}"'
    # Without upsert one of many wins.
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda content: httpx.post(f"{url}-new", content=content, headers=own, timeout=60), contents))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 23
    assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {"KeyAlreadyExists"}
    assert stored_files(files_server) == stored_rows(files_server)


def test_concurrent_deletes_of_the_same_names_all_end(files_server, ann):
    from concurrent.futures import ThreadPoolExecutor

    base = f"{files_server.url}/storage/v1/object/files"
    own = headers(files_server, ann)
    keys = [f"{ann.id}/{name()}" for _ in range(20)]
    for key in keys:
        httpx.post(f"{base}/{key}", content=b"x", headers=own)

    def remove(number):
        some = keys if number % 2 else keys[::-1]
        return httpx.request("DELETE", base, json={"prefixes": some}, headers=own, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(remove, range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(each["name"] for answer in answers for each in answer.json()) == sorted(keys)


def test_the_placeholder_of_a_folder_holds_nothing(files_server, ann):
    url = f"{files_server.url}/storage/v1/object/images/{ann.id}/empty/.emptyFolderPlaceholder"
    own = {**headers(files_server, ann), "content-type": "text/plain"}
    assert httpx.post(url, content=b"smuggled", headers=own).json()["code"] == "EntityTooLarge"
    assert httpx.post(url, content=iter([b"smuggled"]), headers=own).json()["code"] == "EntityTooLarge"
    assert httpx.post(url, content=b"", headers=own).status_code == 200


def test_a_page_out_of_a_bucket_is_no_page_of_the_origin(files_server, ann):
    base = f"{files_server.url}/storage/v1"
    path = f"{ann.id}/{name('page.html')}"
    own = {**headers(files_server, ann), "content-type": "text/html"}
    assert httpx.post(f"{base}/object/open/{path}", content=b"<script>alert(1)</script>", headers=own).status_code == 200
    answer = httpx.get(f"{base}/object/public/open/{path}")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_objects_move_and_copy_between_buckets(files_server, ann):
    base = f"{files_server.url}/storage/v1"
    own = headers(files_server, ann)
    key = f"{ann.id}/{name()}"
    httpx.post(f"{base}/object/files/{key}", content=b"travels", headers=own)
    body = {"bucketId": "files", "sourceKey": key, "destinationBucket": "open", "destinationKey": key}
    answer = httpx.post(f"{base}/object/copy", json=body, headers=own)
    assert answer.status_code == 200 and answer.json()["Key"] == f"open/{key}" and answer.json()["bucket_id"] == "open"
    answer = httpx.post(f"{base}/object/move", json=body, headers=own)
    assert answer.json()["code"] == "KeyAlreadyExists"
    httpx.delete(f"{base}/object/open/{key}", headers=own)
    answer = httpx.post(f"{base}/object/move", json=body, headers=own)
    assert answer.status_code == 200, answer.text
    assert httpx.get(f"{base}/object/public/open/{key}").content == b"travels"
    assert httpx.get(f"{base}/object/files/{key}", headers=own).json()["code"] == "NoSuchKey"
    # A bucket of pictures takes no text that was uploaded elsewhere.
    body = {"bucketId": "open", "sourceKey": key, "destinationBucket": "images", "destinationKey": key}
    for call in ("copy", "move"):
        httpx.post(f"{base}/object/open/{ann.id}/text", content=b"x", headers={**own, "content-type": "text/plain"})
        answer = httpx.post(f"{base}/object/{call}", json={**body, "sourceKey": f"{ann.id}/text"}, headers=own)
        assert answer.json()["code"] == "InvalidMimeType", call


def test_buckets_of_the_configuration_are_made_and_filled():
    config = (
        '[storage.buckets.pictures]\npublic = true\nfile_size_limit = "1KiB"\nallowed_mime_types = ["text/*", "image/*"]\n'
        'objects_path = "./pictures"\n[storage.buckets.empty]\n'
    )
    server = AtollServer(config=config)
    folder = server.folder / "supabase" / "pictures" / "deep er"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("seeded")
    (folder / "too-large.txt").write_bytes(bytes(2000))
    with server:
        found = rows(server, "select id, public, file_size_limit from storage.buckets order by id")
        assert found == [("empty", False, None), ("pictures", True, 1024)]
        url = f"{server.url}/storage/v1/object/public/pictures/deep%20er/a.txt"
        answer = httpx.get(url)
        assert (answer.text, answer.headers["content-type"], answer.headers["x-robots-tag"]) == ("seeded", "text/plain", "none")
        assert rows(server, "select count(*) from storage.objects") == [(1,)]
        # A change of what is there stays over the next start.
        httpx.put(url.replace("/public/", "/"), content=b"changed", headers={**headers(server), "content-type": "text/plain"})
        server.stop()
        server.start()
        assert httpx.get(url).text == "changed"


def test_user_metadata_is_kept(files_server, ann):
    base = f"{files_server.url}/storage/v1"
    own = headers(files_server, ann)
    key = f"{ann.id}/{name()}"
    form = {"cacheControl": "7", "metadata": json.dumps({"a": [1, "ü"]})}
    answer = httpx.post(f"{base}/object/files/{key}", files={"": ("x.txt", b"", "text/plain")}, data=form, headers=own)
    assert answer.status_code == 200, answer.text
    info = httpx.get(f"{base}/object/info/files/{key}", headers=own).json()
    assert (info["metadata"], info["cache_control"], info["size"]) == ({"a": [1, "ü"]}, "max-age=7", 0)
    assert httpx.get(f"{base}/object/files/{key}", headers=own).content == b""
    answer = httpx.put(f"{base}/object/files/{key}", content=b"x", headers={**own, "x-metadata": "%%%"})
    assert answer.json()["code"] == "InvalidRequest"


def test_policies_see_the_operation(files_server, ann):
    rows(files_server, "insert into storage.buckets (id, name) values ('listed', 'listed') on conflict do nothing")
    rows(
        files_server,
        """create policy "no lists" on storage.objects for select to authenticated
           using (bucket_id = 'listed' and storage.allow_any_operation(array['object.get_authenticated']))""",
    )
    base = f"{files_server.url}/storage/v1"
    answer = httpx.post(f"{base}/object/listed/a.txt", content=b"a", headers=headers(files_server))
    assert answer.status_code == 200
    own = headers(files_server, ann)
    assert httpx.get(f"{base}/object/listed/a.txt", headers=own).content == b"a"
    assert httpx.post(f"{base}/object/list/listed", json={"prefix": ""}, headers=own).json() == []
    assert httpx.get(f"{base}/object/info/listed/a.txt", headers=own).json()["code"] == "NoSuchKey"


def test_policies_see_the_request(files_server, ann):
    rows(files_server, "insert into storage.buckets (id, name) values ('seen', 'seen') on conflict do nothing")
    rows(
        files_server,
        """create policy "seen" on storage.objects for insert to authenticated
           with check (
               bucket_id = 'seen' and current_setting('request.method') = 'POST'
               and strpos(current_setting('request.path'), '/object/seen/a/b.txt') > 0
               and current_setting('request.headers')::json ->> 'x-probe' = 'yes'
               and current_setting('request.jwt.claims')::json ->> 'role' = 'authenticated'
               and current_setting('request.jwt.claim.sub') = auth.uid()::text
               and current_setting('request.jwt.claim.role') = 'authenticated'
               and starts_with(current_setting('request.jwt'), 'ey')
               and storage.operation() = 'storage.object.upload'
               and storage.allow_only_operation('object.upload')
               and storage.extension(name) = 'txt' and storage.filename(name) = 'b.txt'
               and storage.foldername(name) = array['a'])""",
    )
    url = f"{files_server.url}/storage/v1/object/seen/a/b.txt"
    own = headers(files_server, ann)
    assert httpx.post(url, content=b"x", headers=own).json()["code"] == "AccessDenied"
    assert httpx.post(url, content=b"x", headers={**own, "x-probe": "yes"}).status_code == 200


def test_who_may_only_drop_files_can(files_server, make_client, ann):
    rows(files_server, "insert into storage.buckets (id, name) values ('dropped', 'dropped') on conflict do nothing")
    rows(files_server, 'drop policy if exists "drop" on storage.objects')
    rows(files_server, """create policy "drop" on storage.objects for insert to authenticated with check (bucket_id = 'dropped')""")
    client = make_client(ann)
    path = name()
    assert client(lambda s: s.from_("dropped").upload(path, b"dropped")).path == path
    assert refusal(lambda s: s.from_("dropped").upload(path, b"again"), client).code == "Duplicate"
    assert refusal(lambda s: s.from_("dropped").upload(path, b"again", {"upsert": "true"}), client).code == "Unauthorized"
    assert refusal(lambda s: s.from_("dropped").download(path), client).code == "not_found"
    assert client(lambda s: s.from_("dropped").list()) == []
    assert client(lambda s: s.from_("dropped").remove([path])) == []
    assert make_client()(lambda s: s.from_("dropped").download(path)) == b"dropped"


def as_user(server, person, statement, *parameters):
    """Runs a statement as REST runs one: logged in as the server, switched to the role of users."""
    import psycopg

    payload = person.session.access_token.split(".")[1]
    claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    with psycopg.connect(server.status["DB_URL"]) as connection:
        connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        connection.execute("set local role authenticated")
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def test_uploads_are_the_services_alone(files_server, ann, ben):
    import psycopg

    own = headers(files_server, ann)
    key = f"{ann.id}/{name()}"
    url = f"{files_server.url}/storage/v1/object/files/{key}"
    assert httpx.post(url, content=b"stays", headers=own).status_code == 200
    version = httpx.get(url.replace("/object/", "/object/info/"), headers=own).json()["version"]
    before = rows(files_server, "select tenant_id, bytes, objects, reserved_bytes from storage.usage order by tenant_id")
    uploads = rows(files_server, "select * from storage.uploads")
    reserve = "select storage.reserve_upload(%s, 'plain', gen_random_uuid(), 'files', %s, null, %s, true, 'x/y', null, null, '0')"
    begin = """select * from storage.begin_upload(
        %s, 'plain', gen_random_uuid(), 'files', %s, %s, 5, true, 'x/y', null, '{}', null, 1000, '1 hour', true)"""
    finish = "select * from storage.finish_upload(%s, 'files', %s, %s, '{\"size\": 1}', null, true, null)"
    mine = f"{ben.id}/{name()}"
    other = str(uuid.uuid4())
    attempts = [
        # Somebody's quota, somebody's object, a name that leaves the folder of files.
        (reserve, other, mine, 1 << 40),
        (reserve, version, key, 5),
        (reserve, "../../secrets.json", mine, 5),
        (begin, other, mine, ben.id),
        (finish, other, mine, ben.id),
        (finish, version, mine, ben.id),
        ("select storage.extend_upload(%s, 100)", other),
        ("select storage.reserve_at_least(%s, 100)", other),
        ("select storage.fix_upload_length(%s, 100)", other),
        ("select storage.cancel_upload(%s)", other),
        ("select storage.change_usage(tenancy.current_tenant(), 1, 1, 1, 1)",),
        ("select * from storage.uploads",),
        ("insert into storage.removed_versions (version) values (%s)", version),
        ("update storage.usage set bytes = 0",),
        ("insert into storage.objects (bucket_id, name, version) values ('files', %s, %s)", mine, version),
        ("insert into storage.objects (bucket_id, name, version) values ('files', %s, %s)", mine, other),
    ]
    for statement, *parameters in attempts:
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction)):
            as_user(files_server, ben, statement, *parameters)
    # A row of one's own cannot be given another version, none, or another size.
    for change in (f"version = '{other}'", "version = null"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_user(files_server, ann, f"update storage.objects set {change} where name = %s", key)
    assert as_user(files_server, ann, """update storage.objects set metadata = '{"size": -5, "mimetype": "a/b"}' where name = %s""", key) == 1
    found = rows(files_server, "select metadata from storage.objects where name = %s", key)
    assert found == [({"size": 5, "mimetype": "a/b"},)]
    assert rows(files_server, "select tenant_id, bytes, objects, reserved_bytes from storage.usage order by tenant_id") == before
    assert rows(files_server, "select * from storage.uploads") == uploads
    assert httpx.get(url, headers=own).content == b"stays"


def test_deleting_rows_by_hand_is_refused(files_server):
    import psycopg

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(files_server, "delete from storage.objects")


# --- The seed's helpers ------------------------------------------------------------------------------------------------


def upload_transcript(person, session, transcript):
    path = f"{person.id}/{session}.json"
    options = {"content-type": "application/json", "upsert": "true"}
    return person.client.storage.from_("session-transcripts").upload(path, json.dumps(transcript).encode(), options)


def download_transcript(person, owner, session):
    return json.loads(person.client.storage.from_("session-transcripts").download(f"{owner.id}/{session}.json"))


def upload_audio(person, session, audio):
    options = {"content-type": "audio/webm", "upsert": "false"}
    return person.client.storage.from_("audio-uploads").upload(f"{person.id}/{session}.webm", audio, options)


def upload_avatar(person, file_name, content):
    path = f"{person.id}.{file_name.rsplit('.', 1)[1]}"
    avatars = person.client.storage.from_("avatars")
    avatars.upload(path, content, {"upsert": "true"})
    return avatars.get_public_url(path)


def signed_url(person, bucket, path, expires_in=3600):
    return person.client.storage.from_(bucket).create_signed_url(path, expires_in)["signedURL"]


def test_the_seeds_helpers_keep_two_users_apart(files_server, ann, ben):
    upload_transcript(ann, "s1", {"text": "Ann's"})
    upload_transcript(ben, "s1", {"text": "Ben's"})
    assert download_transcript(ann, ann, "s1") == {"text": "Ann's"}
    assert download_transcript(ben, ben, "s1") == {"text": "Ben's"}
    for reader, owner in ((ann, ben), (ben, ann)):
        with pytest.raises(StorageApiError) as error:
            download_transcript(reader, owner, "s1")
        assert error.value.code == "not_found"
        with pytest.raises(StorageApiError):
            signed_url(reader, "session-transcripts", f"{owner.id}/s1.json")
    assert httpx.get(signed_url(ann, "session-transcripts", f"{ann.id}/s1.json")).json() == {"text": "Ann's"}
    # The policies allow no second version of a transcript: there is none for UPDATE.
    with pytest.raises(StorageApiError) as error:
        upload_transcript(ann, "s1", {"text": "changed"})
    assert error.value.code == "Unauthorized"

    audio = b"\x1a\x45\xdf\xa3" + bytes(1000)
    upload_audio(ann, "s1", audio)
    with pytest.raises(StorageApiError) as error:
        upload_audio(ann, "s1", audio)
    assert error.value.code == "Duplicate"
    assert ann.client.storage.from_("audio-uploads").download(f"{ann.id}/s1.webm") == audio
    with pytest.raises(StorageApiError):
        ben.client.storage.from_("audio-uploads").download(f"{ann.id}/s1.webm")
    assert ben.client.storage.from_("audio-uploads").remove([f"{ann.id}/s1.webm"]) == []

    # Nobody may upload avatars until a policy says so.
    with pytest.raises(StorageApiError) as error:
        upload_avatar(ann, "me.png", b"\x89PNG\r\n\x1a\n")
    assert error.value.code == "Unauthorized"
    rows(
        files_server,
        """create policy "Users can upload own avatar" on storage.objects for insert to authenticated
           with check (bucket_id = 'avatars' and starts_with(name, auth.uid()::text || '.'))""",
    )
    rows(
        files_server,
        """create policy "Users can change own avatar" on storage.objects for update to authenticated
           using (bucket_id = 'avatars' and starts_with(name, auth.uid()::text || '.'))""",
    )
    for content in (b"\x89PNG\r\n\x1a\n1", b"\x89PNG\r\n\x1a\n2"):
        assert httpx.get(upload_avatar(ann, "me.png", content)).content == content
    with pytest.raises(StorageApiError):
        ben.client.storage.from_("avatars").update(f"{ann.id}.png", b"forged")

    service = headers(files_server)
    base = f"{files_server.url}/storage/v1"
    httpx.post(f"{base}/object/resources/guide.pdf", content=b"%PDF-", headers=service).raise_for_status()
    assert ann.client.storage.from_("resources").download("guide.pdf") == b"%PDF-"
    anonymous = {"apikey": files_server.status["ANON_KEY"]}
    assert httpx.get(f"{base}/object/resources/guide.pdf", headers=anonymous).status_code == 400


# --- Files and rows ----------------------------------------------------------------------------------------------------


def test_quotas_are_exact_under_concurrency(files_server):
    from concurrent.futures import ThreadPoolExecutor

    rows(files_server, "update tenancy.plans set storage_bytes = 100000, storage_objects = 7 where name = 'free'")
    try:
        base = f"{files_server.url}/storage/v1"
        person = Person(files_server, "quota")
        own = headers(files_server, person)

        def put(number, size=10_000):
            return httpx.post(f"{base}/object/files/{person.id}/{number}", content=bytes(size), headers=own)

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(put, range(24)))
        taken = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(taken) == 7
        assert {answer.json()["code"] for answer in refused} == {"EntityTooLarge"}
        usage = rows(
            files_server, "select bytes, objects, reserved_bytes, reserved_objects from storage.usage where objects = 7"
        )
        assert usage == [(70_000, 7, 0, 0)]
        # What replaces counts for what it adds; what is deleted is free again.
        name = next(answer.json()["Key"] for answer in taken).split("/")[-1]
        grown = {**own, "x-upsert": "true"}
        assert httpx.post(f"{base}/object/files/{person.id}/{name}", content=bytes(40_000), headers=grown).status_code == 200
        answer = httpx.post(f"{base}/object/files/{person.id}/{name}", content=bytes(40_001), headers=grown)
        assert answer.json()["code"] == "EntityTooLarge"
        assert httpx.delete(f"{base}/object/files/{person.id}/{name}", headers=own).status_code == 200

        def chunks():
            for _ in range(60):
                yield bytes(1000)

        # A body that does not say its length is refused as soon as it is too long, and leaves nothing reserved.
        answer = httpx.post(f"{base}/object/files/{person.id}/chunked", content=chunks(), headers=own)
        assert answer.json()["code"] == "EntityTooLarge"
        assert put("again", 40_000).status_code == 200
        usage = rows(files_server, "select bytes, reserved_bytes from storage.usage where bytes = 100000")
        assert usage == [(100_000, 0)]
    finally:
        rows(files_server, "update tenancy.plans set storage_bytes = 5368709120, storage_objects = 100000 where name = 'free'")


def test_an_upload_that_breaks_off_leaves_nothing(files_server, ann):
    own = headers(files_server, ann)
    fields = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    path = f"/storage/v1/object/files/{ann.id}/{name()}"
    for body in ("Content-Length: 5000000", "Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", files_server.api_port)) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{fields}{body}\r\n\r\n".encode())
            piece = bytes(200_000)
            connection.sendall(b"30d40\r\n" + piece + b"\r\n" if "chunked" in body else piece)
            deadline = time.monotonic() + 20
            while not rows(files_server, "select 1 from storage.uploads"):
                assert time.monotonic() < deadline
        while rows(files_server, "select 1 from storage.uploads") or incoming_files(files_server):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert rows(files_server, "select 1 from storage.usage where reserved_bytes <> 0") == []


def test_rows_and_files_agree(files_server):
    assert stored_files(files_server) == stored_rows(files_server)
    assert incoming_files(files_server) == []
    assert rows(files_server, "select * from storage.uploads") == []
