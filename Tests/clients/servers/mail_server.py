# SPDX-License-Identifier: Apache-2.0
"""A real SMTP server for tests: aiosmtpd on 127.0.0.1, on a free port unless one is named.

    mail_server.py FOLDER [--port PORT] [--tls none|starttls|implicit] [--login USER:PASSWORD]

writes FOLDER/ready.json once it listens, and each mail it took to FOLDER/mail-N.json. What it answers depends on the recipient:
refused@... 550, later@... 451 (the first two times), slow@... nothing for a minute, drop@... takes the mail and closes the connection.
"""

import argparse
import asyncio
import datetime
import ipaddress
import json
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_certificate(folder):
    """A certificate for 127.0.0.1 and localhost signed by its own key, as two PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "server.crt", folder / "server.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_path, key_path


class Handler:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.deferred = {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.split("@")[0]
        if local == "refused":
            return "550 5.1.1 no such mailbox"
        if local == "later" and self.deferred.setdefault(address, 0) < 2:
            self.deferred[address] += 1
            return "451 4.3.0 try again"
        if local == "slow":
            await asyncio.sleep(60)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.original_content.decode("utf-8", "replace"),
            "tls": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
            "authenticated": bool(session.authenticated),
            "peer": session.host_name,
        }
        temporary = self.folder / "mail.tmp"
        temporary.write_text(json.dumps(mail))
        temporary.rename(self.folder / f"mail-{self.count}.json")
        if any(address.startswith("drop@") for address in envelope.rcpt_tos):
            server.transport.abort()
        return "250 OK"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
    parser.add_argument("--login")
    given = parser.parse_args()
    certificate, key = make_certificate(given.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    handler = Handler(given.folder)
    settings = {"hostname": "mail.test", "ident": "test server"}
    if given.tls == "starttls":
        settings["tls_context"] = context
    if given.login:
        user, password = given.login.split(":")

        def authenticate(server, session, envelope, mechanism, data):
            right = data.login == user.encode() and data.password == password.encode()
            return AuthResult(success=right, handled=False)

        settings |= {
            "authenticator": authenticate,
            "auth_required": True,
            # aiosmtpd sees TLS only where it negotiated it itself.
            "auth_require_tls": given.tls == "starttls",
        }
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, **settings), "127.0.0.1", given.port, ssl=context if given.tls == "implicit" else None
    )
    facts = {
        "port": server.sockets[0].getsockname()[1],
        "certificate": str(certificate),
        "key": str(key),
    }
    temporary = given.folder / "ready.tmp"
    temporary.write_text(json.dumps(facts))
    temporary.rename(given.folder / "ready.json")
    await server.serve_forever()


asyncio.run(main())
