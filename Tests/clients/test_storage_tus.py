# SPDX-License-Identifier: Apache-2.0
"""tuspy, and requests by hand, against Atoll's resumable uploads."""

import base64
import hashlib
import io
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tusclient import client as tus
from tusclient.exceptions import TusCommunicationError

from atoll_server import AtollServer
from people import Person
from storage_projects import POLICIES, incoming_files, rows, stored_files, stored_rows


@pytest.fixture(scope="module")
def tus_server():
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}) as server:
        yield server


@pytest.fixture(scope="module")
def ann(tus_server):
    return Person(tus_server, "ann")


@pytest.fixture(scope="module")
def ben(tus_server):
    return Person(tus_server, "ben")


def headers(server, person, **more):
    own = {"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {person.session.access_token}"}
    return {**own, "Tus-Resumable": "1.0.0", **more}


def encoded(**metadata):
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items())


def base(server):
    return f"{server.url}/storage/v1/upload/resumable"


def create(server, person, key, length, **more):
    fields = {"Upload-Length": str(length), "Upload-Metadata": encoded(bucketName="files", objectName=key)}
    return httpx.post(base(server), headers=headers(server, person, **{**fields, **more}))


def patch(server, person, url, offset, content, **more):
    fields = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", **more}
    return httpx.patch(url, headers=headers(server, person, **fields), content=content)


def key_of(person):
    return f"{person.id}/{uuid.uuid4().hex}.bin"


def download(server, person, key):
    return httpx.get(f"{server.url}/storage/v1/object/files/{key}", headers=headers(server, person)).content


# --- Refusals ----------------------------------------------------------------------------------------------------------


def test_uploads_of_others_are_refused(tus_server, ann, ben):
    assert create(tus_server, ben, key_of(ann), 5).status_code == 403
    url = create(tus_server, ann, key_of(ann), 5).headers["location"]
    assert patch(tus_server, ben, url, 0, b"12345").status_code == 403
    assert httpx.delete(url, headers=headers(tus_server, ben)).status_code == 403
    assert httpx.delete(url, headers=headers(tus_server, ann)).status_code == 204
    assert httpx.head(url, headers=headers(tus_server, ann)).status_code == 404


def test_the_protocol_is_kept(tus_server, ann):
    key = key_of(ann)
    fields = {"Upload-Length": "5", "Upload-Metadata": encoded(bucketName="files", objectName=key)}
    own = headers(tus_server, ann, **fields)
    cases = [
        ({"Tus-Resumable": "0.9"}, 412),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Length": str(1 << 40)}, 413),
        ({"Upload-Defer-Length": "1"}, 400),
        ({"Upload-Defer-Length": "2"}, 400),
        ({"Upload-Length": "99999999999999999999999"}, 400),
        ({"Upload-Length": "+5"}, 400),
        ({"Upload-Length": "5", "Content-Type": "application/offset+octet-stream", "Upload-Checksum": "sha1"}, 400),
        ({"Upload-Metadata": encoded(bucketName="files", objectName=key) + ",bucketName Zm9v"}, 400),
        ({"Upload-Metadata": encoded(bucketName="files", objectName=key, contentType="text")}, 415),
        ({"Upload-Concat": "final;/a /b"}, 409),
        ({"Upload-Metadata": "bucketName %%%"}, 400),
        ({"Upload-Metadata": encoded(bucketName="files")}, 400),
        ({"Upload-Metadata": encoded(bucketName="nowhere", objectName=key)}, 404),
        ({"Upload-Metadata": encoded(bucketName="files", objectName="a\x00b")}, 400),
        ({"Upload-Metadata": encoded(bucketName="files", objectName=key, metadata="[")}, 400),
        ({"Upload-Concat": "partial"}, 409),
    ]
    for change, status in cases:
        answer = httpx.post(base(tus_server), headers={**own, **change})
        assert answer.status_code == status, (change, answer.text)
        assert answer.headers["tus-resumable"] == "1.0.0"
    url = httpx.post(base(tus_server), headers=own).headers["location"]
    assert patch(tus_server, ann, url, 3, b"45").status_code == 409
    assert patch(tus_server, ann, url, 0, b"123456").status_code == 413
    assert patch(tus_server, ann, url, 0, b"1", **{"Content-Type": "text/plain"}).status_code == 415
    assert patch(tus_server, ann, url, 0, b"1", **{"Upload-Checksum": "sha1 AAAA"}).status_code == 460
    assert patch(tus_server, ann, url, 0, b"1", **{"Upload-Checksum": "rot13 AAAA"}).status_code == 400
    assert httpx.head(url, headers=headers(tus_server, ann)).headers["upload-offset"] == "0"
    assert httpx.head(url + "x", headers=headers(tus_server, ann)).status_code in (400, 404)
    assert httpx.head(f"{base(tus_server)}/%00", headers=headers(tus_server, ann)).status_code == 400
    httpx.delete(url, headers=headers(tus_server, ann))


def test_lengths_that_do_not_agree(tus_server, ann):
    # More than was announced, in one request that says so and in one that does not.
    url = create(tus_server, ann, key_of(ann), 5).headers["location"]
    assert patch(tus_server, ann, url, 0, iter([b"123", b"456"])).status_code == 413
    head = httpx.head(url, headers=headers(tus_server, ann)).headers
    assert (head["upload-length"], int(head["upload-offset"]) <= 5) == ("5", True)
    # A length is said once.
    for length in ("6", "4"):
        assert patch(tus_server, ann, url, 0, b"", **{"Upload-Length": length}).status_code == 400
    httpx.delete(url, headers=headers(tus_server, ann))
    # A length that comes later is no smaller than what is there, and no larger than what may be.
    fields = {"Upload-Defer-Length": "1", "Upload-Metadata": encoded(bucketName="files", objectName=key_of(ann))}
    url = httpx.post(base(tus_server), headers=headers(tus_server, ann, **fields)).headers["location"]
    assert patch(tus_server, ann, url, 0, b"12345").status_code == 204
    for length, status in [("3", 400), (str(1 << 40), 413), ("x", 400)]:
        assert patch(tus_server, ann, url, 5, b"", **{"Upload-Length": length}).status_code == status, length
    assert patch(tus_server, ann, url, 5, b"", **{"Upload-Length": "5"}).status_code == 204
    # What is whole cannot be given up any more.
    assert httpx.delete(url, headers=headers(tus_server, ann)).status_code == 404


def test_one_request_writes_at_a_time(tus_server, ann):
    url = create(tus_server, ann, key_of(ann), 10).headers["location"]
    begun, go_on = threading.Event(), threading.Event()

    def slowly():
        yield b"12345"
        begun.set()
        go_on.wait(20)
        yield b"67890"

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(patch, tus_server, ann, url, 0, slowly())
        assert begun.wait(20)
        deadline = time.monotonic() + 20
        while patch(tus_server, ann, url, 0, b"x", **{"Upload-Checksum": "rot13 x"}).status_code != 423:
            assert time.monotonic() < deadline
        assert httpx.delete(url, headers=headers(tus_server, ann)).status_code == 423
        go_on.set()
        assert slow.result().status_code == 204


def test_no_content_is_smuggled_under_the_name_of_an_empty_folder(tus_server, ann):
    key = f"{ann.id}/.emptyFolderPlaceholder"
    metadata = encoded(bucketName="images", objectName=key, contentType="text/html")
    assert create(tus_server, ann, key, 5, **{"Upload-Metadata": metadata}).status_code == 413
    fields = {"Upload-Defer-Length": "1", "Upload-Metadata": metadata}
    url = httpx.post(base(tus_server), headers=headers(tus_server, ann, **fields)).headers["location"]
    assert patch(tus_server, ann, url, 0, b"<html>").status_code == 413
    assert patch(tus_server, ann, url, 0, b"", **{"Upload-Length": "6"}).status_code == 413
    httpx.delete(url, headers=headers(tus_server, ann))


def test_existing_objects_are_kept_without_upsert(tus_server, ann):
    key = key_of(ann)
    url = create(tus_server, ann, key, 3).headers["location"]
    assert patch(tus_server, ann, url, 0, b"one").status_code == 204
    assert create(tus_server, ann, key, 3).status_code == 409
    url = create(tus_server, ann, key, 3, **{"x-upsert": "true"}).headers["location"]
    assert patch(tus_server, ann, url, 0, b"two", **{"x-upsert": "true"}).status_code == 204
    assert download(tus_server, ann, key) == b"two"


# --- Uploads -----------------------------------------------------------------------------------------------------------


def test_capabilities(tus_server):
    answer = httpx.options(base(tus_server))
    assert (answer.status_code, answer.headers["tus-version"]) == (204, "1.0.0")
    assert {"creation", "creation-with-upload", "termination", "checksum", "expiration"} <= set(
        answer.headers["tus-extension"].split(",")
    )


def test_tuspy_uploads(tus_server, ann):
    key = key_of(ann)
    content = bytes(range(256)) * 4096
    uploader = tus.TusClient(base(tus_server), headers(tus_server, ann)).uploader(
        file_stream=io.BytesIO(content),
        chunk_size=300_000,
        metadata={
            "bucketName": "files", "objectName": key, "contentType": "x/y", "cacheControl": "60", "metadata": '{"a": 1}'
        },
        upload_checksum=True,
    )
    uploader.upload()
    assert download(tus_server, ann, key) == content
    info = httpx.get(f"{tus_server.url}/storage/v1/object/info/files/{key}", headers=headers(tus_server, ann)).json()
    assert (info["content_type"], info["cache_control"], info["metadata"]) == ("x/y", "max-age=60", {"a": 1})
    assert info["etag"] == f'"{hashlib.md5(content).hexdigest()}"'
    with pytest.raises(TusCommunicationError):
        tus.TusClient(base(tus_server), headers(tus_server, ann)).uploader(
            file_stream=io.BytesIO(b"x"), metadata={"bucketName": "files", "objectName": key}
        ).upload()


def test_the_first_bytes_may_come_with_the_creation(tus_server, ann):
    key = key_of(ann)
    fields = {"Upload-Length": "6", "Upload-Metadata": encoded(bucketName="files", objectName=key)}
    own = headers(tus_server, ann, **fields, **{"Content-Type": "application/offset+octet-stream"})
    answer = httpx.post(base(tus_server), headers=own, content=b"abc")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "3")
    assert "upload-expires" in answer.headers
    assert patch(tus_server, ann, answer.headers["location"], 3, b"def").headers["upload-offset"] == "6"
    assert download(tus_server, ann, key) == b"abcdef"
    key = key_of(ann)
    assert create(tus_server, ann, key, 0).status_code == 201
    assert download(tus_server, ann, key) == b""


def test_the_length_may_come_later(tus_server, ann):
    key = key_of(ann)
    fields = {"Upload-Defer-Length": "1", "Upload-Metadata": encoded(bucketName="files", objectName=key)}
    url = httpx.post(base(tus_server), headers=headers(tus_server, ann, **fields)).headers["location"]
    assert httpx.head(url, headers=headers(tus_server, ann)).headers["upload-defer-length"] == "1"
    assert patch(tus_server, ann, url, 0, b"abc").status_code == 204
    assert patch(tus_server, ann, url, 3, b"def", **{"Upload-Length": "6"}).status_code == 204
    assert download(tus_server, ann, key) == b"abcdef"


def test_a_signed_upload_needs_no_user(tus_server, ann):
    key = key_of(ann)
    token = ann.client.storage.from_("files").create_signed_upload_url(key)["token"]
    fields = {
        "x-signature": token, "Tus-Resumable": "1.0.0", "Upload-Length": "3",
        "Upload-Metadata": encoded(bucketName="files", objectName=key),
    }
    answer = httpx.post(f"{base(tus_server)}/sign", headers=fields)
    assert answer.status_code == 201, answer.text
    url = answer.headers["location"]
    part = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert httpx.patch(url, headers=part, content=b"abc").status_code == 400
    assert httpx.patch(url, headers={**part, "x-signature": token}, content=b"abc").status_code == 204
    assert download(tus_server, ann, key) == b"abc"
    other = {**fields, "Upload-Metadata": encoded(bucketName="files", objectName=key_of(ann))}
    assert httpx.post(f"{base(tus_server)}/sign", headers=other).status_code == 400


def test_an_upload_outlives_the_server(tus_server, ann):
    key = key_of(ann)
    content = hashlib.sha512(b"x").digest() * 80_000
    uploader = tus.TusClient(base(tus_server), headers(tus_server, ann)).uploader(
        file_stream=io.BytesIO(content),
        chunk_size=1_000_000,
        metadata={"bucketName": "files", "objectName": key},
        retries=0,
    )
    for _ in range(3):
        uploader.upload_chunk()
        tus_server.kill()
        tus_server.start()
        resumed = tus.TusClient(base(tus_server), headers(tus_server, ann)).uploader(
            file_stream=io.BytesIO(content), chunk_size=1_000_000, url=uploader.url
        )
        assert resumed.offset == uploader.offset
        uploader = resumed
    uploader.upload()
    assert download(tus_server, ann, key) == content


def test_rows_and_files_agree(tus_server):
    assert stored_files(tus_server) == stored_rows(tus_server)
    assert incoming_files(tus_server) == []
    assert rows(tus_server, "select * from storage.uploads") == []
    assert rows(tus_server, "select * from storage.usage where reserved_bytes <> 0 or reserved_objects <> 0") == []
