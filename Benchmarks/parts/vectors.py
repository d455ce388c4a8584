# SPDX-License-Identifier: Apache-2.0
"""Vectors against raw pgvector with the same index, against binary COPY, and against Qdrant's engine in process."""

import json
import os
import subprocess

from bench import ROOT, say

ORDER = 60
PYTHON = ROOT / ".tools" / "python" / "bin" / "python"


def run(bench):
    """The work is done by a program of its own, in the environment that has numpy and Qdrant's engine."""
    if not PYTHON.exists() or subprocess.run([PYTHON, "-c", "import numpy, psycopg"], capture_output=True).returncode != 0:
        say("Vectors: skipped, scripts/setup --bench makes the environment it needs")
        return
    atoll = bench.atoll
    facts = {
        "url": f"{atoll.url}/vectors/v1", "key": atoll.status["SERVICE_ROLE_KEY"], "database": atoll.status["DB_URL"],
        "pid": atoll.pid, "tenants": int(os.environ.get("BENCH_TENANTS", "100000")),
        "points": int(os.environ.get("BENCH_POINTS", "100000")), "parts": os.environ.get("BENCH_VECTORS", ""),
    }
    engine = next((ROOT / ".tools").glob("qdrant-edge-*"), None)
    environment = {**os.environ, **({"PYTHONPATH": str(engine)} if engine else {})}
    subprocess.run([PYTHON, ROOT / "Benchmarks" / "bench" / "vectors.py", json.dumps(facts)], check=True, env=environment)
