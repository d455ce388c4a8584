# SPDX-License-Identifier: Apache-2.0
"""Users who sign up with the official client."""

import uuid

from supabase import create_client

PASSWORD = "correct horse battery staple"


class Person:
    """A signed-up user with a client of their own."""

    def __init__(self, server, name):
        self.email = f"{name}-{uuid.uuid4().hex[:8]}@example.com"
        self.client = anonymous(server)
        self.session = self.client.auth.sign_up({"email": self.email, "password": PASSWORD}).session
        self.id = self.session.user.id

    @property
    def headers(self):
        """For calls that no official client makes."""
        return {"Authorization": f"Bearer {self.session.access_token}"}


def anonymous(server):
    """A client with the public key alone."""
    return create_client(server.url, server.status["ANON_KEY"])


def service(server):
    """A client with the service key, which passes row level security."""
    return create_client(server.url, server.status["SERVICE_ROLE_KEY"])
