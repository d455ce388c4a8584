# SPDX-License-Identifier: Apache-2.0
"""Storage: memory while 1 GB comes and goes, downloads against nginx, small files; row level security on."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from bench import ROUNDS, Atoll, free_port, median, resident_mib, say, wrk

ORDER = 70
BYTES = 1 << 30
SMALL = 10 << 10
MIGRATION = """
insert into storage.buckets (id, name) values ('files', 'files');
create policy own on storage.objects for all to authenticated
    using (bucket_id = 'files' and auth.uid()::text = (storage.foldername(name))[1]);
"""


def curl(url, *options):
    """Seconds that a transfer took."""
    begin = time.monotonic()
    text = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *options, url], capture_output=True, text=True, check=True).stdout
    if text != "200":
        raise SystemExit(f"bench: {url} answered {text}")
    return time.monotonic() - begin


def growth(pid, transfer):
    """What `transfer` returns, and by how many MiB the resident memory of a process grew meanwhile."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = resident_mib(pid)
    result = transfer()
    return result, resident_mib(pid, "VmHWM") - before


def nginx(folder, port):
    (folder / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
{'user root;' if os.geteuid() == 0 else ''}
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nopush on;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
""")
    return subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])


def small_files(atoll, base, headers, folder):
    """10 KB uploads and downloads a second."""
    fields = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
    script = folder / "upload.lua"
    script.write_text(fields + f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("x", {SMALL})
local number = 0
local run = tostring(os.time()) .. tostring(math.random(1000000000))
request = function()
    number = number + 1
    return wrk.format(nil, wrk.path .. run .. "-" .. number)
end
""")
    ups = [wrk(f"{base}/up-{round}-", script=script) for round in range(ROUNDS)]
    subprocess.run(
        ["curl", "-sS", "-X", "PUT", "--data-binary", f"@{folder}/small", *curl_headers(headers), f"{base}/small"],
        check=True, stdout=subprocess.DEVNULL)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    downs = [wrk(f"{base}/small", headers=lines) for _ in range(ROUNDS)]
    return median(ups), median(downs)


def curl_headers(headers):
    return [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]


def run(bench):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-bench-"))
    (folder / "files").mkdir()
    folder.chmod(0o755)
    atoll = Atoll({"20260101000000_files.sql": MIGRATION}, '[storage]\nfile_size_limit = "2GiB"\n[atoll.vectors]\nport = 0\n')
    server = None
    try:
        atoll.start()
        session = atoll.signup("storage@example.com")
        headers = atoll.headers(session)
        base = f"{atoll.url}/storage/v1/object/files/{session['user']['id']}"
        large = folder / "files" / "large"
        with open(large, "wb") as file:
            piece = os.urandom(1 << 20)
            for _ in range(BYTES >> 20):
                file.write(piece)
        (folder / "small").write_bytes(os.urandom(SMALL))

        # Warm: code paths and buffers that stay.
        curl(f"{base}/warm", "-X", "PUT", "--data-binary", f"@{folder}/small", *curl_headers(headers))
        up, grown_up = growth(
            atoll.pid,
            lambda: curl(f"{base}/large", "-T", str(large), "-H", "Content-Type: application/octet-stream", *curl_headers(headers)))
        _, grown_down = growth(atoll.pid, lambda: curl(f"{base}/large", *curl_headers(headers)))
        say(f"Storage, 1 GiB: up in {up:.1f} s ({BYTES / up / 1e6:.0f} MB/s), resident memory grows by {grown_up:.1f} MiB going up and "
            f"{grown_down:.1f} MiB coming down   (goal: under 10)")

        port = free_port()
        server = nginx(folder, port)
        time.sleep(0.5)
        rates = {"nginx": [], "atoll": []}
        for _ in range(ROUNDS + 2):
            rates["nginx"].append(BYTES / curl(f"http://127.0.0.1:{port}/large") / 1e6)
            rates["atoll"].append(BYTES / curl(f"{base}/large", *curl_headers(headers)) / 1e6)
        for name in rates:
            say(f"  {name:8} {median(rates[name]):9.0f} MB/s down")
        say(f"  atoll / nginx: {median(rates['atoll']) / median(rates['nginx']):.2f}   (goal: at least 0.9)")
        ups, downs = small_files(atoll, base, headers, folder)
        say(f"  10 KiB files: {ups:.0f} uploads/s and {downs:.0f} downloads/s")
    finally:
        if server:
            server.terminate()
            server.wait(timeout=15)
        atoll.remove()
        shutil.rmtree(folder, ignore_errors=True)
