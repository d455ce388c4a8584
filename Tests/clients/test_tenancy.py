# SPDX-License-Identifier: Apache-2.0
"""Teams, invitations, switching, limits and the views of the starter blueprint, with the official client: three accounts that
must not meet, but where they are members of one team."""

import base64
import io
import json
import subprocess
import tarfile
import time
import uuid

import httpx
import pytest
from postgrest.exceptions import APIError

from atoll_server import ROOT, AtollServer, binary, sql_files
from inbox import Inbox
from people import PASSWORD, Person, anonymous, service

BLUEPRINT = ROOT / "Sources" / "System" / "CAssets" / "sql" / "blueprints" / "starter" / "migrations"
TABLES = """
create table public.documents (
    id bigint generated always as identity primary key,
    tenant_id uuid not null default tenancy.current_tenant(),
    title text not null
);
alter table public.documents enable row level security;
create policy documents_of_the_tenant on public.documents for all to authenticated
    using (tenant_id = (select tenancy.current_tenant()))
    with check (tenant_id = (select tenancy.current_tenant()));
create table public.diaries (
    id bigint generated always as identity primary key,
    user_id uuid not null default auth.uid(),
    entry text not null
);
alter table public.diaries enable row level security;
create policy diaries_of_a_person on public.diaries for all to authenticated
    using (user_id = (select auth.uid()))
    with check (user_id = (select auth.uid()));
insert into storage.buckets (id, name) values ('files', 'files');
create policy files_of_a_person on storage.objects for all to authenticated
    using (bucket_id = 'files' and owner_id = (select auth.uid())::text)
    with check (bucket_id = 'files' and owner_id = (select auth.uid())::text);
"""
CONFIG = """
[auth.rate_limit]
sign_in_sign_ups = 1000
[atoll.tenancy]
invitation_pause = "0s"
deletion_grace = "1s"
[atoll.tenancy.usage_notice]
subject = "{{ .TenantName }}: {{ .Level }} limit of {{ .Metric }}"
[atoll.storage]
sweep_interval = "1s"
"""


@pytest.fixture(scope="module")
def atoll():
    migrations = {**sql_files(BLUEPRINT), "20260201000000_create_documents.sql": TABLES}
    with AtollServer(migrations=migrations, config=CONFIG) as server:
        yield server


@pytest.fixture
def inbox(atoll):
    return Inbox(atoll)


@pytest.fixture
def ann(atoll):
    return Person(atoll, "ann")


@pytest.fixture
def bob(atoll):
    return Person(atoll, "bob")


@pytest.fixture
def eve(atoll):
    return Person(atoll, "eve")


def call(atoll, person, method, path, body=None, expect=200):
    """A request to /api with a person's present token, or a session's."""
    token = person if isinstance(person, str) else person.client.auth.get_session().access_token
    answer = httpx.request(
        method, f"{atoll.url}/api{path}", headers={"Authorization": f"Bearer {token}"}, json=body, timeout=30
    )
    assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def tenant_of(token):
    return claims(token)["app_metadata"]["tenant_id"]


def switch(atoll, person, tenant):
    """Has the person's client go on with the session of another tenant, as an application would."""
    session = call(atoll, person, "POST", "/tenants/switch", {"tenant_id": tenant})
    person.client.auth.set_session(session["access_token"], session["refresh_token"])
    return session


def team(atoll, owner, name="Acme"):
    return call(atoll, owner, "POST", "/tenants", {"name": name}, expect=201)["tenant"]["id"]


def invite(atoll, inbox, owner, email, role="member"):
    call(atoll, owner, "POST", "/invitations", {"email": email, "role": role}, expect=201)
    return httpx.URL(inbox.link(email)).params["token"]


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_strangers_reach_nothing_of_a_team(atoll, ann, bob):
    tenant = team(atoll, ann)
    call(atoll, bob, "POST", "/tenants/switch", {"tenant_id": tenant}, expect=404)
    call(atoll, bob, "POST", "/tenants/switch", {"tenant_id": str(uuid.uuid4())}, expect=404)
    call(atoll, bob, "POST", "/tenants/switch", {"tenant_id": "x"}, expect=400)
    for action in ("suspend", "resume", "restore"):
        call(atoll, bob, "POST", f"/tenants/{tenant}/{action}", expect=404)
    call(atoll, bob, "DELETE", f"/tenants/{tenant}", expect=404)
    assert [each["id"] for each in call(atoll, bob, "GET", "/tenants")["tenants"]] == [tenant_of(bob.session.access_token)]
    for path in ("/tenants", "/members", "/invitations", "/usage", "/audit"):
        assert httpx.get(f"{atoll.url}/api{path}").status_code == 401
        assert httpx.get(f"{atoll.url}/api{path}", headers={"apikey": atoll.status["ANON_KEY"]}).status_code == 401


def test_a_token_of_no_session_switches_nothing(atoll, ann):
    tenant = team(atoll, ann)
    token = atoll.command("gen", "bearer-jwt", "--role", "authenticated", "--sub", ann.id).strip()
    assert call(atoll, token, "POST", "/tenants/switch", {"tenant_id": tenant}, expect=400)["code"] == "no_session"


# --- Teams ------------------------------------------------------------------------------------------------------------


def test_a_team_shares_rows_and_others_see_none(atoll, inbox, ann, bob, eve):
    tenant = team(atoll, ann)
    home = tenant_of(ann.session.access_token)
    ann.client.table("documents").insert({"title": "at home"}).execute()
    session = switch(atoll, ann, tenant)
    assert tenant_of(session["access_token"]) == tenant
    assert session["user"]["app_metadata"]["tenant_id"] == tenant
    assert ann.client.auth.get_user().user.app_metadata["tenant_id"] == tenant
    ann.client.table("documents").insert({"title": "in the team"}).execute()
    assert [row["title"] for row in ann.client.table("documents").select("title").execute().data] == ["in the team"]

    token = invite(atoll, inbox, ann, bob.email)
    assert call(atoll, eve, "POST", "/invitations/accept", {"token": token}, expect=404)["code"] == "invitation_invalid"
    assert call(atoll, bob, "POST", "/invitations/accept", {"token": token})["tenant_id"] == tenant
    # A member, but working at home still.
    assert bob.client.table("documents").select("*").execute().data == []
    switch(atoll, bob, tenant)
    assert [row["title"] for row in bob.client.table("documents").select("title").execute().data] == ["in the team"]
    assert eve.client.table("documents").select("*").execute().data == []
    with pytest.raises(APIError) as refusal:
        eve.client.table("documents").insert({"title": "forged", "tenant_id": tenant}).execute()
    assert refusal.value.code == "42501"

    # The tenant stays with the session over refreshes, until the membership ends: then the token is worth nothing at once,
    # and the next one is the account's own again.
    refreshed = bob.client.auth.refresh_session().session
    assert tenant_of(refreshed.access_token) == tenant
    call(atoll, ann, "DELETE", f"/members/{bob.id}")
    assert bob.client.table("documents").select("*").execute().data == []
    assert call(atoll, bob, "GET", "/members", expect=403)["code"] == "no_tenant"
    refreshed = bob.client.auth.refresh_session().session
    assert tenant_of(refreshed.access_token) != tenant
    # And the other session of the same person was in the other tenant all the time.
    other = anonymous(atoll)
    signed_in = other.auth.sign_in_with_password({"email": ann.email, "password": PASSWORD}).session
    assert tenant_of(signed_in.access_token) == home
    switch(atoll, ann, home)
    assert [row["title"] for row in ann.client.table("documents").select("title").execute().data] == ["at home"]


def test_a_refresh_token_from_before_the_switch_still_works_once(atoll, ann):
    """As a tab does that has not heard of it: it is answered with the session's present token."""
    tenant = team(atoll, ann)
    before = ann.client.auth.get_session().refresh_token
    call(atoll, ann, "POST", "/tenants/switch", {"tenant_id": tenant})
    session = anonymous(atoll).auth.refresh_session(before).session
    assert tenant_of(session.access_token) == tenant


def test_somebody_new_accepts_by_signing_up(atoll, inbox, ann):
    tenant = team(atoll, ann)
    switch(atoll, ann, tenant)
    email = f"new-{uuid.uuid4().hex[:8]}@example.com"
    token = invite(atoll, inbox, ann, email, role="admin")
    client = anonymous(atoll)
    session = client.auth.sign_up(
        {"email": email, "password": PASSWORD, "options": {"data": {"invitation_token": token, "full_name": "New"}}}
    ).session
    assert "invitation_token" not in session.user.user_metadata
    roles = {each["id"]: each["role"] for each in call(atoll, session.access_token, "GET", "/tenants")["tenants"]}
    assert roles[tenant] == "admin"


def reached(atoll, person):
    """What a person's token reaches, service by service: the status of each answer."""
    token = person.client.auth.get_session().access_token
    headers = {"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {token}"}
    qdrant = f"http://127.0.0.1:{atoll.vectors_port}/collections"
    return {
        "rows of the tenant": httpx.get(f"{atoll.url}/rest/v1/documents", headers=headers).status_code,
        "rows of the person": httpx.get(f"{atoll.url}/rest/v1/diaries", headers=headers).status_code,
        "a new row": httpx.post(f"{atoll.url}/rest/v1/diaries", headers=headers, json={"entry": "x"}).status_code,
        "functions": httpx.post(f"{atoll.url}/rest/v1/rpc/increment_api_usage", headers=headers, json={}).status_code,
        "files": httpx.post(f"{atoll.url}/storage/v1/object/list/files", headers=headers, json={"prefix": ""}).status_code,
        "vectors": httpx.get(f"{atoll.url}/vectors/v1/collections", headers=headers).status_code,
        "Qdrant's port": httpx.get(qdrant, headers={"api-key": token}).status_code,
        "keys": httpx.get(f"{atoll.url}/api/user/api-keys", headers=headers).status_code,
        "set-up": httpx.post(f"{atoll.url}/api/setup", headers=headers, json={}).status_code,
    }


def closed(atoll, person):
    """Waits for the gateway to hear of it; what asks for the tenant is closed at once."""
    deadline = time.monotonic() + 10
    while set(reached(atoll, person).values()) != {403}:
        assert time.monotonic() < deadline, reached(atoll, person)
        time.sleep(0.02)


def test_suspension_closes_a_team_at_once(atoll, ann, bob):
    tenant = team(atoll, ann)
    switch(atoll, ann, tenant)
    ann.client.table("documents").insert({"title": "kept"}).execute()
    ann.client.table("diaries").insert({"entry": "kept"}).execute()
    atoll.command("tenants", "suspend", tenant, "--reason", "unpaid")
    closed(atoll, ann)
    with pytest.raises(APIError) as error:
        ann.client.table("diaries").select("*").execute()
    assert error.value.code == "tenant_suspended"
    # A server that starts knows it before it takes requests.
    atoll.stop()
    atoll.start()
    assert set(reached(atoll, ann).values()) == {403}
    refused = call(atoll, ann, "POST", "/tenants/current/resume", expect=403)
    assert refused["code"] == "suspended_by_operator"
    shown = json.loads(atoll.command("tenants", "show", tenant, "-o", "json"))
    assert (shown["status"], shown["suspension_reason"], shown["owner"]) == ("suspended", "unpaid", ann.email)
    # Her other tenants, and other people, are not concerned.
    home = tenant_of(ann.session.access_token)
    switch(atoll, ann, home)
    assert [row["entry"] for row in ann.client.table("diaries").select("entry").execute().data] == ["kept"]
    bob.client.table("diaries").select("*").execute()
    atoll.command("tenants", "resume", tenant)
    switch(atoll, ann, tenant)
    deadline = time.monotonic() + 10
    while reached(atoll, ann)["rows of the tenant"] == 403 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(ann.client.table("documents").select("*").execute().data) == 1


# --- Deleting and exporting ---------------------------------------------------------------------------------------------


def test_a_deleted_team_is_exported_first_and_then_gone(atoll, ann, bob, tmp_path):
    tenant = team(atoll, ann)
    switch(atoll, ann, tenant)
    ann.client.table("documents").insert({"title": 'quotes " and \\ and ü'}).execute()
    bob.client.table("documents").insert({"title": "bob's"}).execute()
    content = b"content " * 100_000
    ann.client.storage.from_("files").upload(f"{ann.id}/a.bin", content)
    call(atoll, ann, "POST", "/user/api-keys", {"service_name": "openai", "api_key": "sk-very-secret"})

    answer = httpx.get(
        f"{atoll.url}/api/tenants/current/export",
        headers={"Authorization": f"Bearer {ann.client.auth.get_session().access_token}"},
        timeout=60,
    )
    assert answer.status_code == 200
    own = tarfile.open(fileobj=io.BytesIO(answer.content))
    file = tmp_path / "tenant.tar"
    atoll.command("tenants", "export", tenant, "--output", file)
    for archive in (own, tarfile.open(file)):
        names = archive.getnames()
        assert names[-1] == "manifest.json"
        rows = archive.extractfile("public/documents.ndjson").read().splitlines()
        assert [json.loads(row)["title"] for row in rows] == ['quotes " and \\ and ü']
        assert archive.extractfile(f"storage/files/{ann.id}/a.bin").read() == content
        secrets = [json.loads(row) for row in archive.extractfile("tenancy/secrets.ndjson").read().splitlines()]
        assert [each["service_name"] for each in secrets] == ["openai"]
        everything = b"".join(archive.extractfile(name).read() for name in names)
        assert b"sk-very-secret" not in everything and b"v1." not in everything
        assert bob.email.encode() not in everything

    call(atoll, ann, "DELETE", "/tenants/current")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        left = subprocess.run(
            [binary(), "tenants", "show", tenant, "--workdir", atoll.folder], capture_output=True, text=True
        )
        files = list((atoll.folder / ".atoll" / "storage").rglob("*")) if left.returncode else []
        if left.returncode == 1 and not any(each.is_file() and each.stat().st_size == len(content) for each in files):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the tenant, or its file, is still there")
    backend = service(atoll)
    assert backend.table("documents").select("id").eq("tenant_id", tenant).execute().data == []
    assert len(bob.client.table("documents").select("*").execute().data) == 1
    # Her token falls back to her own tenant.
    assert tenant_of(ann.client.auth.refresh_session().session.access_token) != tenant


# --- The starter blueprint: what applications were written against ---------------------------------------------------------


def test_profiles_are_ones_own(atoll, ann, bob):
    row = ann.client.table("user_profiles").select("*").eq("user_id", ann.id).single().execute().data
    assert (row["email"], row["subscription_tier"], row["api_usage_limit"], row["api_usage_current"]) == (
        ann.email, "free", 1000, 0,
    )
    changed = (
        ann.client.table("user_profiles").update({"full_name": "Ann", "setup_completed": True}).eq("user_id", ann.id).execute()
    )
    assert changed.data[0]["full_name"] == "Ann" and changed.data[0]["setup_completed"] is True
    assert ann.client.table("profiles").select("full_name").eq("id", ann.id).single().execute().data == {"full_name": "Ann"}
    ann.client.table("profiles").update({"company": "Acme"}).eq("id", ann.id).execute()
    assert bob.client.table("user_profiles").select("user_id").execute().data == [{"user_id": bob.id}]
    assert bob.client.table("user_profiles").update({"full_name": "x"}).eq("user_id", ann.id).execute().data == []
    with pytest.raises(APIError) as refusal:
        ann.client.table("user_profiles").update({"subscription_tier": "enterprise"}).eq("user_id", ann.id).execute()
    assert refusal.value.code == "42501"
    with pytest.raises(APIError):
        anonymous(atoll).table("user_profiles").select("*").execute()


def get_profile(client, user_id):
    """As the guide's `getProfile` does it."""
    return client.table("profiles").select("*").eq("id", user_id).single().execute().data


def update_profile(client, user_id, updates):
    """As the guide's `updateProfile` does it."""
    return client.table("profiles").update(updates).eq("id", user_id).execute().data


def test_the_profile_of_the_guide_has_all_its_columns(atoll, ann, bob):
    with pytest.raises(APIError):
        update_profile(ann.client, ann.id, {"role": "admin"})
    assert update_profile(bob.client, ann.id, {"bio": "not hers"}) == []
    said = {"first_name": "Ann", "last_name": "Smith", "company": "Acme", "bio": "Sells.", "avatar_url": "https://x/a.png"}
    assert update_profile(ann.client, ann.id, said)[0]["bio"] == "Sells."
    profile = get_profile(ann.client, ann.id)
    assert {name: profile[name] for name in said} == said
    assert profile["role"] == "user" and profile["created_at"] and profile["updated_at"]
    switch(atoll, ann, team(atoll, ann))
    assert get_profile(ann.client, ann.id)["role"] == "team_admin"
    # What every agent of the guide does with any of its tables.
    agent = service(atoll)
    assert agent.table("user_profiles").select("*").eq("user_id", ann.id).limit(100).execute().data[0]["email"] == ann.email
    agent.table("user_profiles").update({"company_name": "Acme Inc."}).eq("user_id", ann.id).execute()
    assert get_profile(ann.client, ann.id)["company"] == "Acme Inc."


def test_owners_and_admins_hear_once_of_a_limit_that_comes_near(atoll, inbox, ann, bob, eve):
    tenant = team(atoll, ann, "Meters")
    backend = service(atoll)
    for person, role in ((bob, "admin"), (eve, "member")):
        token = invite(atoll, inbox, ann_in(atoll, ann, tenant), person.email, role)
        call(atoll, person, "POST", "/invitations/accept", {"token": token})
    count = {person.email: len(mails(inbox, person)) for person in (ann, bob, eve)}
    for cost in (700, 150, 50, 100, 0):
        track_api_usage(ann.client, ann.id, "openai", cost)
    for person in (ann, bob):
        deadline = time.monotonic() + 20
        while len(mails(inbox, person)) < count[person.email] + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        subjects = sorted(mail["Subject"] for mail in mails(inbox, person)[: -count[person.email] or None])
        assert subjects == ["Meters: hard limit of cost in cents", "Meters: soft limit of cost in cents"]
    text = inbox.newest(ann.email, 2)["Text"]
    assert "of 1000 are used" in text, text
    assert len(mails(inbox, eve)) == count[eve.email]
    usage = httpx.get(
        f"{atoll.url}/api/usage", headers={"Authorization": f"Bearer {ann.client.auth.get_session().access_token}"}
    )
    assert usage.headers["x-usage-warning"].startswith("cost_cents=850/1000")
    entries = call(atoll, ann, "GET", "/audit?limit=100")["entries"]
    told = [(entry["action"], entry["target"], entry["detail"]["used"]) for entry in entries if entry["action"].startswith("usage.")]
    assert told == [("usage.limit_reached", "cost_cents", 1000), ("usage.soft_limit_reached", "cost_cents", 850)]
    with pytest.raises(APIError) as refusal:
        track_api_usage(ann.client, ann.id, "openai", 1)
    assert refusal.value.code == "usage_limit_reached"
    assert backend.table("user_profiles").select("*").eq("user_id", ann.id).execute().data


def ann_in(atoll, person, tenant):
    switch(atoll, person, tenant)
    return person


def mails(inbox, person):
    """All mails to somebody, the newest first."""
    return inbox.api.get("/api/v1/search", params={"query": f"to:{person.email}"}).json()["messages"]


def test_keys_are_listed_and_never_shown(atoll, ann, bob):
    call(atoll, ann, "POST", "/user/api-keys", {"service_name": "openai", "api_key": "sk-ann"})
    keys = (
        ann.client.table("user_api_keys")
        .select("service_name, is_active, created_at").eq("user_id", ann.id).eq("is_active", True).execute().data
    )
    assert [(key["service_name"], key["is_active"]) for key in keys] == [("openai", True)]
    assert bob.client.table("user_api_keys").select("*").execute().data == []
    for client in (ann.client, service(atoll)):
        assert all("envelope" not in row for row in client.table("user_api_keys").select("*").execute().data)
        # The guide's back end asks for it, and gets none.
        rows = client.table("user_api_keys").select("service_name, encrypted_key").eq("user_id", ann.id).eq("is_active", True)
        assert rows.execute().data == [{"service_name": "openai", "encrypted_key": None}]
    with pytest.raises(APIError, match="sealed by the server"):
        ann.client.table("user_api_keys").insert({"service_name": "x", "user_id": ann.id}).execute()
    with pytest.raises(APIError):
        row = {"user_id": ann.id, "service_name": "openai", "encrypted_key": "sealed elsewhere", "is_active": True}
        ann.client.table("user_api_keys").upsert(row).execute()
    ann.client.table("user_api_keys").update({"is_active": False}).eq("service_name", "openai").execute()
    assert len(ann.client.table("user_api_keys").delete().eq("service_name", "openai").execute().data) == 1


def track_api_usage(client, user_id, service_name, cost_cents=1):
    """As the agents of the guide do it, word for word."""
    return client.rpc(
        "increment_api_usage", {"p_user_id": user_id, "p_service_name": service_name, "p_cost_cents": cost_cents}
    ).execute()


def test_use_is_metered_and_refused_beyond_the_plan(atoll, ann, bob):
    agent = service(atoll)
    track_api_usage(agent, ann.id, "twitter", 900)
    track_api_usage(ann.client, ann.id, "openai", 90)
    profile = ann.client.table("user_profiles").select("api_usage_current").single().execute().data
    assert profile == {"api_usage_current": 990}
    logs = ann.client.table("api_usage_logs").select("service_name, cost_cents").order("created_at").execute().data
    assert logs == [{"service_name": "twitter", "cost_cents": 900}, {"service_name": "openai", "cost_cents": 90}]
    assert bob.client.table("api_usage_logs").select("*").execute().data == []
    for client in (agent, ann.client):
        with pytest.raises(APIError) as refusal:
            track_api_usage(client, ann.id, "openai", 11)
        assert refusal.value.code == "usage_limit_reached"
        details = json.loads(refusal.value.details)
        assert (details["metric"], details["limit"], details["used"]) == ("cost_cents", 1000, 990)
    answer = httpx.post(
        f"{atoll.url}/rest/v1/rpc/increment_api_usage",
        headers={"apikey": atoll.status["SERVICE_ROLE_KEY"]},
        json={"p_user_id": ann.id, "p_service_name": "openai", "p_cost_cents": 11},
    )
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) < 32 * 86_400
    # In somebody else's name nobody meters, and nobody else pays for it.
    with pytest.raises(APIError) as refusal:
        track_api_usage(bob.client, ann.id, "openai", 1)
    assert refusal.value.code == "42501"
    assert call(atoll, bob, "GET", "/usage")["used"]["cost_cents"] == 0
    usage = call(atoll, ann, "GET", "/usage")
    assert [(each["service_name"], each["cost_cents"]) for each in usage["services"]] == [("openai", 90), ("twitter", 900)]
    # Another plan gives room at once.
    atoll.command("tenants", "plan", tenant_of(ann.session.access_token), "pro")
    track_api_usage(ann.client, ann.id, "openai", 11)
    assert call(atoll, ann, "GET", "/usage")["plan"]["name"] == "pro"
    row = ann.client.table("api_usage_logs").insert({"user_id": ann.id, "service_name": "x", "cost_cents": 5}).execute().data
    assert row[0]["cost_cents"] == 5 and row[0]["id"]
    agent.rpc("reset_monthly_usage", {}).execute()


def test_settings_are_the_tenants(atoll, ann, bob):
    changed = ann.client.table("user_settings").update({"preferences": {"theme": "dark"}}).eq("user_id", ann.id).execute()
    assert changed.data[0]["preferences"] == {"theme": "dark"}
    assert bob.client.table("user_settings").select("preferences").execute().data == [{"preferences": {}}]
    with pytest.raises(APIError):
        ann.client.table("user_settings").update({"qdrant_collection": "theirs"}).eq("user_id", ann.id).execute()


def test_tenants_are_made_and_seen_as_the_guide_does_it(atoll, ann, bob):
    slug = f"acme-{uuid.uuid4().hex[:8]}"
    made = ann.client.table("tenants").insert({"name": "Acme", "slug": slug, "owner_id": ann.id}).execute().data[0]
    assert (made["slug"], made["owner_id"], made["status"]) == (slug, ann.id, "active")
    assert slug in [row["slug"] for row in ann.client.table("tenants").select("slug").execute().data]
    assert slug not in [row["slug"] for row in bob.client.table("tenants").select("slug").execute().data]
    for row in ({"name": "x", "slug": slug}, {"name": "x", "owner_id": ann.id}):
        with pytest.raises(APIError):
            bob.client.table("tenants").insert(row).execute()
    backend = service(atoll)
    backend.table("tenant_services").insert(
        {"tenant_id": made["id"], "service_name": "chatwoot", "service_id": "42", "status": "active"}
    ).execute()
    switch(atoll, ann, made["id"])
    assert ann.client.table("tenant_services").select("service_name, service_id").execute().data == [
        {"service_name": "chatwoot", "service_id": "42"}
    ]
    assert bob.client.table("tenant_services").select("*").execute().data == []
    actions = [entry["action"] for entry in call(atoll, ann, "GET", "/audit")["entries"]]
    assert "service.added" in actions and "tenant.created" in actions


def test_who_opens_a_team_finds_it_open(atoll, ann):
    tenant = team(atoll, ann)
    token = switch(atoll, ann, tenant)["access_token"]

    def status():
        headers = {"apikey": atoll.status["ANON_KEY"], "Authorization": f"Bearer {token}"}
        return httpx.get(f"{atoll.url}/rest/v1/documents?select=title", headers=headers).status_code

    seen = []
    for _ in range(20):
        call(atoll, token, "POST", "/tenants/current/suspend")
        seen.append(status())
        call(atoll, token, "POST", "/tenants/current/resume")
        seen.append(status())
    assert seen == [403, 200] * 20


def test_the_command_says_what_keeps_it(atoll, ann):
    home = tenant_of(ann.session.access_token)
    for action, tenant, reason in (
        ("suspend", str(uuid.uuid4()), "No such tenant"),
        ("delete", home, "A personal tenant goes with its account"),
        ("restore", home, "There is nothing to restore, or not any more"),
    ):
        result = subprocess.run(
            [binary(), "tenants", action, tenant, "--yes", "--workdir", atoll.folder], capture_output=True, text=True, timeout=60
        )
        assert (result.returncode, result.stderr.splitlines()[0]) == (1, f"error: {reason}"), result.stderr
        assert "atoll tenants list" in result.stderr


def test_init_writes_the_blueprint(tmp_path):
    done = subprocess.run(
        [binary(), "init", "--blueprint", "starter", "--workdir", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sql_files(tmp_path / "supabase" / "migrations") == sql_files(BLUEPRINT)
