# SPDX-License-Identifier: Apache-2.0
"""HTTP hello against nginx: processor time a request."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from bench import RELEASE, ROUNDS, SECONDS, cpu_seconds, free_port, median, say, wrk

ORDER = 10


def run(bench):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-bench-"))
    port = free_port()
    (folder / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
{'user root;' if os.geteuid() == 0 else ''}
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        location = /hello {{ default_type application/json; return 200 '{{"message":"hello, world"}}'; }}
    }}
}}
""")
    # The one that may be missing first: what has started is ended below.
    atoll = subprocess.Popen([RELEASE / "HelloServer"], stdout=subprocess.PIPE, text=True)
    nginx = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    try:
        atoll_port = int(atoll.stdout.readline())
        deadline = time.monotonic() + 10
        workers = []
        while not workers and time.monotonic() < deadline:
            children = pathlib.Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children").read_text().split()
            workers = [int(child) for child in children]
            time.sleep(0.05)
        servers = {
            "nginx": (workers[0], f"http://127.0.0.1:{port}/hello"),
            "atoll": (atoll.pid, f"http://127.0.0.1:{atoll_port}/hello"),
        }
        cpu = {name: [] for name in servers}
        rate = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, (pid, url) in servers.items():
                before = cpu_seconds(pid)
                rate[name].append(wrk(url, 64))
                cpu[name].append((cpu_seconds(pid) - before) / (rate[name][-1] * SECONDS) * 1e6)
        say("HTTP, 26-byte answer, 64 connections, one thread each")
        for name in servers:
            say(f"  {name:8} {median(rate[name]):9.0f} requests/s   {median(cpu[name]):5.2f} us CPU a request")
        say(f"  CPU a request, atoll / nginx: {median(cpu['atoll']) / median(cpu['nginx']):.2f}   (goal: at most 1.2)")
    finally:
        for process in (atoll, nginx):
            process.terminate()
            process.wait(timeout=15)
        shutil.rmtree(folder, ignore_errors=True)
