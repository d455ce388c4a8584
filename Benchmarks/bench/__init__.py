# SPDX-License-Identifier: Apache-2.0
"""What the parts of the benchmark share."""

from .atoll import Atoll, Bench
from .load import Mix, pgbench, transaction, wrk
from .machine import (
    CONNECTIONS, RELEASE, ROOT, ROUNDS, SECONDS, call, cpu_seconds, free_port, median, postgres_program, resident_mib, say)

__all__ = [
    "Atoll", "Bench", "CONNECTIONS", "Mix", "RELEASE", "ROOT", "ROUNDS", "SECONDS", "call", "cpu_seconds", "free_port", "median",
    "pgbench", "postgres_program", "resident_mib", "say", "transaction", "wrk",
]
