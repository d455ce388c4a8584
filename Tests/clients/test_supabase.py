# SPDX-License-Identifier: Apache-2.0
"""The official Supabase client against Atoll: two users who must not meet."""

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase_auth.errors import AuthApiError

from people import PASSWORD, anonymous, service


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_refuses_a_wrong_password_and_an_unknown_user_alike(server, alice):
    messages = set()
    for email in (alice.email, "nobody@example.com"):
        with pytest.raises(AuthApiError) as refusal:
            anonymous(server).auth.sign_in_with_password({"email": email, "password": "wrong password"})
        assert refusal.value.status == 400
        assert refusal.value.code == "invalid_credentials"
        messages.add(refusal.value.message)
    assert len(messages) == 1


def test_refuses_calls_without_a_key(server):
    for path in ("/rest/v1/notes", "/auth/v1/user"):
        assert httpx.get(f"{server.url}{path}").status_code == 401


def test_refuses_a_forged_token(server, alice):
    head, claims, _ = alice.session.access_token.split(".")
    answer = httpx.get(
        f"{server.url}/rest/v1/notes",
        headers={"apikey": server.status["ANON_KEY"], "Authorization": f"Bearer {head}.{claims}.AAAA"},
    )
    assert answer.status_code == 401


def test_anonymous_visitors_see_no_rows(server, alice):
    alice.client.table("notes").insert({"title": "private"}).execute()
    try:
        assert anonymous(server).table("notes").select("*").execute().data == []
    except APIError as refusal:
        assert refusal.code == "42501"


def test_rows_of_others_cannot_be_read_changed_or_forged(alice, bob):
    mine = alice.client.table("notes").insert({"title": "mine"}).execute().data[0]
    assert bob.client.table("notes").select("*").eq("id", mine["id"]).execute().data == []
    assert bob.client.table("notes").update({"title": "theirs"}).eq("id", mine["id"]).execute().data == []
    assert bob.client.table("notes").delete().eq("id", mine["id"]).execute().data == []
    with pytest.raises(APIError) as refusal:
        bob.client.table("notes").insert({"title": "in your name", "user_id": alice.id}).execute()
    assert refusal.value.code == "42501"
    assert alice.client.table("notes").select("title").eq("id", mine["id"]).execute().data == [{"title": "mine"}]


def test_constraints_answer_with_their_code(alice):
    with pytest.raises(APIError) as refusal:
        alice.client.table("notes").insert({"title": ""}).execute()
    assert refusal.value.code == "23514"
    with pytest.raises(APIError) as refusal:
        alice.client.table("no_such_table").select("*").execute()
    assert refusal.value.code == "PGRST205"


# --- Sign-up, sign-in, refresh -----------------------------------------------------------------------------------------


def test_a_user_signs_up_in_and_out(server, alice):
    client = anonymous(server)
    session = client.auth.sign_in_with_password({"email": alice.email, "password": PASSWORD}).session
    assert session.user.id == alice.id
    assert client.auth.get_user().user.email == alice.email
    client.auth.sign_out()
    with pytest.raises(AuthApiError):
        client.auth.get_user(session.access_token)


def test_a_session_is_refreshed(alice):
    before = alice.session
    after = alice.client.auth.refresh_session(before.refresh_token).session
    assert after.user.id == alice.id
    assert after.refresh_token != before.refresh_token
    alice.client.table("notes").insert({"title": "with the new token"}).execute()


# --- Rows ----------------------------------------------------------------------------------------------------------------


def test_rows_are_made_read_changed_and_deleted(alice):
    notes = alice.client.table("notes")
    made = notes.insert([{"title": "one", "details": {"a": [1, None, "ü"]}}, {"title": "two", "details": {}}]).execute().data
    assert [row["title"] for row in made] == ["one", "two"]
    assert made[0]["user_id"] == alice.id
    assert made[0]["details"] == {"a": [1, None, "ü"]}

    read = alice.client.table("notes").select("id,title").order("title", desc=True).limit(1).execute().data
    assert read == [{"id": made[1]["id"], "title": "two"}]
    read = alice.client.table("notes").select("title").order("title").offset(1).execute().data
    assert read == [{"title": "two"}]

    changed = alice.client.table("notes").update({"done": True}).eq("id", made[0]["id"]).execute().data
    assert changed[0]["done"] is True
    deleted = alice.client.table("notes").delete().eq("id", made[1]["id"]).execute().data
    assert [row["id"] for row in deleted] == [made[1]["id"]]
    assert alice.client.rpc("count_my_notes", {}).execute().data == 1


def test_the_service_key_sees_all_tenants(server, alice, bob):
    for person in (alice, bob):
        person.client.table("notes").insert({"title": person.email}).execute()
    rows = service(server).table("notes").select("title").execute().data
    assert {alice.email, bob.email} <= {row["title"] for row in rows}


# --- The home of a new user --------------------------------------------------------------------------------------------


def test_an_api_key_is_kept_and_never_given_back(server, alice, bob):
    keys = f"{server.url}/api/user/api-keys"
    public = {"apikey": server.status["ANON_KEY"]}
    secret = "sk-test-0123456789abcdef"
    assert httpx.get(keys, headers=public).status_code == 401
    answer = httpx.post(
        keys, headers={**public, **alice.headers}, json={"service_name": "openai", "api_key": secret}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True
    listed = httpx.get(keys, headers={**public, **alice.headers})
    assert [key["service_name"] for key in listed.json()["apiKeys"]] == ["openai"]
    assert secret not in listed.text
    assert httpx.get(keys, headers={**public, **bob.headers}).json()["apiKeys"] == []
    assert secret not in server.log


def test_each_user_has_a_tenant_of_their_own(alice, bob):
    tenants = [person.session.user.app_metadata.get("tenant_id") for person in (alice, bob)]
    assert all(tenants)
    assert tenants[0] != tenants[1]
