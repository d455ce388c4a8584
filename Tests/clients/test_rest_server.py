# SPDX-License-Identifier: Apache-2.0
"""`atoll rest`: configuration from everywhere, tokens, roles' settings, reloads, the admin server, and a database that comes and goes."""

import json
import os
import signal
import subprocess
import threading
import time

import httpx
import jwt
import pytest

from postgres_cluster import PostgresCluster, installations
from rest_server import RESTServer, command, wait_until

PROGRAMS = next(iter(installations()), None)
SECRET = "a secret of more than thirty-two bytes"

SCHEMA = """
    create role login login noinherit password 'login';
    create role anonymous;
    create role editor;
    create role careful;
    grant anonymous, editor, careful to login;
    alter role anonymous set statement_timeout = '5s';
    alter role editor set statement_timeout = '10s';
    alter role editor in database rest set work_mem = '3MB';
    alter role careful set default_transaction_isolation = 'serializable';
    grant usage on schema public to anonymous, editor, careful;
    create table notes (id int primary key, title text not null);
    insert into notes select n, 'note ' || n from generate_series(1, 5) n;
    grant select on notes to anonymous, careful;
    create table secrets (id int primary key);
    grant select on secrets to editor;
    create function setting(name text) returns text language sql stable as $$ select current_setting(name, true) $$;
    create function level() returns text language sql as $$ select current_setting('transaction_isolation') $$;
    create function lax() returns text language sql set default_transaction_isolation = 'read committed'
        as $$ select current_setting('transaction_isolation') $$;
    create function slow(seconds float) returns void language sql as $$ select pg_sleep(seconds) $$;
    create function hoisted() returns text language sql set statement_timeout = '7s'
        as $$ select current_setting('statement_timeout') $$;
    create function notified(message text) returns void language sql as $$ select pg_notify('pgrst', message) $$;
    create function prepared() returns int language sql as $$ select count(*)::int from pg_prepared_statements $$;
    create schema other;
    grant usage on schema other to anonymous;
    create table other.things (id int);
    grant select on other.things to anonymous;
    create schema hidden;
    grant usage on schema hidden to login;
    create function hidden.configure() returns void language sql
        as $$ select set_config('pgrst.db_max_rows', '3', true), set_config('pgrst.jwt_aud', 'configured', true) $$;
"""

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL here; scripts/setup unpacks one")


@pytest.fixture(scope="module")
def cluster():
    with PostgresCluster(PROGRAMS) as cluster:
        with cluster.connect() as connection:
            connection.execute("create database rest")
        with cluster.connect("rest") as connection:
            connection.execute(SCHEMA)
        yield cluster


@pytest.fixture
def settings(cluster):
    return {"db-uri": cluster.url("rest", "login", "login"), "db-anon-role": "anonymous", "jwt-secret": SECRET}


@pytest.fixture
def sql(cluster):
    """Runs SQL as the superuser."""
    def run(*statements):
        with cluster.connect("rest") as connection:
            for statement in statements:
                connection.execute(statement)
    return run


def token(claims, key=SECRET, algorithm="HS256", headers=None):
    return {"Authorization": f"Bearer {jwt.encode(claims, key, algorithm, headers)}"}


def value(server, name, headers=None):
    return server.client.get("/rpc/setting", params={"name": name}, headers=headers).json()


# --- Refusals of a configuration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variable", "given", "message"), [
    ("JWT_SECRET", "short", "at least 32 characters"), ("JWT_SECRET", '{"kty": "oct"}', "not whole"),
    ("JWT_SECRET", '{"keys": []}', "not whole"), ("JWT_SECRET", "@/nowhere", "/nowhere"),
    ("JWT_AUD", "foo://%%$$^^.com", "valid URI"), ("JWT_ROLE_CLAIM_KEY", "role.other", "role-claim-key value (role.other)"),
    ("LOG_LEVEL", "never", "log-level"), ("DB_TX_END", "random", "db-tx-end"), ("OPENAPI_MODE", "follow-", "openapi-mode"),
    ("OPENAPI_SERVER_PROXY_URI", "htp:/@@localhorst.invalid", "Malformed proxy uri"),
    ("SERVER_UNIX_SOCKET_MODE", "800", "not an octal"), ("SERVER_UNIX_SOCKET_MODE", "577", "between 600 and 777"),
    ("DB_SCHEMAS", "public, pg_catalog", "does not allow schema: 'pg_catalog'"), ("DB_MAX_ROWS", "many", "whole number"),
    ("DB_CHANNEL_ENABLED", "perhaps", "neither true nor false"), ("SERVER_PORT", "70000", "65535"),
    ("ADMIN_SERVER_PORT", "3000", "same as server-port"), ("CLIENT_ERROR_VERBOSITY", "loud", "client-error-verbosity"),
    ("DB_URI", "@/nowhere", "/nowhere"), ("SERVER_TRACE_HEADER", "a b", "name of a header"),
])
def test_refuses_wrong_values_by_name(variable, given, message):
    done = command("--dump-config", env={f"PGRST_{variable}": given, "PGRST_DB_CONFIG": "false"})
    assert done.returncode == 1
    assert message in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(("text", "message"), [
    ("db-uri", "line 1"), ("\n\ndb-pool = = 1", "line 3"), ('db-uri = "a', "not closed"), ('a = "$x"', "$$"),
    ('a = "$(NO_SUCH_VARIABLE)"', "NO_SUCH_VARIABLE"), ("db-pool = ten", "in double quotes"), ("a {\n", "not closed"),
])
def test_refuses_files_it_cannot_read(tmp_path, text, message):
    file = tmp_path / "rest.conf"
    file.write_text(text)
    done = command("--dump-config", file)
    assert done.returncode == 1 and message in done.stderr


def test_refuses_a_file_that_is_not_there():
    assert command("--dump-config", "/nowhere.conf").returncode == 1


def test_fails_with_a_wrong_password_and_with_no_recovery(cluster, tmp_path):
    with cluster.connect() as connection:
        connection.execute("create role guarded login password 'right'")
    (cluster.data / "pg_hba.conf").write_text("host all guarded all scram-sha-256\nhost all all all trust\nlocal all all trust\n")
    with cluster.connect() as connection:
        connection.execute("select pg_reload_conf()")
    cases = [
        {"PGRST_DB_URI": cluster.url("rest", "guarded", "wrong")},
        {"PGRST_DB_URI": cluster.url("nowhere", "login", "login"), "PGRST_DB_POOL_AUTOMATIC_RECOVERY": "false"},
    ]
    for env in cases:
        done = command(env={**env, "PGRST_SERVER_PORT": "0", "PGRST_DB_CHANNEL_ENABLED": "false"})
        assert done.returncode == 1
        assert "wrong" not in done.stderr


# --- What is printed ----------------------------------------------------------------------------------------------------------------


def test_dumps_a_configuration_that_reads_back_as_itself(tmp_path):
    file = tmp_path / "rest.conf"
    file.write_text(
        'db-schema = "a, b"\nmax-rows = 10\nrole-claim-key = ".\\"x y\\"[0]"\napp { settings { name = "q\\"$$\\u0041" } }\n'
        f'jwt-secret = "$(TEST_SECRET)" # a comment\ndb-config = off\ndb-pool=1\n')
    env = {"TEST_SECRET": SECRET, "PGRST_DB_POOL": "7", "PGRST_APP_SETTINGS_OTHER": "o"}
    first = command("--dump-config", file, env=env).stdout
    for line in (
        'db-schemas = "a,b"', "db-max-rows = 10", 'jwt-role-claim-key = ".\\"x y\\"[0]"', "db-pool = 7",
        'app.settings.name = "q\\"$$A"', 'app.settings.OTHER = "o"', f'jwt-secret = "{SECRET}"',
    ):
        assert line in first.splitlines(), line
    copy = tmp_path / "copy.conf"
    copy.write_text(first)
    assert command("--dump-config", copy).stdout == first


def test_names_what_is_no_setting_and_goes_on(settings):
    with RESTServer({**settings, "db-schmas": "public", "raw-media-types": "x"}) as server:
        log = server.text("log")
        assert "db-schmas is no setting" in log and "did you mean db-schemas" in log
        assert "raw-media-types has no effect" in log


def test_prints_an_example_that_can_be_read(tmp_path):
    example = command("--example").stdout
    file = tmp_path / "example.conf"
    file.write_text("\n".join(line[2:] if line.startswith("# ") else line for line in example.splitlines()))
    assert command("--dump-config", file, env={"PGRST_DB_CONFIG": "false"}).returncode == 0


def test_prints_the_schema_and_the_database_s_settings(settings, cluster, sql):
    env = {f"PGRST_{name.upper().replace('-', '_')}": text for name, text in settings.items()}
    schema = json.loads(command("--dump-schema", env=env).stdout)
    assert [table["name"]["name"] for table in schema["dbTables"]] == ["notes", "secrets"]
    try:
        sql("alter role login set pgrst.db_max_rows = '1'", "alter role login in database rest set pgrst.db_max_rows = '2'",
            "alter role login set pgrst.jwt_aud = 'of the role'")
        env["PGRST_DB_MAX_ROWS"] = "9"
        env["PGRST_DB_PRE_CONFIG"] = "hidden.configure"
        lines = command("--dump-config", env=env).stdout.splitlines()
        # For this database before for all, and both before the function.
        assert "db-max-rows = 2" in lines and 'jwt-aud = "of the role"' in lines
        lines = command("--dump-config", env={**env, "PGRST_DB_CONFIG": "false"}).stdout.splitlines()
        assert "db-max-rows = 9" in lines
    finally:
        sql("alter role login reset all", "alter role login in database rest reset all")
    lines = command("--dump-config", env=env).stdout.splitlines()
    assert "db-max-rows = 3" in lines and 'jwt-aud = "configured"' in lines


def test_reads_secrets_and_addresses_from_files(settings, tmp_path):
    secret, uri = tmp_path / "secret", tmp_path / "uri"
    secret.write_text(SECRET + "\n")
    uri.write_text(settings["db-uri"] + "\n")
    with RESTServer({**settings, "jwt-secret": f"@{secret}", "db-uri": f"@{uri}"}) as server:
        assert server.client.get("/secrets", headers=token({"role": "editor"})).status_code == 200
        secret.write_text(SECRET.upper())
        server.signal(signal.SIGUSR2)
        wait_until(
            lambda: server.client.get("/secrets", headers=token({"role": "editor"})).status_code == 401, "the new secret")
    assert secret.read_text() == SECRET.upper()
    done = command("--dump-config", env={"PGRST_DB_URI": "@/dev/stdin", "PGRST_DB_CONFIG": "false"}, stdin="postgres:///x\n")
    assert 'db-uri = "postgres:///x"' in done.stdout.splitlines()


# --- Tokens -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("claims", "key", "headers", "message", "details"), [
    ({"role": "editor"}, "another secret of thirty-two bytes and more", None, "No suitable key or wrong key type",
     "None of the keys was able to decode the JWT"),
    ({"role": "editor"}, SECRET, {"kid": "unknown"}, "No suitable key or wrong key type",
     "No suitable key was found to decode the JWT"),
    ({"exp": 1}, SECRET, None, "JWT expired", None), ({"nbf": 1 << 40}, SECRET, None, "JWT not yet valid", None),
    ({"iat": 1 << 40}, SECRET, None, "JWT issued at future", None), ({"exp": "x"}, SECRET, None, "The JWT 'exp' claim must be a number", None),
    ({"aud": "them"}, SECRET, None, "JWT not in audience", None), ({"aud": ["them"]}, SECRET, None, "JWT not in audience", None),
    ({"aud": 1}, SECRET, None, "The JWT 'aud' claim must be a string or an array of strings", None),
    ({"aud": ["us", 1]}, SECRET, None, "The JWT 'aud' claim must be a string or an array of strings", None),
])
def test_refuses_tokens_in_postgrest_s_words(settings, claims, key, headers, message, details):
    with RESTServer({**settings, "jwt-aud": "us", "db-channel-enabled": False}) as server:
        raw = jwt.api_jws.encode(json.dumps(claims).encode(), key, "HS256", headers)
        answer = server.client.get("/notes", headers={"Authorization": f"Bearer {raw}"})
        body = answer.json()
        assert answer.status_code == 401 and body["message"] == message and body["details"] == details
        assert answer.headers["WWW-Authenticate"] == f'Bearer error="invalid_token", error_description="{message}"'
        assert answer.headers["Proxy-Status"] == f"PostgREST; error={body['code']}"


def test_takes_tokens_within_the_skew_of_clocks(settings):
    now = int(time.time())
    with RESTServer({**settings, "jwt-aud": "us"}) as server:
        for claims in (
            {"exp": now - 20}, {"nbf": now + 20}, {"iat": now + 20}, {"exp": None}, {"aud": "us"}, {"aud": ["a", "us"]},
            {"aud": []}, {"aud": None}, {},
        ):
            raw = jwt.api_jws.encode(json.dumps({"role": "editor", **claims}).encode(), SECRET, "HS256")
            answer = server.client.get("/secrets", headers={"Authorization": f"bearer {raw}"})
            assert answer.status_code == 200, claims
        assert server.client.get("/notes", headers={"Authorization": "Basic x"}).status_code == 200
        for field, message in (
            ("Bearer", "Empty JWT is sent in Authorization header"), ("Bearer a.b", "Expected 3 parts in JWT; got 2"),
        ):
            assert server.client.get("/notes", headers={"Authorization": field}).json()["message"] == message


def test_needs_a_token_or_a_role_and_a_secret(settings):
    without_role = {name: text for name, text in settings.items() if name != "db-anon-role"}
    with RESTServer(without_role) as server:
        answer = server.client.get("/notes")
        assert answer.status_code == 401 and answer.json()["code"] == "PGRST302"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert server.client.get("/notes", headers=token({})).json()["code"] == "PGRST302"
    without_secret = {name: text for name, text in settings.items() if name != "jwt-secret"}
    with RESTServer(without_secret) as server:
        answer = server.client.get("/notes", headers=token({"role": "editor"}))
        assert answer.status_code == 500 and answer.json()["code"] == "PGRST300"
        assert server.client.get("/notes").status_code == 200


@pytest.mark.parametrize(("path", "claims", "status"), [
    (".postgrest.role", {"postgrest": {"role": "editor"}}, 200), (".roles[1]", {"roles": ["x", "editor"]}, 200),
    ('."https://x/roles"[0].value', {"https://x/roles": [{"value": "editor"}]}, 200), (".roles[3]", {"roles": ["editor"]}, 401),
    (".mine", {"role": "editor"}, 401), ('.roles[?(@ == "editor")]', {"roles": ["x", "editor"]}, 200),
    ('.roles[?(@ != "x")]', {"roles": ["x", "editor"]}, 200), ('.roles[?(@ ^== "ed")]', {"roles": ["x", "editor"]}, 200),
    ('.roles[?(@ ==^ "tor")]', {"roles": ["x", "editor"]}, 200), ('.roles[?(@ *== "dit")]', {"roles": ["x", "editor"]}, 200),
    ('.roles[?(@ == "y")]', {"roles": [{"y": 1}]}, 401), (".role[5:]", {"role": "pre__editor"}, 200),
    ("$.role", {"role": "editor"}, 200),
])
def test_finds_the_role_by_its_path(settings, path, claims, status):
    with RESTServer({**settings, "jwt-role-claim-key": path}) as server:
        assert server.client.get("/secrets", headers=token(claims)).status_code == status


def test_chooses_among_a_set_of_keys(settings):
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    private, other = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    first = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    second = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key()))
    keys = {"keys": [{**first, "kid": "one"}, {**second, "kid": "two"}, {"kty": "new"}]}
    with RESTServer({**settings, "jwt-secret": json.dumps(keys)}) as server:
        def status(*arguments):
            return server.client.get("/secrets", headers=token({"role": "editor"}, *arguments)).status_code
        assert status(private, "ES256", {"kid": "one"}) == 200 and status(private, "ES256") == 200
        assert status(other, "RS512", {"kid": "two"}) == 200 and status(other, "PS256") == 200
        assert status(private, "ES256", {"kid": "two"}) == 401 and status(SECRET, "HS256") == 401


# --- Roles' settings ------------------------------------------------------------------------------------------------------------------


def test_applies_what_is_said_of_roles_and_functions(settings, sql):
    editor, careful = token({"role": "editor"}), token({"role": "careful"})
    with RESTServer(settings) as server:
        assert value(server, "statement_timeout") == "5s"
        assert value(server, "statement_timeout", editor) == "10s" and value(server, "work_mem", editor) == "3MB"
        assert server.client.post("/rpc/hoisted").json() == "7s"
        assert server.client.post("/rpc/level").json() == "read committed"
        assert server.client.post("/rpc/level", headers=careful).json() == "serializable"
        assert server.client.post("/rpc/lax", headers=careful).json() == "read committed"
        assert value(server, "transaction_isolation", careful) == "serializable"
        # What the login may set and the role may not.
        sql("grant set on parameter log_min_messages to login", "alter role editor set log_min_messages = 'fatal'",
            "alter role anonymous set statement_timeout = '8s'", "notify pgrst, 'reload config'")
        wait_until(lambda: value(server, "statement_timeout") == "8s", "the new timeout")
        assert value(server, "log_min_messages", editor) == "fatal"
        sql("alter role anonymous set statement_timeout = '300ms'", "notify pgrst, 'reload schema'")
        wait_until(lambda: value(server, "statement_timeout") == "300ms", "the new timeout")
        answer = server.client.post("/rpc/slow", json={"seconds": 5})
        assert answer.status_code == 500 and answer.json()["code"] == "57014"
        assert answer.headers["Proxy-Status"] == "PostgREST; error=57014"
    sql("alter role anonymous set statement_timeout = '5s'", "alter role editor reset log_min_messages")
    with RESTServer({**settings, "db-config": False, "db-hoisted-tx-settings": "work_mem"}) as server:
        assert value(server, "statement_timeout") == "0"
        assert server.client.post("/rpc/hoisted").json() == "7s"


# --- Reloads ----------------------------------------------------------------------------------------------------------------------------


def test_reloads_by_signal_and_by_notification(settings, sql):
    with RESTServer({**settings, "app.settings.name": "first", "db-max-rows": 2}) as server:
        assert len(server.client.get("/notes").json()) == 2 and value(server, "app.settings.name") == "first"
        server.write(**{"app.settings.name": "second", "db-max-rows": 4, "db-schemas": "other, public"})
        server.signal(signal.SIGUSR2)
        wait_until(lambda: server.client.get("/things").status_code == 200, "the other schema")
        notes = server.client.get("/notes", headers={"Accept-Profile": "public"})
        assert len(notes.json()) == 4 and notes.headers["Content-Profile"] == "public"
        # A file with a mistake changes nothing.
        server.write(**{"db-max-rows": "many"})
        server.signal(signal.SIGUSR2)
        wait_until(lambda: "is no whole number" in server.text("log"), "the complaint")
        assert len(server.client.get("/notes", headers={"Accept-Profile": "public"}).json()) == 4
        server.write(**{"db-max-rows": 1, "db-schemas": "public"})
        sql("notify pgrst, 'something else'", "notify pgrst, 'reload config'")
        wait_until(lambda: len(server.client.get("/notes").json()) == 1, "the notified configuration")
        try:
            sql("create table fresh (id int)", "grant select on fresh to anonymous")
            assert server.client.get("/fresh").status_code == 404
            server.signal(signal.SIGUSR1)
            wait_until(lambda: server.client.get("/fresh").status_code == 200, "the new table")
            sql("drop table fresh", "notify pgrst")
            wait_until(
                lambda: server.client.get("/fresh").json().get("code") == "PGRST205", "the old table's end")
        finally:
            sql("drop table if exists fresh")


def test_takes_its_configuration_from_the_database(settings, sql):
    with RESTServer({**settings, "db-pre-config": "hidden.configure", "db-max-rows": 1}) as server:
        assert len(server.client.get("/notes").json()) == 3
        try:
            sql("alter role login set pgrst.db_max_rows = '4'", "notify pgrst, 'reload config'")
            wait_until(lambda: len(server.client.get("/notes").json()) == 4, "the role's setting")
            sql("alter role login set pgrst.jwt_role_claim_key = 'no path'", "notify pgrst, 'reload config'")
            wait_until(lambda: "failed to parse role-claim-key value" in server.text("log"), "the complaint")
            assert len(server.client.get("/notes").json()) == 4
        finally:
            sql("alter role login reset all")


# --- The admin server, sockets and the log ------------------------------------------------------------------------------------------------


def test_answers_probes_and_prometheus(settings):
    with RESTServer(settings) as server:
        assert server.status("live") == 200 and server.status("nothing") == 404
        for _ in range(2):
            server.client.get("/secrets", headers=token({"role": "editor"}))
        metrics = server.admin.get("/metrics")
        assert metrics.headers["Content-Type"] == "text/plain; charset=utf-8"
        for line in (
            'pgrst_schema_cache_loads_total{status="SUCCESS"} 1', "pgrst_db_pool_max 10", "pgrst_db_pool_available 10",
            "pgrst_db_pool_waiting 0", "pgrst_db_pool_timeouts_total 0", "pgrst_jwt_cache_requests_total 2",
            "pgrst_jwt_cache_hits_total 1", "pgrst_jwt_cache_evictions_total 0",
        ):
            assert line in metrics.text.splitlines(), line
        assert "pgrst_schema_cache_query_time_seconds" in metrics.text
        shown = server.admin.get("/config").text
        assert 'db-anon-role = "anonymous"' in shown and SECRET not in shown and "login:login" not in shown
        assert len(server.admin.get("/schema_cache").json()["dbTables"]) == 2
        env = {"PGRST_ADMIN_SERVER_PORT": str(server.admin_port), "PGRST_ADMIN_SERVER_HOST": "127.0.0.1"}
        done = command("--ready", env=env)
        assert done.returncode == 0 and done.stdout == f"OK: http://127.0.0.1:{server.admin_port}/ready\n"
    assert "connection refused" in command("--ready", env=env).stderr
    assert "Admin server is not running" in command("--ready").stderr


def test_listens_at_a_socket(settings, tmp_path):
    path = tmp_path / "rest.sock"
    with RESTServer({**settings, "server-unix-socket-mode": "777"}, unix_socket=path) as server:
        assert server.client.get("/notes").status_code == 200
        assert path.stat().st_mode & 0o777 == 0o777
        path.unlink()
        assert server.status("live") == 500 and server.status("ready") == 500


@pytest.mark.parametrize("host", ["*", "*4", "!4", "*6", "!6", "localhost", "::1"])
def test_listens_at_special_hosts(settings, host):
    with RESTServer({**settings, "server-host": host, "admin-server-host": "127.0.0.1", "db-channel-enabled": False}) as server:
        address = "[::1]" if host in ("*6", "!6", "::1") else "127.0.0.1"
        if host == "localhost" and "[::1]" in server.text("log"):
            address = "[::1]"
        assert httpx.get(f"http://{address}:{server.port}/notes").status_code == 200


def test_logs_as_its_level_says(settings):
    expected = {"crit": [], "error": [" 500 "], "warn": [" 500 ", " 404 "], "info": [" 500 ", " 404 ", " 200 "]}
    for level, statuses in expected.items():
        unsecured = {name: text for name, text in settings.items() if name != "jwt-secret"}
        with RESTServer({**unsecured, "log-level": level, "log-query": True}) as server:
            server.client.get("/notes", headers=token({"role": "editor"}))
            server.client.get("/unknown")
            server.client.get('/notes?select=id&title=eq.a"b\\', headers={"User-Agent": 'x"\\ y', "Referer": "r"})
        lines = server.text("access").splitlines()
        assert len(lines) == len(statuses), (level, lines)
        for line, status in zip(lines, statuses):
            assert status in line and line.startswith("127.0.0.1 - ")
        if level == "info":
            assert lines[0].startswith("127.0.0.1 - - [") and lines[1].startswith("127.0.0.1 - anonymous [")
            assert lines[2].endswith('"r" "x\\x22\\x5c y"')
            assert "title" in server.text("log") and 'from \\"public\\".\\"notes\\"' in server.text("log")


# --- HTTP -------------------------------------------------------------------------------------------------------------------------------


def test_answers_pages_of_other_origins(settings):
    preflight = {
        "Origin": "https://a.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Foo, Bar",
    }
    with RESTServer(settings) as server:
        answer = server.client.options("/notes", headers=preflight)
        assert answer.status_code == 200 and answer.text == ""
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"
        assert answer.headers["Access-Control-Allow-Headers"] == (
            "Authorization, Foo, Bar, Accept, Accept-Language, Content-Language")
        assert answer.headers["Access-Control-Max-Age"] == "86400"
        for path in ("/notes", "/unknown"):
            answer = server.client.get(path, headers={"Origin": "https://a.example"})
            assert answer.headers.get_list("Access-Control-Allow-Origin") == ["*"]
            assert answer.headers["Access-Control-Expose-Headers"] == (
                "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, "
                "Range-Unit")
        assert "Access-Control-Allow-Origin" not in server.client.get("/notes").headers
    with RESTServer({**settings, "server-cors-allowed-origins": "https://a.example, https://b.example"}) as server:
        answer = server.client.get("/notes", headers={"Origin": "https://b.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "https://b.example"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        answer = server.client.get("/notes", headers={"Origin": "https://c.example"})
        assert answer.status_code == 200 and "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Methods" not in server.client.options(
            "/notes", headers={**preflight, "Origin": "https://c.example"}).headers


def test_traces_times_and_names_itself(settings):
    with RESTServer({**settings, "server-trace-header": "X-Trace", "server-timing-enabled": True}) as server:
        answer = server.client.get("/notes", headers={"X-Trace": "abc"})
        assert answer.headers["X-Trace"] == "abc" and server.client.get("/notes").headers["X-Trace"] == ""
        assert server.client.get("/unknown", headers={"X-Trace": "e"}).headers["X-Trace"] == "e"
        assert [part.split(";")[0] for part in answer.headers["Server-Timing"].split(", ")] == [
            "jwt", "parse", "plan", "transaction", "response"]
        assert answer.headers["Server"].startswith("atoll/")
        head = server.client.head("/")
        assert head.status_code == 200 and "Content-Length" not in head.headers
        for method in ("TRACE", "PROPFIND"):
            refused = server.client.request(method, "/notes")
            assert refused.status_code == 405 and refused.json()["code"] == "PGRST117"
            assert refused.json()["message"] == f"Unsupported HTTP method: {method}"


def test_describes_its_security_where_told(settings):
    with RESTServer({**settings, "openapi-security-active": True}) as server:
        document = server.client.get("/").json()
        assert document["security"] == [{"JWT": []}] and document["securityDefinitions"]["JWT"]["in"] == "header"
    with RESTServer(settings) as server:
        assert "security" not in server.client.get("/").json()


def test_does_without_timezones_and_prepared_statements(settings):
    with RESTServer({**settings, "db-timezone-enabled": False, "db-prepared-statements": False, "db-pool": 1}) as server:
        for _ in range(3):
            answer = server.client.post("/rpc/prepared", headers={"Prefer": "timezone=America/Lima"})
            assert answer.json() == 0 and "Preference-Applied" not in answer.headers
        strict = server.client.get("/notes", headers={"Prefer": "handling=strict, timezone=America/Lima"})
        assert strict.json()["code"] == "PGRST122"


# --- A database that comes and goes ---------------------------------------------------------------------------------------------------------


def test_waits_for_the_database_and_survives_its_restart(tmp_path):
    with PostgresCluster(PROGRAMS) as cluster:
        with cluster.connect() as connection:
            connection.execute("create database rest")
        with cluster.connect("rest") as connection:
            connection.execute(SCHEMA)
        settings = {"db-uri": cluster.url("rest", "login", "login"), "db-anon-role": "anonymous", "jwt-secret": SECRET}
        cluster.stop()
        with RESTServer(settings, wait_for="answer") as server:
            answer = server.client.get("/notes")
            assert answer.status_code == 503 and answer.headers["Retry-After"]
            assert answer.json() == {
                "code": "PGRST002", "details": None, "hint": None,
                "message": "Could not query the database for the schema cache. Retrying.",
            }
            # Who may not come in learns nothing of it.
            assert server.client.get("/notes", headers={"Authorization": "Bearer x"}).json()["code"] == "PGRST301"
            assert server.status("live") == 200 and server.status("ready") == 503
            cluster.start()
            wait_until(lambda: server.status("ready") == 200, "the database")
            assert len(server.client.get("/notes").json()) == 5
            cluster.stop()
            answer = wait_until(
                lambda: (found := server.client.get("/notes")).status_code == 503 and found, "the loss of the database")
            assert answer.json()["code"] in ("PGRST000", "PGRST001") and answer.json()["details"]
            cluster.start()
            wait_until(lambda: server.client.get("/notes").status_code == 200, "the database's return")


def test_ends_with_its_database_where_told(tmp_path):
    with PostgresCluster(PROGRAMS) as cluster:
        settings = {"db-uri": cluster.url(), "db-anon-role": "postgres", "db-pool-automatic-recovery": False}
        with RESTServer(settings) as server:
            cluster.stop()
            assert server.process.wait(20) == 1


def test_answers_504_when_no_connection_is_free(settings):
    settings = {**settings, "db-pool": 1, "db-pool-acquisition-timeout": 1, "db-channel-enabled": False}
    with RESTServer(settings) as server:
        slow = threading.Thread(target=lambda: server.client.post("/rpc/slow", json={"seconds": 3}))
        slow.start()
        answers = []

        def ask():
            answers.append(server.client.post("/rpc/level"))
            return answers[-1].status_code == 504
        wait_until(ask, "a refusal", seconds=3)
        assert answers[-1].json() == {
            "code": "PGRST003", "details": None, "hint": None,
            "message": "Timed out acquiring connection from connection pool.",
        }
        slow.join()


def test_schemas_that_do_not_exist_are_told(settings):
    with RESTServer({**settings, "db-schemas": "nowhere"}, wait_for="answer") as server:
        assert server.client.get("/notes").json()["code"] == "PGRST002"
        assert 'schema "nowhere" of db-schemas does not exist' in server.text("log").replace('\\"', '"')


def test_takes_libpq_s_environment_and_keywords(cluster):
    env = {
        "PGHOST": str(cluster.folder), "PGPORT": str(cluster.port), "PGUSER": "login", "PGDATABASE": "rest",
        "PGRST_DB_ANON_ROLE": "anonymous",
    }
    forms = ["postgresql://", "postgresql://?", "dbname=rest", "host=localhost", f"host=127.0.0.1,{cluster.folder}"]
    for form in forms:
        with RESTServer({"db-uri": form}, env=env) as server:
            assert server.client.get("/notes").status_code == 200, form
            assert value(server, "application_name").startswith("atoll ")
