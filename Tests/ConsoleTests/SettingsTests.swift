// SPDX-License-Identifier: Apache-2.0
import HTTP
import Primitives
import Testing

@testable import Console

@Suite struct SettingsTests {
    private static let factor: JSON = [
        "id": "f-1", "factor_type": "totp", "status": "verified", "friendly_name": "Phone",
    ]
    private static let withFactor = HTTPResponse.json(["id": "u-1", "email": "a@b.c", "factors": [factor]])

    @Test func aSecondFactorIsAskedForBeforeAnyPageIsShown() async throws {
        let fixture = ConsoleFixture(["/auth/v1/user": Self.withFactor])
        let page = try await fixture.send(.get, "/settings?x=1", nil, ConsoleFixture.signedIn(["aal": "aal1"]))
        #expect(page.status == 303 && page.headers["location"] == "/auth/mfa?next=/settings%3Fx%3D1")
        let form = try await fixture.submit("/settings/keys", "service_name=openai&api_key=k", ["aal": "aal1"])
        #expect(form.status == 303 && form.headers["location"] == "/auth/mfa?next=/dashboard")
        #expect(fixture.calls.allSatisfy { $0.method == "GET" })
        let raised = try await fixture.send(.get, "/settings", nil, ConsoleFixture.signedIn(["aal": "aal2"]))
        #expect(raised.status == 200)
    }

    @Test func aCodeRaisesTheSession() async throws {
        let fixture = ConsoleFixture([
            "/auth/v1/user": Self.withFactor, "/auth/v1/factors/f-1/challenge": .json(["id": "c-1"]),
            "/auth/v1/factors/f-1/verify": .json(["access_token": "n.e.w", "refresh_token": "r2"]),
        ])
        let answer = try await fixture.submit("/auth/mfa", "factor=f-1&code=123+456&next=%2Fusage", ["aal": "aal1"])
        #expect(answer.status == 303 && answer.headers["location"] == "/usage")
        #expect(answer.headers.values("set-cookie").contains { $0.hasPrefix("atoll-access=n.e.w;") })
        let sent = fixture.calls.last?.body ?? ""
        #expect(sent.contains(#""challenge_id":"c-1""#) && sent.contains(#""code":"123456""#))
    }

    @Test func aWrongCodeIsToldBesideItsField() async throws {
        let fixture = ConsoleFixture([
            "/auth/v1/user": Self.withFactor, "/auth/v1/factors/f-1/challenge": .json(["id": "c-1"]),
            "/auth/v1/factors/f-1/verify": .json(
                ["error_code": "mfa_verification_failed", "msg": "Invalid"], status: 422),
        ])
        let answer = try await fixture.submit("/auth/mfa", "factor=f-1&code=000000", ["aal": "aal1"])
        #expect(answer.status == 422)
        #expect(answer.page.contains(#"<p id="code-error" class="error">The code is wrong, or was used before."#))
    }

    @Test func whatIsDeletedForGoodIsTypedFirst() async throws {
        let user = HTTPResponse.json(["id": "u-1", "email": "a@b.c"])
        let fixture = ConsoleFixture(["/auth/v1/user": user])
        let refused = try await fixture.submit("/settings/account/delete", "confirmation=b%40b.c&password=p")
        #expect(refused.status == 422 && refused.page.contains("id=\"confirmation-error\""))
        #expect(!fixture.calls.contains { $0.method == "DELETE" })
        let done = try await fixture.submit("/settings/account/delete", "confirmation=a%40b.c&password=p")
        #expect(done.status == 303 && done.headers["location"] == "/auth/signin?done=accountDeleted")
        #expect(done.headers.values("set-cookie").contains { $0.hasPrefix("atoll-refresh=; ") })
        #expect(fixture.calls.last?.method == "DELETE" && fixture.calls.last?.body == #"{"password":"p"}"#)
    }

    @Test func aPictureGoesToTheFolderOfThePersonAlone() async throws {
        let user = HTTPResponse.json(["id": "u-1", "email": "a@b.c"])
        let fixture = ConsoleFixture(["/auth/v1/user": user])
        let token = FormGuard(secret: Array("secret".utf8)).token(for: ConsoleFixture.seed)
        let signedIn = ConsoleFixture.signedIn()["cookie"] ?? ""
        let headers: HTTPHeaders = [
            "Cookie": "atoll-form=\(ConsoleFixture.seed); \(signedIn)",
            "Content-Type": "multipart/form-data; boundary=b",
        ]
        let refused = try await fixture.send(.post, "/settings/avatar?form_token=x", "--b--", headers)
        #expect(refused.status == 403)
        let answer = try await fixture.send(.post, "/settings/avatar?form_token=\(token)", "--b--", headers)
        #expect(answer.status == 303)
        let asked = fixture.calls
        let upload = asked.first { $0.method == "POST" }
        #expect(upload?.target == "/storage/v1/object/atoll-pictures/u-1/avatar" && upload?.body == "--b--")
        #expect(upload?.key == "key" && upload?.authorization?.hasPrefix("Bearer ") == true)
        #expect(asked.last?.body.contains("/avatar/u-1?v=") == true)
    }

    @Test(arguments: ["https://elsewhere/p.png", "/avatar/u-2", "//x", "javascript:x"])
    func noPictureIsLoadedFromElsewhere(_ address: String) async throws {
        let fixture = ConsoleFixture([
            "/auth/v1/user": .json(["id": "u-1", "email": "a@b.c"]),
            "/api/user/profile": .json(["profile": ["avatar_url": .string(address)]]),
        ])
        let page = try await fixture.send(.get, "/settings", nil, ConsoleFixture.signedIn()).page
        #expect(!page.contains(address) && page.contains("class=\"avatar large\""))
    }

    @Test func membersWithoutRightsSeeNoFormsForThem() async throws {
        func page(_ role: String) async throws -> String {
            try await ConsoleFixture([
                "/auth/v1/user": .json(["id": "u-1", "email": "a@b.c", "app_metadata": ["tenant_id": "t-1"]]),
                "/api/tenants": .json(["tenants": [["id": "t-1", "name": "Team", "role": .string(role)]]]),
                "/api/members": .json([
                    "members": [
                        ["user_id": "u-1", "email": "a@b.c", "role": .string(role)],
                        ["user_id": "u-2", "email": "b@b.c", "role": "member"],
                    ]
                ]),
            ]).send(.get, "/settings/members", nil, ConsoleFixture.signedIn()).page
        }
        #expect(try await page("admin").contains("action=\"/settings/invitations\""))
        #expect(try await page("admin").contains("action=\"/settings/members/remove\""))
        let plain = try await page("member")
        #expect(
            plain.contains("b@b.c") && !plain.contains("/settings/invitations") && !plain.contains("members/remove"))
    }

    @Test func agentsAreNamedAsPeopleDo() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
        #expect(UserAgent(firefox).phrase.text(in: .english) == "Firefox on Linux")
        let edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0"
        #expect(UserAgent(edge).phrase.text(in: .english) == "Edge on Windows")
        #expect(UserAgent("").phrase.text(in: .english) == "Unknown device")
    }
}

@Suite struct SetupPageTests {
    private func page(_ setup: JSON, _ path: String = "/setup/progress") async throws -> ConsoleFixture.Answer {
        try await ConsoleFixture(["/api/setup": .json(setup)]).send(.get, path, nil, ConsoleFixture.signedIn())
    }

    private static func run(_ status: String, _ steps: [JSON]) -> JSON {
        ["run_id": "r", "status": .string(status), "steps": .array(steps)]
    }

    @Test func aRunThatWasBegunIsShownInPlaceOfTheFirstStage() async throws {
        for status in ["running", "failed", "interrupted"] {
            let answer = try await page(Self.run(status, []), "/setup")
            #expect(answer.status == 303 && answer.headers["location"] == "/setup/progress", "\(status)")
        }
        #expect(try await page(Self.run("not_started", []), "/setup").status == 200)
    }

    @Test func progressGoesOnWithAndWithoutScripts() async throws {
        let running = try await page(Self.run("running", [["name": "schema", "status": "running", "attempts": 1]])).page
        #expect(running.contains(#"<noscript><meta http-equiv="refresh" content="2"></noscript>"#))
        #expect(running.contains("data-follow=\"/setup/events\""))
        let done = try await page(Self.run("completed", [["name": "schema", "status": "completed"]])).page
        #expect(!done.contains("http-equiv") && !done.contains("data-follow"))
    }

    @Test func aFailedStepSaysWhyAndTakesOtherKeys() async throws {
        let failed = try await page(
            Self.run(
                "failed",
                [
                    [
                        "name": "api_keys", "status": "failed", "attempts": 2, "error": "openai: <refused>",
                        "detail": ["refused": ["openai"]],
                    ]
                ])
        ).page
        #expect(failed.contains("openai: &lt;refused&gt;") && failed.contains("2 attempts"))
        #expect(failed.contains("name=\"key.openai\"") && failed.contains("value=\"api_keys\""))
    }

    @Test func keysGoWithTheStartOrAreLeftOut() async throws {
        let fixture = ConsoleFixture(["/api/setup": .json(["status": "running"], status: 202)])
        let started = try await fixture.submit("/setup/start", "key.openai=sk-1&key.heygen=")
        #expect(started.status == 303 && started.headers["location"] == "/setup/progress")
        #expect(fixture.calls.last?.body == #"{"keys":{"openai":"sk-1"}}"#)
        _ = try await fixture.submit("/setup/start", "key.openai=sk-1&skip=api_keys")
        #expect(fixture.calls.last?.body == #"{"skip":["api_keys"]}"#)
    }
}

@Suite struct ChartTests {
    @Test(arguments: [(0, 5), (4, 5), (5, 5), (6, 10), (11, 20), (21, 50), (51, 100), (999, 1000), (1001, 2000)])
    func scalesEndAtRoundNumbers(_ highest: Int, _ end: Int) { #expect(ColumnChart.scaleEnd(highest) == end) }

    @Test func columnsAreStackedAndNamed() {
        let chart = ColumnChart(
            series: ["a", "<b>"],
            columns: [.init(day: "2026-11-21", values: [3, 1]), .init(day: "2026-11-22", values: [0, 0])])
        let html = chart.markup.html(in: .english)
        #expect(html.ranges(of: "<rect").count == 2)
        #expect(html.contains("2026-11-21 · &lt;b&gt;: 1"))
    }

    @Test func numbersAreWrittenForPeople() {
        #expect(Components.bytes(0) == "0 B")
        #expect(Components.bytes(1536) == "1.5 KiB")
        #expect(Components.bytes(5 << 30) == "5 GiB")
        #expect(Components.grouped(1_234_567) == "1\u{202F}234\u{202F}567")
        #expect(Usage.shown(123_405, .cost) == "$1\u{202F}234.05")
    }
}
