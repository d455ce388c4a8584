# SPDX-License-Identifier: Apache-2.0
"""boto3 against Atoll's S3 protocol: every call that is served, with the key pair and with a user's session token."""

import base64
import gzip
import hashlib
import hmac
import io
import json
import types
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import boto3
import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll_server import AtollServer
from people import Person
from storage_projects import POLICIES, incoming_files, rows, stored_files, stored_rows


@pytest.fixture(scope="module")
def s3_server():
    config = '[storage]\nfile_size_limit = "100MiB"\n'
    with AtollServer(migrations={"20260101000000_files.sql": POLICIES}, config=config) as server:
        yield server


def make_client(server, person=None, **options):
    if person:
        credentials = {
            "aws_access_key_id": "clients",
            "aws_secret_access_key": server.status["ANON_KEY"],
            "aws_session_token": person.session.access_token,
        }
    else:
        credentials = {
            "aws_access_key_id": server.status["S3_PROTOCOL_ACCESS_KEY_ID"],
            "aws_secret_access_key": server.status["S3_PROTOCOL_ACCESS_KEY_SECRET"],
        }
    return boto3.client(
        "s3",
        endpoint_url=f"{server.url}/storage/v1/s3",
        region_name="local",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **options),
        **(credentials | options.pop("credentials", {})),
    )


@pytest.fixture(scope="module")
def s3(s3_server):
    return make_client(s3_server)


@pytest.fixture(scope="module")
def ann(s3_server):
    return Person(s3_server, "ann")


@pytest.fixture(scope="module")
def ben(s3_server):
    return Person(s3_server, "ben")


@pytest.fixture
def bucket(s3):
    name = f"s3-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


# --- Refusals ----------------------------------------------------------------------------------------------------------


def test_wrong_keys_are_refused(s3_server, ann):
    def client(key, secret, token=None):
        return boto3.client(
            "s3",
            endpoint_url=f"{s3_server.url}/storage/v1/s3",
            region_name="local",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    key, secret = s3_server.status["S3_PROTOCOL_ACCESS_KEY_ID"], s3_server.status["S3_PROTOCOL_ACCESS_KEY_SECRET"]
    anon = s3_server.status["ANON_KEY"]
    assert refused(client("nobody", secret).list_buckets) == ("InvalidAccessKeyId", 403)
    assert refused(client(key, "wrong").list_buckets) == ("SignatureDoesNotMatch", 403)
    assert refused(client(key, secret, ann.session.access_token).list_buckets) == ("InvalidAccessKeyId", 403)
    assert refused(client("clients", secret, ann.session.access_token).list_buckets) == ("SignatureDoesNotMatch", 403)
    assert refused(client("clients", anon, ann.session.access_token[:-3] + "AAA").list_buckets) == ("AccessDenied", 403)
    assert refused(client("clients", anon).list_buckets) == ("InvalidAccessKeyId", 403)
    assert httpx.get(f"{s3_server.url}/storage/v1/s3/files").status_code == 403


def test_a_signature_covers_the_request(s3_server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"}, ExpiresIn=60)
    assert httpx.get(url).content == b"a"
    assert httpx.get(url.replace("/a?", "/b?")).status_code == 403
    assert httpx.get(url + "&versionId=1").status_code == 403
    assert httpx.put(url, content=b"x").status_code == 403
    assert httpx.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")).status_code == 403
    date = url.split("X-Amz-Date=")[1][:16]
    assert httpx.get(url.replace(date, "20200101T000000Z")).status_code == 400


def test_signed_addresses_last_seven_days_at_most(s3, bucket):
    for lifetime in (604_801, 0, -5):
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"}, ExpiresIn=lifetime)
        answer = httpx.get(url)
        assert (answer.status_code, "AuthorizationQueryParametersError" in answer.text) == (400, True), lifetime
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a"}, ExpiresIn=604_800)
    assert httpx.put(url, content=b"a").status_code == 200


def test_fields_that_were_not_signed_are_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "mine"}, ExpiresIn=60)
    for field, value in [
        ("x-amz-copy-source", f"/{bucket}/secret"), ("x-amz-meta-a", "b"), ("x-amz-metadata-directive", "REPLACE"),
    ]:
        answer = httpx.put(url, headers={field: value})
        assert (answer.status_code, "AccessDenied" in answer.text) == (403, True), field
    assert refused(s3.head_object, Bucket=bucket, Key="mine") == ("404", 404)
    assert httpx.put(url, content=b"mine").status_code == 200


def test_clocks_may_differ_a_quarter_of_an_hour(s3_server, s3, bucket):
    for minutes, status in [(-20, 403), (-10, 200), (10, 200), (20, 403)]:
        date = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        answer = ChunkedRequest(s3_server, f"{bucket}/skew", [b"x"], date=date).send()
        assert (answer.status_code, "RequestTimeTooSkewed" in answer.text) == (status, status == 403), minutes


def test_an_ended_session_is_told(s3_server, ann):
    # The server refuses it for what it says of its end, or for its signature: never lets it in.
    head, payload, _ = ann.session.access_token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["exp"] = claims["iat"] = 1_000_000_000
    secret = s3_server.status["JWT_SECRET"].encode()

    def encode(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    text = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    token = (text + b"." + encode(hmac.new(secret, text, hashlib.sha256).digest())).decode()
    person = types.SimpleNamespace(session=types.SimpleNamespace(access_token=token))
    assert refused(make_client(s3_server, person).list_buckets) == ("ExpiredToken", 400)


def test_what_is_not_served_changes_nothing(s3, bucket):
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    key = {"Bucket": bucket, "Key": "kept"}
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    empty = f"{bucket}-empty"
    s3.create_bucket(Bucket=empty)
    calls = [
        (s3.get_bucket_acl, {"Bucket": bucket}),
        (s3.get_bucket_policy, {"Bucket": bucket}),
        (s3.get_bucket_lifecycle_configuration, {"Bucket": bucket}),
        (s3.get_bucket_cors, {"Bucket": bucket}),
        (s3.get_bucket_tagging, {"Bucket": bucket}),
        (s3.get_bucket_notification_configuration, {"Bucket": bucket}),
        (s3.get_bucket_replication, {"Bucket": bucket}),
        (s3.get_object_lock_configuration, {"Bucket": bucket}),
        (s3.get_public_access_block, {"Bucket": bucket}),
        (s3.list_object_versions, {"Bucket": bucket}),
        (s3.put_bucket_versioning, {"Bucket": f"{bucket}-new", "VersioningConfiguration": {"Status": "Enabled"}}),
        (s3.put_bucket_policy, {"Bucket": f"{bucket}-new", "Policy": "{}"}),
        (s3.put_bucket_acl, {"Bucket": f"{bucket}-new", "ACL": "private"}),
        (s3.put_bucket_tagging, {"Bucket": f"{bucket}-new", "Tagging": tags}),
        (s3.delete_bucket_policy, {"Bucket": empty}),
        (s3.delete_bucket_cors, {"Bucket": empty}),
        (s3.delete_bucket_lifecycle, {"Bucket": empty}),
        (s3.delete_bucket_tagging, {"Bucket": empty}),
        (s3.get_object_acl, key),
        (s3.get_object_attributes, {**key, "ObjectAttributes": ["ETag"]}),
        (s3.get_object_retention, key),
        (s3.put_object_tagging, {**key, "Tagging": tags}),
        (s3.put_object_acl, {**key, "ACL": "private"}),
        (s3.put_object_legal_hold, {**key, "LegalHold": {"Status": "ON"}}),
        (s3.restore_object, {**key, "RestoreRequest": {"Days": 1}}),
        (s3.delete_object_tagging, key),
        (s3.delete_object, {**key, "VersionId": "1"}),
        (s3.put_object, {**key, "Body": b"x", "Tagging": "a=b"}),
        (s3.put_object, {**key, "Body": b"x", "SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}),
        (s3.put_object, {**key, "Body": b"x", "ObjectLockMode": "GOVERNANCE"}),
        (s3.put_object, {**key, "Body": b"x", "IfNoneMatch": '"tag"'}),
    ]
    for call, arguments in calls:
        assert refused(call, **arguments) == ("NotImplemented", 501), call.__name__
    assert s3.get_object(**key)["Body"].read() == b"kept"
    names = [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert bucket in names and empty in names and f"{bucket}-new" not in names


def test_what_is_not_there_has_its_code(s3, bucket):
    assert refused(s3.get_object, Bucket=bucket, Key="none") == ("NoSuchKey", 404)
    assert refused(s3.head_object, Bucket=bucket, Key="none") == ("404", 404)
    assert refused(s3.get_object, Bucket="no-such-bucket", Key="x") == ("NoSuchBucket", 404)
    assert refused(s3.put_object, Bucket="no-such-bucket", Key="x", Body=b"") == ("NoSuchBucket", 404)
    assert refused(s3.list_objects_v2, Bucket="no-such-bucket") == ("NoSuchBucket", 404)
    assert refused(s3.create_bucket, Bucket=bucket)[1] == 409
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    assert refused(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    assert refused(s3.get_object, Bucket=bucket, Key="a", Range="bytes=5-") == ("InvalidRange", 416)
    assert refused(s3.put_object, Bucket=bucket, Key="a", Body=b"b", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refused(s3.put_object, Bucket=bucket, Key="m", Body=b"b", ContentMD5="A" * 22 + "==") == ("BadDigest", 400)
    arguments = {"Bucket": bucket, "Key": "a", "UploadId": str(uuid.uuid4())}
    assert refused(s3.list_parts, **arguments) == ("NoSuchUpload", 404)
    assert refused(s3.abort_multipart_upload, **arguments) == ("NoSuchUpload", 404)


def test_users_stay_apart(s3_server, ann, ben):
    mine, theirs = make_client(s3_server, ann), make_client(s3_server, ben)
    key = f"{ann.id}/secret.txt"
    mine.put_object(Bucket="files", Key=key, Body=b"secret")
    assert mine.get_object(Bucket="files", Key=key)["Body"].read() == b"secret"
    assert refused(theirs.get_object, Bucket="files", Key=key) == ("NoSuchKey", 404)
    assert refused(theirs.put_object, Bucket="files", Key=key, Body=b"forged") == ("AccessDenied", 403)
    assert theirs.list_objects_v2(Bucket="files")["KeyCount"] == 0
    copy = {"Bucket": "files", "Key": f"{ben.id}/x", "CopySource": {"Bucket": "files", "Key": key}}
    assert refused(theirs.copy_object, **copy) == ("NoSuchKey", 404)
    theirs.delete_object(Bucket="files", Key=key)
    theirs.delete_objects(Bucket="files", Delete={"Objects": [{"Key": key}]})
    assert mine.get_object(Bucket="files", Key=key)["Body"].read() == b"secret"
    assert refused(theirs.create_multipart_upload, Bucket="files", Key=key) == ("AccessDenied", 403)
    upload = mine.create_multipart_upload(Bucket="files", Key=key)["UploadId"]
    part = {"Bucket": "files", "Key": key, "UploadId": upload}
    assert refused(theirs.upload_part, PartNumber=1, Body=b"x", **part) == ("NoSuchUpload", 404)
    assert theirs.list_multipart_uploads(Bucket="files").get("Uploads", []) == []
    assert [each["UploadId"] for each in mine.list_multipart_uploads(Bucket="files")["Uploads"]] == [upload]
    mine.abort_multipart_upload(**part)
    assert refused(theirs.create_bucket, Bucket="theirs") == ("AccessDenied", 403)


# --- Calls -------------------------------------------------------------------------------------------------------------


def test_buckets(s3, bucket):
    assert bucket in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    s3.head_bucket(Bucket=bucket)
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "local"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"
    s3.delete_bucket(Bucket=bucket)
    assert refused(s3.head_bucket, Bucket=bucket) == ("404", 404)


def test_objects(s3, bucket):
    content = bytes(range(256)) * 40
    made = s3.put_object(
        Bucket=bucket,
        Key="a/b c+d.txt",
        Body=content,
        ContentType="text/x-test",
        CacheControl="max-age=5",
        Metadata={"colour": "blue"},
    )
    assert made["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="a/b c+d.txt")
    assert got["Body"].read() == content
    assert (got["ContentType"], got["CacheControl"], got["Metadata"]) == ("text/x-test", "max-age=5", {"colour": "blue"})
    head = s3.head_object(Bucket=bucket, Key="a/b c+d.txt")
    assert (head["ContentLength"], head["ETag"]) == (len(content), made["ETag"])
    part = s3.get_object(Bucket=bucket, Key="a/b c+d.txt", Range="bytes=10-19")
    assert (part["Body"].read(), part["ContentRange"]) == (content[10:20], f"bytes 10-19/{len(content)}")
    got = s3.get_object(Bucket=bucket, Key="a/b c+d.txt", ResponseContentDisposition="attachment")
    assert got["ContentDisposition"] == "attachment"
    assert s3.get_object_tagging(Bucket=bucket, Key="a/b c+d.txt")["TagSet"] == []
    assert refused(s3.get_object, Bucket=bucket, Key="a/b c+d.txt", IfNoneMatch=made["ETag"])[1] == 304
    assert refused(s3.get_object, Bucket=bucket, Key="a/b c+d.txt", IfMatch='"x"')[1] == 412

    source = {"Bucket": bucket, "Key": "a/b c+d.txt"}
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert copied["CopyObjectResult"]["ETag"] == made["ETag"]
    s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE", ContentType="a/b", Metadata={"x": "y"}
    )
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert (got["ContentType"], got["Metadata"], got["Body"].read()) == ("a/b", {"x": "y"}, content)
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    s3.delete_object(Bucket=bucket, Key="copy")
    s3.delete_object(Bucket=bucket, Key="copy")
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/b c+d.txt"}, {"Key": "none"}]})
    assert {each["Key"] for each in deleted["Deleted"]} == {"a/b c+d.txt", "none"}
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["empty"]


def test_conditions_of_writing(s3, bucket):
    key = {"Bucket": bucket, "Key": "a"}
    failed = ("PreconditionFailed", 412)
    assert refused(s3.put_object, **key, Body=b"0", IfMatch='"none"') == ("NoSuchKey", 404)
    first = s3.put_object(**key, Body=b"1", IfNoneMatch="*")["ETag"]
    assert refused(s3.put_object, **key, Body=b"2", IfNoneMatch="*") == failed
    assert refused(s3.put_object, **key, Body=b"2", IfMatch='"other"') == failed
    second = s3.put_object(**key, Body=b"2", IfMatch=first)["ETag"]
    third = s3.put_object(**key, Body=b"3", IfMatch=second.strip('"'))["ETag"]
    assert refused(s3.put_object, **key, Body=b"4", IfMatch=second) == failed
    assert s3.get_object(**key)["Body"].read() == b"3"

    # Of many that replace the same version, one does.
    def replace(number):
        try:
            return s3.put_object(**key, Body=b"race%d" % number, IfMatch=third)["ETag"]
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed", error
            return None

    with ThreadPoolExecutor(8) as pool:
        tags = [tag for tag in pool.map(replace, range(16)) if tag]
    assert tags == [s3.head_object(**key)["ETag"]]

    assert refused(s3.delete_object, **key, IfMatch=third) == failed
    s3.delete_object(**key, IfMatch=tags[0])
    assert refused(s3.delete_object, **key, IfMatch=tags[0]) == failed
    assert refused(s3.head_object, **key) == ("404", 404)


def test_conditions_of_copying(s3, bucket):
    tag = s3.put_object(Bucket=bucket, Key="source", Body=b"source")["ETag"]
    moment = s3.head_object(Bucket=bucket, Key="source")["LastModified"]
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "source"}}
    failed = ("PreconditionFailed", 412)
    hour = timedelta(hours=1)
    for condition in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": tag},
        {"CopySourceIfModifiedSince": moment},
        {"CopySourceIfUnmodifiedSince": moment - hour},
        {"CopySourceIfNoneMatch": tag, "CopySourceIfModifiedSince": moment - hour},
    ):
        assert refused(s3.copy_object, **copy, **condition) == failed, condition
    assert refused(s3.head_object, Bucket=bucket, Key="copy") == ("404", 404)
    for condition in (
        {"CopySourceIfMatch": tag},
        {"CopySourceIfMatch": tag.strip('"'), "CopySourceIfUnmodifiedSince": moment - hour},
        {"CopySourceIfNoneMatch": '"other"'},
        {"CopySourceIfModifiedSince": moment - hour},
        {"CopySourceIfUnmodifiedSince": moment + hour},
    ):
        assert s3.copy_object(**copy, **condition)["CopyObjectResult"]["ETag"] == tag, condition
    assert refused(s3.copy_object, **copy, IfNoneMatch="*") == failed
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = {"Key": "parts", "UploadId": upload, "PartNumber": 1, "Bucket": bucket, "CopySource": copy["CopySource"]}
    assert refused(s3.upload_part_copy, **part, CopySourceIfMatch='"other"') == failed
    s3.upload_part_copy(**part, CopySourceIfMatch=tag)
    s3.abort_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload)


def test_conditions_of_completing(s3, bucket):
    target = {"Bucket": bucket, "Key": "parts"}
    target["UploadId"] = s3.create_multipart_upload(**target)["UploadId"]
    tag = s3.upload_part(PartNumber=1, Body=b"in parts", **target)["ETag"]
    parts = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": tag}]}}
    other = s3.put_object(Bucket=bucket, Key="parts", Body=b"other")["ETag"]
    failed = ("PreconditionFailed", 412)
    assert refused(s3.complete_multipart_upload, **target, **parts, IfNoneMatch="*") == failed
    assert refused(s3.complete_multipart_upload, **target, **parts, IfMatch='"x"') == failed
    # The upload is still there, and can be completed.
    assert len(s3.list_parts(**target)["Parts"]) == 1
    s3.complete_multipart_upload(**target, **parts, IfMatch=other)
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"in parts"


def test_header_fields_of_content_are_kept(s3_server, s3, bucket):
    fields = {
        "ContentEncoding": "gzip", "ContentDisposition": 'attachment; filename="a.gz"', "ContentLanguage": "de",
        "ExpiresString": "Thu, 01 Jan 2032 00:00:00 GMT",
    }
    given = {name: value for name, value in fields.items() if name != "ExpiresString"}
    given["Expires"] = datetime(2032, 1, 1, tzinfo=timezone.utc)
    content = gzip.compress(b"packed")

    def check(key, expected=fields):
        got = s3.get_object(Bucket=bucket, Key=key)
        assert got["Body"].read() == content
        assert {name: got.get(name) for name in fields} == {**dict.fromkeys(fields), **expected}, key

    s3.put_object(Bucket=bucket, Key="put", Body=content, **given)
    check("put")
    source = {"Bucket": bucket, "Key": "put"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    check("copy")
    s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE", ContentLanguage="fr"
    )
    check("copy", {"ContentLanguage": "fr"})
    target = {"Bucket": bucket, "Key": "parts"}
    target["UploadId"] = s3.create_multipart_upload(**target, **given)["UploadId"]
    tag = s3.upload_part(PartNumber=1, Body=content, **target)["ETag"]
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}, **target)
    check("parts")
    # The other way to download says the same, and decodes it.
    key = s3_server.status["SERVICE_ROLE_KEY"]
    answer = httpx.get(f"{s3_server.url}/storage/v1/object/{bucket}/put", headers={"apikey": key})
    assert (answer.content, answer.headers["content-encoding"]) == (b"packed", "gzip")
    # How a body travels is no part of what it is.
    ChunkedRequest(s3_server, f"{bucket}/chunked", [b"x"]).send()
    assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="chunked")


def test_lists_of_buckets_and_uploads_come_in_pages(s3):
    stem = f"page-{uuid.uuid4().hex[:8]}"
    names = [f"{stem}-{number}" for number in range(5)]
    for each in names:
        s3.create_bucket(Bucket=each)
    pages = list(s3.get_paginator("list_buckets").paginate(Prefix=stem, PaginationConfig={"PageSize": 2}))
    assert [[each["Name"] for each in page["Buckets"]] for page in pages] == [names[:2], names[2:4], names[4:]]

    bucket = names[0]
    keys = ["a/1", "a/2", "b c/1", "top", "top"]
    uploads = [s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in keys]
    found = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [each["Prefix"] for each in found["CommonPrefixes"]] == ["a/", "b c/"]
    assert [each["Key"] for each in found["Uploads"]] == ["top", "top"]
    paginator = s3.get_paginator("list_multipart_uploads")
    pages = list(paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}))
    assert [each["Key"] for page in pages for each in page["Uploads"]] == keys
    pages = list(paginator.paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}))
    assert [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])] == ["a/", "b c/"]
    found = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a/2")
    assert [each["Key"] for each in found["Uploads"]] == keys[2:]
    for key, upload in zip(keys, uploads):
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums(s3, bucket, algorithm):
    made = s3.put_object(Bucket=bucket, Key="sum", Body=b"checked", ChecksumAlgorithm=algorithm)
    assert made[f"Checksum{algorithm}"]
    wrong = {f"Checksum{algorithm}": base64.b64encode(bytes({"CRC32": 4, "SHA1": 20, "SHA256": 32}[algorithm])).decode()}
    assert refused(s3.put_object, Bucket=bucket, Key="sum", Body=b"other", **wrong) == ("BadDigest", 400)


def test_lists(s3, bucket):
    keys = [f"{folder}/{number:03}.txt" for folder in ("a", "b/deep", "c") for number in range(15)] + ["top.txt"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    found = [
        each["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7})
        for each in page.get("Contents", [])
    ]
    assert found == sorted(keys)
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2})
    )
    assert [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])] == ["a/", "b/", "c/"]
    assert [each["Key"] for page in pages for each in page.get("Contents", [])] == ["top.txt"]
    found = s3.list_objects_v2(Bucket=bucket, Prefix="b/", Delimiter="/")
    assert [each["Prefix"] for each in found["CommonPrefixes"]] == ["b/deep/"] and found["KeyCount"] == 1
    found = s3.list_objects_v2(Bucket=bucket, StartAfter="c/012.txt")
    assert [each["Key"] for each in found["Contents"]] == ["c/013.txt", "c/014.txt", "top.txt"]
    found = [
        each["Key"]
        for page in s3.get_paginator("list_objects").paginate(Bucket=bucket, PaginationConfig={"PageSize": 10})
        for each in page["Contents"]
    ]
    assert found == sorted(keys)


def test_multipart_uploads(s3_server, s3, bucket):
    part = 5 << 20
    content = bytes(bytearray(hashlib.sha256(b"seed").digest()) * ((2 * part + 100) // 32 + 1))[: 2 * part + 100]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", ContentType="x/y", Metadata={"m": "1"})["UploadId"]
    target = {"Bucket": bucket, "Key": "big", "UploadId": upload}
    tags = {}
    for number in (2, 1, 3):
        piece = content[(number - 1) * part : number * part]
        tags[number] = s3.upload_part(PartNumber=number, Body=piece, **target)["ETag"]
    # A part that is sent again replaces the earlier one.
    s3.upload_part(PartNumber=3, Body=b"wrong", **target)
    tags[3] = s3.upload_part(PartNumber=3, Body=content[2 * part :], **target)["ETag"]
    assert [each["Size"] for each in s3.list_parts(**target)["Parts"]] == [part, part, 100]
    assert [each["UploadId"] for each in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]

    def complete(*numbers, tag=None):
        parts = [{"PartNumber": number, "ETag": tag or tags[number]} for number in numbers]
        return {"MultipartUpload": {"Parts": parts}, **target}

    assert refused(s3.complete_multipart_upload, **complete(2, 1)) == ("InvalidPartOrder", 400)
    assert refused(s3.complete_multipart_upload, **complete(1, tag='"x"')) == ("InvalidPart", 400)
    made = s3.complete_multipart_upload(**complete(1, 2, 3))
    assert made["ETag"].endswith('-3"')
    got = s3.get_object(Bucket=bucket, Key="big")
    assert got["Body"].read() == content and got["Metadata"] == {"m": "1"} and got["ContentType"] == "x/y"

    upload = s3.create_multipart_upload(Bucket=bucket, Key="copied")["UploadId"]
    target = {"Bucket": bucket, "Key": "copied", "UploadId": upload}
    source = {"Bucket": bucket, "Key": "big"}
    first = s3.upload_part_copy(PartNumber=1, CopySource=source, **target)["CopyPartResult"]["ETag"]
    second = s3.upload_part_copy(PartNumber=2, CopySource=source, CopySourceRange="bytes=0-99", **target)
    parts = [
        {"PartNumber": 1, "ETag": first},
        {"PartNumber": 2, "ETag": second["CopyPartResult"]["ETag"]},
    ]
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **target)
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == content + content[:100]

    upload = s3.create_multipart_upload(Bucket=bucket, Key="small")["UploadId"]
    target = {"Bucket": bucket, "Key": "small", "UploadId": upload}
    tags = {number: s3.upload_part(PartNumber=number, Body=b"small", **target)["ETag"] for number in (1, 2)}
    assert refused(s3.complete_multipart_upload, **complete(1, 2)) == ("EntityTooSmall", 400)
    s3.abort_multipart_upload(**target)
    assert refused(s3.list_parts, **target) == ("NoSuchUpload", 404)


def test_transfers_in_parts(s3, bucket):
    content = bytes(range(256)) * (12 << 12)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(content), bucket, "transfer", Config=config)
    target = io.BytesIO()
    s3.download_fileobj(bucket, "transfer", target, Config=config)
    assert target.getvalue() == content


def test_forms(s3, bucket):
    post = s3.generate_presigned_post(
        bucket, "forms/${filename}", Fields={"Content-Type": "text/plain"},
        Conditions=[["starts-with", "$key", "forms/"], {"Content-Type": "text/plain"}, ["content-length-range", 1, 10]],
    )
    answer = httpx.post(post["url"], data=post["fields"], files={"file": ("x.txt", b"by form")})
    assert answer.status_code == 204, answer.text
    assert s3.get_object(Bucket=bucket, Key="forms/x.txt")["Body"].read() == b"by form"
    answer = httpx.post(post["url"], data=post["fields"], files={"file": ("y.txt", b"much too long")})
    assert answer.status_code == 400
    for change in ({"Content-Type": "text/html"}, {"extra": "1"}, {"key": "else"}, {"x-amz-signature": "0" * 64}):
        answer = httpx.post(post["url"], data={**post["fields"], **change}, files={"file": ("y.txt", b"y")})
        assert answer.status_code == 403, change


# --- Chunks that are signed one by one ------------------------------------------------------------------------------------


class ChunkedRequest:
    """An upload in `aws-chunked` form, made by hand: boto3 makes one over TLS alone."""

    def __init__(self, server, path, chunks, trailer=None, signed=True, date=None, length=None):
        self.key = server.status["S3_PROTOCOL_ACCESS_KEY_ID"]
        secret = server.status["S3_PROTOCOL_ACCESS_KEY_SECRET"]
        self.date = (date or datetime.now(timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.date[:8]}/local/s3/aws4_request"
        key = f"AWS4{secret}".encode()
        for part in self.scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        self.signing_key = key
        form = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if signed else "STREAMING-UNSIGNED-PAYLOAD"
        self.form = form + ("-TRAILER" if trailer else "")
        self.url = f"{server.url}/storage/v1/s3/{path}"
        host = f"127.0.0.1:{server.api_port}"
        self.headers = {
            "host": host,
            "x-amz-content-sha256": self.form,
            "x-amz-date": self.date,
            "x-amz-decoded-content-length": length or str(sum(map(len, chunks))),
            "content-encoding": "aws-chunked",
        }
        if trailer:
            self.headers["x-amz-trailer"] = trailer[0]
        names = sorted(self.headers)
        canonical = "\n".join(
            ["PUT", f"/storage/v1/s3/{path}", ""]
            + [f"{name}:{self.headers[name]}" for name in names]
            + ["", ";".join(names), self.form]
        )
        seed = self.sign("AWS4-HMAC-SHA256", hashlib.sha256(canonical.encode()).hexdigest(), None)
        self.headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key}/{self.scope},SignedHeaders={';'.join(names)},Signature={seed}"
        )
        self.body = self.encode(chunks, trailer, seed, signed)

    def sign(self, kind, rest, previous):
        lines = [kind, self.date, self.scope] + ([previous] if previous else []) + [rest]
        return hmac.new(self.signing_key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()

    def encode(self, chunks, trailer, previous, signed):
        empty = hashlib.sha256(b"").hexdigest()
        body = b""
        for chunk in [*chunks, b""]:
            head = f"{len(chunk):x}"
            if signed:
                rest = f"{empty}\n{hashlib.sha256(chunk).hexdigest()}"
                previous = self.sign("AWS4-HMAC-SHA256-PAYLOAD", rest, previous)
                head += f";chunk-signature={previous}"
            body += head.encode() + b"\r\n" + (chunk + b"\r\n" if chunk else b"")
        if trailer:
            body += f"{trailer[0]}:{trailer[1]}\r\n".encode()
            if signed:
                digest = hashlib.sha256(f"{trailer[0]}:{trailer[1]}\n".encode()).hexdigest()
                body += f"x-amz-trailer-signature:{self.sign('AWS4-HMAC-SHA256-TRAILER', digest, previous)}\r\n".encode()
        return body + b"\r\n"

    def send(self):
        return httpx.put(self.url, headers=self.headers, content=self.body)


def crc32(content):
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


def test_chunked_bodies(s3_server, s3, bucket):
    chunks = [b"a" * 70_000, b"b" * 8192, b"c"]
    content = b"".join(chunks)
    sum_field = ("x-amz-checksum-crc32", crc32(content))
    for number, options in enumerate([{}, {"trailer": sum_field}, {"trailer": sum_field, "signed": False}]):
        answer = ChunkedRequest(s3_server, f"{bucket}/chunked{number}", chunks, **options).send()
        assert answer.status_code == 200, answer.text
        assert s3.get_object(Bucket=bucket, Key=f"chunked{number}")["Body"].read() == content
    wrong = ("x-amz-checksum-crc32", crc32(b"other"))
    answer = ChunkedRequest(s3_server, f"{bucket}/wrong", chunks, trailer=wrong).send()
    assert (answer.status_code, "BadDigest" in answer.text) == (400, True)
    request = ChunkedRequest(s3_server, f"{bucket}/wrong", chunks)
    request.body = request.body.replace(b"b" * 8192, b"x" * 8192)
    answer = request.send()
    assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)
    request = ChunkedRequest(s3_server, f"{bucket}/wrong", chunks)
    request.body = request.body[:-120]
    assert request.send().status_code == 400
    # The content must be as long as was announced and signed, whatever the chunks say.
    for length in ("5", "78194", "99999999999999999999", "-1", "x"):
        request = ChunkedRequest(s3_server, f"{bucket}/wrong", chunks, length=length)
        assert request.send().status_code == 400, length
    for chunks_body in (b"", b"0\r\n", b"zz\r\n", b"-1\r\n\r\n", b"f" * 13 + b"\r\n", b"1;x\r\na\r\n", b"0" * 5000):
        request = ChunkedRequest(s3_server, f"{bucket}/wrong", [b"a"])
        request.body = chunks_body
        assert request.send().status_code in (400, 403), chunks_body
    # A trailer that was announced must come.
    request = ChunkedRequest(s3_server, f"{bucket}/wrong", chunks, trailer=sum_field, signed=False)
    request.body = request.body.replace(b"x-amz-checksum-crc32", b"x-amz-checksum-other")
    assert request.send().status_code == 400
    assert refused(s3.head_object, Bucket=bucket, Key="wrong") == ("404", 404)


def test_rows_and_files_agree(s3_server):
    assert stored_files(s3_server) == stored_rows(s3_server)
    assert incoming_files(s3_server) == []
    assert rows(s3_server, "select * from storage.uploads") == []
