# SPDX-License-Identifier: Apache-2.0
"""A guide written for a Supabase project: the SQL of its sections 1 to 5 must run as it stands.

The guide is not part of this repository; without it beside the repository these tests are skipped.
"""

import re

import pytest
from postgrest.exceptions import APIError

from atoll_server import ROOT, AtollServer, sql_files
from people import Person, service

GUIDE = ROOT.parent / "shared" / "seeds" / "coral-social.txt"
OLDER_TABLES = ROOT / "Tests" / "clients" / "projects" / "social"
SECTIONS = ["schema", "indexes", "policies", "provisioning", "usage"]


def guide_migrations():
    """The SQL blocks of the chapter about the schema, one migration each, not a letter changed."""
    chapter = re.search(r"^## Database Schema Implementation$(.*?)^## ", GUIDE.read_text(), re.M | re.S).group(1)
    blocks = re.findall(r"^```sql\n(.*?)^```", chapter, re.M | re.S)
    assert len(blocks) == len(SECTIONS)
    return {f"2024020{number}000000_{name}.sql": sql for number, (name, sql) in enumerate(zip(SECTIONS, blocks), 1)}


@pytest.fixture(scope="module")
def social():
    if not GUIDE.exists():
        pytest.skip(f"{GUIDE} is not there")
    with AtollServer(migrations={**sql_files(OLDER_TABLES), **guide_migrations()}) as server:
        yield server


def test_sign_up_runs_the_guides_trigger(social):
    person = Person(social, "carol")
    profile = person.client.table("user_profiles").select("*").execute().data
    assert [(row["user_id"], row["email"], row["subscription_tier"]) for row in profile] == [(person.id, person.email, "free")]
    persona = person.client.table("personas").select("name,is_default").execute().data
    assert persona == [{"name": "Default", "is_default": True}]
    log = person.client.table("agent_logs").select("action").execute().data
    assert log == [{"action": "user_created"}]


def test_users_of_the_guide_do_not_meet(social):
    first, second = Person(social, "dave"), Person(social, "erin")
    first.client.table("tweets").insert({"content": "hello", "user_id": first.id}).execute()
    assert second.client.table("tweets").select("*").execute().data == []
    with pytest.raises(APIError) as refusal:
        second.client.table("tweets").insert({"content": "forged", "user_id": first.id}).execute()
    assert refusal.value.code == "42501"
    assert len(second.client.table("user_profiles").select("*").execute().data) == 1


def test_usage_is_counted_by_the_guides_function(social):
    person, other = Person(social, "frank"), Person(social, "grace")
    call = {"p_user_id": person.id, "p_service_name": "openai", "p_cost_cents": 7}
    person.client.rpc("increment_api_usage", call).execute()
    assert person.client.table("user_profiles").select("api_usage_current").execute().data == [{"api_usage_current": 7}]
    assert other.client.table("api_usage_logs").select("*").execute().data == []
    # In somebody else's name the row would break their policy.
    with pytest.raises(APIError):
        other.client.rpc("increment_api_usage", call).execute()
    service(social).rpc("reset_monthly_usage", {}).execute()
    assert person.client.table("user_profiles").select("api_usage_current").execute().data == [{"api_usage_current": 0}]
