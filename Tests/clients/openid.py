# SPDX-License-Identifier: Apache-2.0
"""Runs the OpenID provider of servers/openid_provider.py, and takes browsers there and back."""

import pathlib
import subprocess
import sys
import tempfile
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from atoll_server import free_ports

PROGRAM = pathlib.Path(__file__).parent / "servers" / "openid_provider.py"
CLIENT_ID = "atoll"
PHONE_CLIENT_ID = "phone"
CLIENT_SECRET = "a secret between the two"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def new_key():
    return rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class OpenIDProvider:
    """One provider on a port of its own; its keys outlive a restart."""

    def __init__(self, path="o"):
        (self.port,) = free_ports(1)
        self.path = path
        self.issuer = f"http://127.0.0.1:{self.port}/{path}"
        self.keys = [new_key()]
        self.process = None
        self.redirect_uri = ""

    def start(self, redirect_uri):
        self.redirect_uri = redirect_uri
        with tempfile.NamedTemporaryFile(suffix=".pem") as keys:
            keys.write(b"".join(self.keys))
            keys.flush()
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, str(self.port), keys.name, redirect_uri, self.path],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process.stdout.close()
            self.process = None

    def rotate(self, keep=True):
        """Signs with a new key from now on; the old one is published on, or gone."""
        self.keys = [new_key()] + (self.keys[:1] if keep else [])
        redirect_uri = self.redirect_uri
        self.stop()
        self.start(redirect_uri)

    def tokens(self, user, nonce=None, client_id=PHONE_CLIENT_ID):
        """What an application gets that signs its user in by itself."""
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid email profile",
            "state": "x",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        if nonce:
            query["nonce"] = nonce
        answer = httpx.get(f"{self.issuer}/authorize/", params=query, headers={"Cookie": f"user={user}"})
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        answer = httpx.post(
            f"{self.issuer}/token/",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.redirect_uri,
                "client_id": client_id,
                "client_secret": CLIENT_SECRET,
                "code_verifier": VERIFIER,
            },
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


def browse(address, user, site="http://127.0.0.1:3000"):
    """Follows redirects as the browser of somebody who is signed in at the provider; returns the page's address at the end."""
    cookies = {"user": user}
    for _ in range(8):
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        answer = httpx.get(address, headers={"Cookie": header})
        assert answer.status_code in (302, 303), f"{address}: {answer.status_code} {answer.text}"
        cookies.update(answer.cookies.items())
        address = answer.headers["location"]
        if address.startswith(site):
            return address
    raise AssertionError(f"too many redirects, now at {address}")


def query_of(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def fragment_of(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).fragment).items()}
