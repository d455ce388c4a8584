# SPDX-License-Identifier: Apache-2.0
"""The operators' pages in a real browser."""

import pytest
from playwright.sync_api import expect

from console_browser import Visitor
from people import service

PATHS = ["/admin", "/admin/users", "/admin/tenants", "/admin/tables", "/admin/sql", "/admin/storage", "/admin/vectors", "/admin/logs"]
PATHS += ["/admin/isolation", "/admin/advisors", "/admin/tables/public/notes", "/admin/storage/any/file?name=x"]


@pytest.fixture
def ada(browser, server):
    visitor = Visitor(browser, server).sign_up("Ada")
    yield visitor
    visitor.close()


@pytest.fixture
def keeper(browser, server):
    """Holds the secret key."""
    visitor = Visitor(browser, server)
    visitor.open("/admin")
    visitor.page.get_by_label("Secret key").fill(server.status["SERVICE_ROLE_KEY"])
    visitor.page.get_by_role("button", name="Sign in").click()
    yield visitor
    visitor.close()


@pytest.mark.parametrize("path", PATHS)
def test_plain_users_are_refused(ada, path):
    assert ada.open(path).status == 403
    assert "Not for this account" in ada.page.content()


@pytest.mark.parametrize("path", PATHS)
def test_visitors_sign_in_first(browser, server, path):
    visitor = Visitor(browser, server)
    visitor.open(path)
    assert visitor.path.startswith("/admin/signin?next=/admin")
    visitor.close()


@pytest.mark.parametrize("key", ["guess", "ANON_KEY", "PUBLISHABLE_KEY"])
def test_other_keys_do_not_open(browser, server, key):
    visitor = Visitor(browser, server)
    visitor.open("/admin")
    visitor.page.get_by_label("Secret key").fill(server.status.get(key, key))
    visitor.page.get_by_role("button", name="Sign in").click()
    assert visitor.page.locator("#key-error").inner_text() == "That is no secret key of this project."
    visitor.open("/admin")
    assert visitor.path.startswith("/admin/signin")
    visitor.close()


def test_an_operator_is_appointed_and_dismissed(ada, keeper):
    keeper.open(f"/admin/users?filter={ada.email}")
    keeper.page.get_by_role("link", name=ada.email).click()
    keeper.page.get_by_role("button", name="Make an operator").click()
    assert keeper.status() == "The user is an operator."
    assert ada.open("/admin/logs").status == 200
    ada.open("/dashboard")
    assert ada.page.get_by_role("link", name="Administration").is_visible()
    keeper.page.get_by_role("button", name="No operator any more").click()
    assert keeper.status() == "The user is no operator any more."
    assert ada.open("/admin/logs").status == 403


def test_a_user_is_found_blocked_helped_and_deleted(ada, keeper, browser, server):
    keeper.open("/admin/users")
    keeper.page.get_by_label("Address, name or identifier").fill(ada.email)
    keeper.page.get_by_role("button", name="Search").click()
    keeper.page.get_by_role("link", name=ada.email).click()
    keeper.page.get_by_role("button", name="Block").click()
    assert keeper.status() == "The user is blocked."
    ada.open("/dashboard")
    assert ada.path.startswith("/auth/signin")
    keeper.page.get_by_role("button", name="Unblock").click()
    assert keeper.status() == "The user is not blocked any more."
    keeper.page.get_by_role("button", name="Make a link").click()
    assert "/auth/v1/verify" in keeper.page.locator(".secret code").inner_text()
    keeper.page.get_by_label("Confirm").fill("x")
    keeper.page.get_by_role("button", name="Delete the user").click()
    assert keeper.page.locator("#confirmation-error").is_visible()
    keeper.page.get_by_label("Confirm").fill(ada.email)
    keeper.page.get_by_role("button", name="Delete the user").click()
    assert keeper.status() == "The user is deleted."
    ada.open("/auth/signin")
    ada.sign_in()
    assert ada.path == "/auth/signin"


def test_rows_are_added_filtered_changed_and_deleted(keeper, server, alice):
    alice.client.table("notes").insert([{"title": f"note {number}"} for number in range(60)]).execute()
    keeper.open("/admin/tables/public/notes?column=title&comparison=contains&value=note&order=title")
    assert keeper.page.locator("tbody tr").count() == 50
    keeper.page.get_by_role("link", name="Next").click()
    assert keeper.page.locator("tbody tr").count() >= 10
    keeper.open("/admin/tables/public/notes?column=title&comparison=eq&value=note+7")
    assert keeper.page.locator("tbody tr").count() == 1
    keeper.page.get_by_role("link", name="Edit 1").click()
    keeper.page.locator("[id='value.title']").fill("changed <b>")
    keeper.page.get_by_role("button", name="Save").click()
    assert keeper.status() == "The row is saved."
    stored = service(server).table("notes").select("title").eq("title", "changed <b>").execute()
    assert len(stored.data) == 1
    keeper.open("/admin/tables/public/notes?column=title&comparison=eq&value=changed+%3Cb%3E")
    keeper.page.get_by_role("link", name="Edit 1").click()
    keeper.page.get_by_role("button", name="Delete the row").click()
    assert keeper.status() == "The row is deleted."
    assert service(server).table("notes").select("title").eq("title", "changed <b>").execute().data == []
    # A value that is none of the column's type is told, not a failure of the server.
    assert keeper.open("/admin/tables/public/notes?column=id&comparison=eq&value=x%27--").status == 422
    assert "invalid input syntax" in keeper.alert()


def run(keeper, sql, writes=False):
    keeper.open("/admin/sql")
    keeper.page.get_by_label("Statements", exact=True).fill(sql)
    if writes:
        keeper.page.get_by_label("Let the statements write").check()
    keeper.page.get_by_role("button", name="Run").click()


def test_statements_are_read_only_unless_asked(keeper):
    run(keeper, "select 1 as one, null as nothing, '<script>' as text; select 2 as two, 'x' as letter")
    assert keeper.page.locator("th").all_inner_texts() == ["two", "letter"]
    run(keeper, "create table public.made_here (id integer)")
    assert "25006" in keeper.page.locator("#sql-error").inner_text()
    run(keeper, "create table public.made_here (id integer); insert into made_here values (1), (2) returning id", writes=True)
    assert keeper.page.locator("tbody tr").count() == 2
    run(keeper, "select generate_series(1, 100000000) as n")
    assert keeper.page.locator("tbody tr").count() == 500
    assert "Only the first 500 rows" in keeper.alert()
    run(keeper, "drop table public.made_here", writes=True)
    for refused, said in [("", "no statement"), ("begin; select 1", "line 1"), ("selec 1", "42601"), ("select * from nowhere", "42P01")] + [
        ("select 1;\ncopy (select 1) to stdout", "line 2 needs a client"), ("listen x", "line 1 needs a client"),
    ]:
        run(keeper, refused)
        assert said in keeper.page.locator("#sql-error").inner_text(), refused


def test_what_a_statement_sets_does_not_meet_the_next(keeper):
    run(keeper, "set role anon; select current_user")
    run(keeper, "select current_user as me")
    assert keeper.page.locator("td").inner_text() == "postgres"
    run(keeper, "set role anon; select current_user", writes=True)
    run(keeper, "select current_user as me")
    assert keeper.page.locator("td").inner_text() == "postgres"


def test_a_statement_ends_in_time(keeper):
    run(keeper, "select pg_sleep(60)")
    assert "57014" in keeper.page.locator("#sql-error").inner_text()


def test_files_are_browsed_downloaded_and_deleted(keeper, server):
    client = service(server)
    client.storage.create_bucket("papers")
    client.storage.from_("papers").upload("folder/page one.html", b"<script>1</script>", {"content-type": "text/html"})
    assert keeper.open("/admin/storage/nothing").status == 404
    assert "There is no such bucket." in keeper.alert()
    keeper.open("/admin/storage")
    keeper.page.get_by_role("link", name="papers").click()
    keeper.page.get_by_role("link", name="folder").click()
    with keeper.page.expect_download() as download:
        keeper.page.get_by_role("link", name="page").click()
    assert download.value.path().read_bytes() == b"<script>1</script>"
    keeper.page.get_by_role("button", name="Delete").click()
    assert keeper.status() == "The file is deleted."


def test_what_operators_do_is_in_the_log(keeper):
    run(keeper, "select 1")
    keeper.open("/admin/logs?text=sql.run")
    assert "operator action" in keeper.page.content()
    assert "select 1" not in keeper.page.locator("main").inner_text()


def test_the_isolation_check_runs_beside_and_holds(keeper, browser, server, ada):
    keeper.open("/admin/isolation")
    assert "Not run yet" in keeper.main.inner_text()
    keeper.page.get_by_role("button", name="Run the check").click()
    assert keeper.page.get_by_role("heading", name="The check is under way").is_visible()
    # Others are served meanwhile, and another operator finds the same run.
    assert ada.open("/dashboard").status == 200
    other = Visitor(browser, server)
    other.open("/admin/isolation")
    other.page.get_by_label("Secret key").fill(server.status["SERVICE_ROLE_KEY"])
    other.page.get_by_role("button", name="Sign in").click()
    assert other.page.get_by_role("button", name="Run the check").count() == 0
    # The page changes by itself.
    expect(keeper.page.locator(".notice.good")).to_contain_text("Nothing crossed", timeout=120_000)
    for channel in ("sql", "rest", "storage", "vectors", "console"):
        assert keeper.page.locator("details.channel summary", has_text=channel).count() == 1, channel
    keeper.page.locator("details.channel summary", has_text="rest").click()
    assert keeper.violations() == []
    keeper.keep("admin-isolation-report")
    assert not [user.email for user in service(server).auth.admin.list_users(per_page=1000) if "probe" in (user.email or "")]
    assert "Nothing crossed" in other.open("/admin/isolation").text()
    other.close()


def test_an_isolation_check_is_stopped(keeper):
    keeper.open("/admin/isolation")
    keeper.page.get_by_role("button", name="Run").click()
    keeper.page.get_by_role("button", name="Stop").click()
    expect(keeper.page.locator(".notice.bad")).to_contain_text("The check was stopped", timeout=60_000)
    assert keeper.page.get_by_role("button", name="Run it again").is_visible()
    assert keeper.open("/admin/advisors").status == 200


def test_leaving_ends_the_stay(keeper):
    keeper.page.get_by_role("button", name="Leave the administration").click()
    keeper.open("/admin")
    assert keeper.path.startswith("/admin/signin")


def edit(keeper, title):
    keeper.open(f"/admin/tables/public/notes?column=title&comparison=eq&value={title}")
    keeper.page.get_by_role("link", name="Edit 1").click()


def test_a_row_is_saved_as_far_as_it_was_changed(keeper, server, alice):
    notes = service(server).table("notes")
    notes.insert({"title": "lines", "user_id": alice.id, "details": {"text": "a\r\nb"}}).execute()
    edit(keeper, "lines")
    # Somebody else changes another column while the page is open.
    notes.update({"done": True}).eq("title", "lines").execute()
    keeper.page.locator("[id='value.title']").fill("lines of mine")
    keeper.page.get_by_role("button", name="Save").click()
    assert keeper.status() == "The row is saved."
    stored = notes.select("*").eq("title", "lines of mine").execute().data
    assert len(stored) == 1 and stored[0]["done"] is True


def test_line_breaks_of_untouched_columns_stay(keeper):
    run(keeper, "create table public.texts (id int primary key, a text, b text)", writes=True)
    run(keeper, r"insert into public.texts values (1, e'x\r\ny', 'b')", writes=True)
    keeper.open("/admin/tables/public/texts")
    keeper.page.get_by_role("link", name="Edit 1").click()
    keeper.page.locator("[id='value.b']").fill("c")
    keeper.page.get_by_role("button", name="Save").click()
    run(keeper, r"select a = e'x\r\ny', b from public.texts")
    assert keeper.page.locator("td").all_inner_texts() == ["t", "c"]
    run(keeper, "drop table public.texts", writes=True)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_value_typed_where_null_was_counts(browser, server, scripts):
    keeper = Visitor(browser, server, scripts=scripts)
    keeper.open("/admin/sql")
    keeper.page.get_by_label("Secret key").fill(server.status["SERVICE_ROLE_KEY"])
    keeper.page.get_by_role("button", name="Sign in").click()
    run(keeper, "create table public.nullable (id int primary key, a text, b text default 'd')", writes=True)
    keeper.open("/admin/tables/public/nullable/row")
    keeper.page.locator("[id='value.id']").fill("1")
    keeper.page.locator("[id='value.a']").fill("typed")
    keeper.page.get_by_role("button", name="Save").click()
    run(keeper, "update public.nullable set b = null", writes=True)
    keeper.open("/admin/tables/public/nullable/row?key.id=1")
    assert keeper.page.locator("[id='value.a']").input_value() == "typed"
    keeper.page.locator("[id='value.b']").fill("now")
    assert keeper.page.locator("[id='null.b']").is_checked() is not scripts
    keeper.page.locator("[id='null.a']").check()
    keeper.page.get_by_role("button", name="Save").click()
    run(keeper, "select a, b from public.nullable")
    assert keeper.page.locator("td").all_inner_texts() == ["NULL", "now"]
    # Refused, the form holds what was typed.
    keeper.open("/admin/tables/public/nullable/row")
    keeper.page.locator("[id='value.id']").fill("1")
    keeper.page.locator("[id='value.a']").fill("kept")
    keeper.page.get_by_role("button", name="Save").click()
    assert "duplicate key" in keeper.alert()
    assert keeper.page.locator("[id='value.a']").input_value() == "kept"
    run(keeper, "drop table public.nullable", writes=True)
    keeper.close()


def test_rows_of_one_value_stand_on_one_page_each(keeper):
    many = "select n, n % 2 = 0, md5(n::text) from generate_series(1, 3000) as n"
    run(keeper, f"create table public.pages (id int primary key, even boolean, t text); insert into public.pages {many}", writes=True)
    seen = []
    for page in range(1, 7):
        keeper.open(f"/admin/tables/public/pages?order=even&page={page}")
        seen += keeper.page.locator("tbody tr td:nth-child(2)").all_inner_texts()
    run(keeper, "drop table public.pages", writes=True)
    assert len(seen) == 300 and len(set(seen)) == 300
