# SPDX-License-Identifier: Apache-2.0
"""Rendered images, through the official client and by hand. Skipped where libvips is not installed."""

import ctypes
import http.server
import io
import json
import threading
import time
import uuid

import httpx
import pytest
from PIL import Image

from atoll_server import AtollServer
from people import Person
from storage_projects import POLICIES

try:
    ctypes.CDLL("libvips.so.42")
except OSError:
    pytest.skip("libvips is not installed", allow_module_level=True)

CONFIG = """
[storage.image_transformation]
enabled = true
[atoll.storage.images]
max_input_pixels = 4000000
max_side = 1000
cache_size = "1MiB"
timeout = "60s"
[atoll.storage]
sweep_interval = "1s"
"""


@pytest.fixture(scope="module")
def image_server():
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}, config=CONFIG) as server:
        yield server


@pytest.fixture(scope="module")
def ann(image_server):
    return Person(image_server, "ann")


@pytest.fixture(scope="module")
def ben(image_server):
    return Person(image_server, "ben")


def picture(width=400, height=200, kind="PNG", left=(255, 0, 0), right=(0, 0, 255)):
    """One colour on the left and another on the right."""
    image = Image.new("RGB", (width, height), left)
    image.paste(right, (width // 2, 0, width, height))
    target = io.BytesIO()
    image.save(target, kind)
    return target.getvalue()


def put(person, content, bucket="images", kind="image/png", name=None):
    path = f"{person.id}/{name or uuid.uuid4().hex}"
    person.client.storage.from_(bucket).upload(path, content, {"content-type": kind})
    return path


def headers(server, person, **more):
    return {"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {person.session.access_token}", **more}


def render(server, person, path, query, **more):
    url = f"{server.url}/storage/v1/render/image/authenticated/images/{path}?{query}"
    return httpx.get(url, headers=headers(server, person, **more), timeout=30)


def opened(answer):
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


def test_images_of_others_are_not_rendered(image_server, ann, ben):
    path = put(ann, picture())
    opened(render(image_server, ann, path, "width=10"))
    # What was rendered for one is not served to another out of the cache.
    answer = render(image_server, ben, path, "width=10")
    assert (answer.status_code, answer.json()["code"]) == (400, "NoSuchKey")
    url = f"{image_server.url}/storage/v1/render/image/public/images/{path}?width=10"
    assert httpx.get(url).json()["code"] == "NoSuchBucket"


@pytest.mark.parametrize(
    "query", ["width=-1", "width=x", "resize=stretch", "format=bmp", "quality=10", "quality=101", "gravity=up", "gravity=fp"]
)
def test_bad_parameters_are_refused(image_server, ann, query):
    path = put(ann, picture())
    answer = render(image_server, ann, path, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidParameter")


def test_what_is_no_image_is_refused(image_server, ann):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>'
    for content in (b"no image at all", b"\x89PNG\r\n\x1a\n" + bytes(100), b"%PDF-1.4", svg):
        path = f"{ann.id}/{uuid.uuid4().hex}"
        ann.client.storage.from_("files").upload(path, content, {"content-type": "image/png"})
        url = f"{image_server.url}/storage/v1/render/image/authenticated/files/{path}?width=10"
        answer = httpx.get(url, headers=headers(image_server, ann), timeout=30)
        assert answer.status_code in (400, 422), content[:20]
        assert answer.json()["code"] == "InvalidRequest"


def test_large_images_are_refused_before_they_are_decoded(image_server, ann):
    path = put(ann, picture(3000, 2000))
    began = time.monotonic()
    answer = render(image_server, ann, path, "width=10")
    assert (answer.status_code, answer.json()["message"]) == (400, "The image has too many pixels")
    assert time.monotonic() - began < 5


def test_sizes(image_server, ann):
    path = put(ann, picture(400, 200))
    cases = [
        ("width=100", (100, 50)),
        ("height=100", (200, 100)),
        ("width=100&height=100", (100, 100)),
        ("width=100&height=100&resize=contain", (100, 50)),
        ("width=100&height=100&resize=fill", (100, 100)),
        ("width=5000&height=5000&resize=fill", (1000, 1000)),
        ("width=800", (400, 200)),
        ("quality=50", (400, 200)),
    ]
    for query, size in cases:
        answer = render(image_server, ann, path, query)
        assert opened(answer).size == size, query
        assert answer.headers["content-type"] == "image/png"
        assert "x-transformations" in answer.headers


def test_what_is_kept_of_a_covered_image(image_server, ann):
    path = put(ann, picture(400, 200))
    red, blue = (255, 0, 0), (0, 0, 255)
    for gravity, left, right in [
        ("we", red, red), ("ea", blue, blue), ("ce", red, blue), ("nowe", red, red), ("soea", blue, blue),
        ("fp&x_offset=0&y_offset=0.5", red, red), ("fp&x_offset=1&y_offset=0", blue, blue),
    ]:
        image = opened(render(image_server, ann, path, f"width=100&height=100&gravity={gravity}")).convert("RGB")
        assert (image.getpixel((5, 50)), image.getpixel((94, 50))) == (left, right), gravity
    assert opened(render(image_server, ann, path, "width=50&height=50&gravity=sm")).size == (50, 50)


def test_formats(image_server, ann):
    path = put(ann, picture(kind="JPEG"), kind="image/jpeg")
    assert opened(render(image_server, ann, path, "width=10")).format == "JPEG"
    assert opened(render(image_server, ann, path, "width=10&format=webp")).format == "WEBP"
    answer = render(image_server, ann, path, "width=10&format=avif")
    assert (answer.status_code, answer.headers["content-type"], answer.content[4:12]) == (200, "image/avif", b"ftypavif")
    answer = render(image_server, ann, path, "width=10", Accept="image/avif,image/webp,*/*")
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("image/webp", "Accept")
    answer = render(image_server, ann, path, "width=10&format=origin", Accept="image/webp")
    assert answer.headers["content-type"] == "image/jpeg"


def test_the_official_client_renders(image_server, ann):
    path = put(ann, picture())
    transform = {"transform": {"width": 20, "height": 20, "resize": "contain"}}
    content = ann.client.storage.from_("images").download(path, transform)
    assert Image.open(io.BytesIO(content)).size == (20, 10)
    signed = ann.client.storage.from_("images").create_signed_url(path, 60, {"transform": {"width": 30}})["signedURL"]
    assert "/render/image/sign/" in signed
    assert opened(httpx.get(signed, timeout=30)).size == (30, 15)
    # The token says how; the query of the address changes nothing.
    assert opened(httpx.get(signed + "&width=300", timeout=30)).size == (30, 15)
    answer = httpx.get(signed.replace("/render/image/sign/", "/object/sign/"))
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidSignature")
    path = put(ann, picture(), bucket="open")
    url = ann.client.storage.from_("open").get_public_url(path, {"transform": {"width": 40}})
    assert opened(httpx.get(url, timeout=30)).size == (40, 20)


def test_rendered_images_are_kept_and_follow_the_image(image_server, ann):
    path = put(ann, picture(left=(0, 255, 0)))
    first = render(image_server, ann, path, "width=40")
    folder = image_server.folder / ".atoll" / "storage" / "rendered"
    kept = set(folder.iterdir())
    again = render(image_server, ann, path, "width=40")
    assert again.content == first.content and again.headers["etag"] == first.headers["etag"]
    assert set(folder.iterdir()) <= kept
    answer = render(image_server, ann, path, "width=40", **{"If-None-Match": first.headers["etag"]})
    assert answer.status_code == 304
    ann.client.storage.from_("images").update(path, picture(left=(0, 0, 0)), {"content-type": "image/png"})
    changed = opened(render(image_server, ann, path, "width=40")).convert("RGB")
    assert changed.getpixel((1, 1)) == (0, 0, 0)


def test_what_is_kept_is_bounded(image_server, ann):
    noise = Image.effect_noise((1000, 1000), 90)
    target = io.BytesIO()
    noise.save(target, "PNG")
    path = put(ann, target.getvalue(), bucket="files")
    folder = image_server.folder / ".atoll" / "storage" / "rendered"
    for width in range(900, 905):
        url = f"{image_server.url}/storage/v1/render/image/authenticated/files/{path}?width={width}"
        assert httpx.get(url, headers=headers(image_server, ann), timeout=30).status_code == 200
    deadline = time.monotonic() + 20
    while sum(file.stat().st_size for file in folder.iterdir()) > 1 << 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)


# --- Purging and limits ----------------------------------------------------------------------------------------------------


class Network(http.server.BaseHTTPRequestHandler):
    """A content delivery network that notes what it is told to forget."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.told.append((self.headers["authorization"], body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def network():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Network) as server:
        server.told, server.status = [], 200
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def limited_server(network):
    config = (
        "[storage.image_transformation]\nenabled = true\n[atoll.storage.images]\nrequests_per_path = 3\n"
        f'[atoll.storage.cdn]\npurge_url = "http://127.0.0.1:{network.server_port}/purge"\npurge_key = "purge-key"\n'
    )
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}, config=config) as server:
        yield server


def test_one_path_is_rendered_so_often_a_second(limited_server):
    person = Person(limited_server, "ann")
    path, other = put(person, picture()), put(person, picture())
    answers = [render(limited_server, person, path, f"width={width}") for width in range(1, 13)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and {answer.json()["code"] for answer in refused} == {"SlowDown"}
    assert [answer.status_code for answer in answers[:3]] == [200] * 3
    assert render(limited_server, person, other, "width=5").status_code == 200


def test_what_is_kept_is_purged(limited_server, network):
    person = Person(limited_server, "ann")
    url = f"{limited_server.url}/storage/v1/cdn"
    service = {"apikey": limited_server.status["SERVICE_ROLE_KEY"]}
    folder = limited_server.folder / ".atoll" / "storage" / "rendered"
    for path in ("", "/images", "/images/x"):
        answer = httpx.delete(url + path, headers=headers(limited_server, person))
        assert (answer.status_code, answer.json()["code"]) == (403, "AccessDenied")
    assert network.told == []
    answer = httpx.delete(f"{url}/a%2Fb", headers=service)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidBucketName")

    def kept(version):
        return [file.name for file in folder.iterdir() if file.name.startswith(version)]

    one, two, three = put(person, picture()), put(person, picture()), put(person, picture(), bucket="open")
    versions = []
    for bucket, path in [("images", one), ("images", two), ("open", three)]:
        base = f"{limited_server.url}/storage/v1"
        own = headers(limited_server, person)
        assert httpx.get(f"{base}/render/image/authenticated/{bucket}/{path}?width=7", headers=own).status_code == 200
        versions.append(httpx.get(f"{base}/object/info/{bucket}/{path}", headers=own).json()["version"])
        assert kept(versions[-1])
    answer = httpx.delete(f"{url}/images/{one}?transformations=true", headers=service)
    assert (answer.status_code, answer.json()) == (200, {"message": "success"})
    assert [bool(kept(version)) for version in versions] == [False, True, True]
    httpx.delete(f"{url}/images", headers=service)
    assert [bool(kept(version)) for version in versions] == [False, False, True]
    httpx.delete(url, headers=service)
    assert [bool(kept(version)) for version in versions] == [False, False, False]
    tenant = {"tenant": {"ref": "clients"}}
    assert network.told == [
        ("Bearer purge-key", {**tenant, "bucketId": "images", "objectName": one, "transformations": True}),
        ("Bearer purge-key", {**tenant, "bucketId": "images"}),
        ("Bearer purge-key", tenant),
    ]
    network.status = 500
    answer = httpx.delete(url, headers=service)
    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
    assert "purge-key" not in limited_server.log


def test_a_bad_transformation_is_not_signed(image_server, ann):
    path = put(ann, picture())
    url = f"{image_server.url}/storage/v1/object/sign/images/{path}"
    for transform in ({"width": -1}, {"format": "bmp"}, {"quality": 5}):
        answer = httpx.post(url, json={"expiresIn": 60, "transform": transform}, headers=headers(image_server, ann))
        assert (answer.status_code, answer.json()["code"]) == (400, "InvalidParameter"), transform
    answer = httpx.post(url, json={"expiresIn": 60, "transform": [1]}, headers=headers(image_server, ann))
    assert answer.json()["code"] == "InvalidRequest"
