# SPDX-License-Identifier: Apache-2.0
"""The black-box cases of `../shared/conformance/rest` against `atoll rest`, each configuration in its own server.

They need a PostgreSQL 15 or later built with libxml, such as the one of Debian that `scripts/setup --test` unpacks, with its psql for the
fixtures. Skipped elsewhere.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from atoll_server import ROOT
from postgres_cluster import PostgresCluster, with_libxml
from rest_server import RESTServer

FOLDER = pathlib.Path(os.environ.get("REST_CONFORMANCE", ROOT.parent / "shared" / "conformance" / "rest"))
PROGRAMS = with_libxml()

pytestmark = [
    pytest.mark.skipif(not (FOLDER / "run.py").exists(), reason=f"{FOLDER} has no cases"),
    pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL with libxml; scripts/setup --test unpacks one"),
]


def configurations():
    if not (FOLDER / "cases.json").exists():
        return ["default"]
    return list(json.loads((FOLDER / "cases.json").read_text())["configs"])


@pytest.fixture(scope="module")
def cluster():
    with PostgresCluster(PROGRAMS, ["compute_query_id=on"]) as cluster:
        # Its psql is the one of the programs; Debian's own, where it is installed, looks for those of a package.
        path = f"{PROGRAMS}:{os.environ['PATH']}" if (PROGRAMS / "psql").exists() else os.environ["PATH"]
        subprocess.run(
            [FOLDER / "load_fixtures.sh", cluster.url("rest_conformance")], check=True, capture_output=True,
            env={**os.environ, "PATH": path})
        with cluster.connect("rest_conformance") as connection:
            # What autovacuum would do in time: the planner's counts follow from it.
            connection.execute("analyze test.items, test.child_entities")
        yield cluster


@pytest.mark.parametrize("name", configurations())
def test_cases_pass(cluster, name, tmp_path):
    settings = json.loads((FOLDER / "cases.json").read_text())["configs"][name]["settings"]
    texts = {
        key: ",".join(value) if isinstance(value, list) else value
        for key, value in settings.items()
        if value not in (None, "") and key not in ("server-host", "server-port", "admin-server-host")
    }
    texts["db-uri"] = cluster.url("rest_conformance", "Postgrest_Test_Authenticator", "authenticator")
    report = tmp_path / "report.json"
    with RESTServer(texts) as server:
        subprocess.run(
            [
                sys.executable, FOLDER / "run.py", "--cases", FOLDER / "cases.json", "--base", str(server.client.base_url),
                "--config", name, "--without", "postgis", "--without", "safeupdate", "--json", report,
            ],
            capture_output=True, timeout=300)
    result = json.loads(report.read_text())
    failures = [failure["id"] for failure in result["failures"]]
    total = result["passed"] + len(failures)
    allowed = total // (100 if name == "default" else 33)
    assert len(failures) <= allowed, f"{len(failures)} of {total} failed:\n" + "\n".join(failures)
