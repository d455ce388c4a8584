# SPDX-License-Identifier: Apache-2.0
"""An OpenID provider: Django OAuth Toolkit, as it is run for real users, with one application and its users.

    python openid_provider.py PORT KEYS_FILE REDIRECT_URI [PATH]

PATH, `o` by default, is where it is below its host. KEYS_FILE holds RSA keys in PEM, each ended by a line of its own; the first signs, the others are still published. Who is signed
in is said by the cookie `user`, which stands for a login page: it holds the user's name. Prints `ready` when it answers.
"""

import pathlib
import sys
import tempfile
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

CLIENT_ID = "atoll"
CLIENT_SECRET = "a secret between the two"
PORT, KEYS_FILE, REDIRECT_URI = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
PATH = sys.argv[4] if len(sys.argv) > 4 else "o"
ISSUER = f"http://127.0.0.1:{PORT}/{PATH}"
PUBLIC_CLIENT_ID = "phone"
END = "-----END PRIVATE KEY-----\n"
KEYS = [key + END for key in KEYS_FILE.read_text().split(END) if key.strip()]


def configure(folder):
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/db.sqlite3"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            f"{__name__}.SignIn",
        ],
        OAUTH2_PROVIDER={
            "OAUTH2_VALIDATOR_CLASS": f"{__name__}.Validator",
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": ISSUER,
            "OIDC_RSA_PRIVATE_KEY": KEYS[0],
            "OIDC_RSA_PRIVATE_KEYS_INACTIVE": KEYS[1:],
            "PKCE_REQUIRED": True,
            "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https"],
            "SCOPES": {"openid": "who you are", "email": "your address", "profile": "your name"},
        },
        ROOT_URLCONF=__name__,
        SECRET_KEY="nobody signs in here",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        USE_TZ=True,
    )
    django.setup()


class SignIn:
    """Signs in whoever the cookie names; makes the user when there is none yet."""

    def __init__(self, next_handler):
        self.next_handler = next_handler

    def __call__(self, request):
        from django.contrib.auth.models import User

        name = request.COOKIES.get("user")
        if name:
            request.user, _ = User.objects.get_or_create(
                username=name, defaults={"email": f"{name}@provider.test", "first_name": name.title()}
            )
        return self.next_handler(request)


def make_validator():
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class Validator(OAuth2Validator):
        oidc_claim_scope = None

        def get_additional_claims(self, request):
            user = request.user
            return {
                "email": user.email,
                "email_verified": not user.username.startswith("unverified"),
                "name": user.get_full_name(),
                "preferred_username": user.username,
                "role": "authenticated",
            }

    return Validator


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


def main():
    global urlpatterns, Validator
    sys.modules.setdefault("openid_provider", sys.modules[__name__])
    with tempfile.TemporaryDirectory() as folder:
        configure(folder)
        Validator = make_validator()
        from django.core.management import call_command
        from django.core.wsgi import get_wsgi_application
        from django.urls import include, path
        from oauth2_provider import urls
        from oauth2_provider.models import get_application_model

        urlpatterns = [path(f"{PATH}/", include(urls))]
        call_command("migrate", verbosity=0)
        for client_id in (CLIENT_ID, PUBLIC_CLIENT_ID):
            get_application_model().objects.create(
                client_id=client_id,
                client_secret=CLIENT_SECRET,
                client_type="confidential",
                authorization_grant_type="authorization-code",
                redirect_uris=REDIRECT_URI,
                skip_authorization=True,
                algorithm="RS256",
            )
        server = make_server("127.0.0.1", PORT, get_wsgi_application(), handler_class=QuietHandler)
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
