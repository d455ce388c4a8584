// SPDX-License-Identifier: Apache-2.0
import HTTP
import Primitives
import Testing

@testable import Console

@Suite struct OperatorTests {
    private static let paths =
        AdminSection.allCases.map(\.path) + [
            "/admin/users/u-1", "/admin/tables/public/notes", "/admin/tables/public/notes/row", "/admin/storage/b",
            "/admin/storage/b/file", "/admin/vectors/1",
        ]
    private static let forms = [
        "/admin/sql", "/admin/isolation", "/admin/isolation/stop", "/admin/users/u-1/ban", "/admin/users/u-1/delete",
        "/admin/users/u-1/link",
        "/admin/users/u-1/appoint", "/admin/tenants/t-1/plan", "/admin/tenants/t-1/suspend",
        "/admin/tables/public/notes/row", "/admin/tables/public/notes/row/delete", "/admin/storage/b/delete",
    ]

    private static func user(_ members: JSONObject = [:]) -> HTTPResponse {
        var user: JSONObject = ["id": "u-1", "email": "a@b.c"]
        for (name, value) in members { user[name] = value }
        return .json(.object(user))
    }

    @Test(arguments: paths) func nobodyElseComesIn(_ path: String) async throws {
        let fixture = ConsoleFixture(
            ["/auth/v1/user": Self.user(["user_metadata": ["role": "operator"]])], isAdministered: true)
        let visitor = try await fixture.send(.get, path)
        #expect(visitor.status == 303 && visitor.headers["location"] == "/admin/signin?next=\(path)")
        let plain = try await fixture.send(.get, path, nil, ConsoleFixture.signedIn())
        #expect(plain.status == 403 && !plain.page.contains("/admin/users"))
        #expect(fixture.calls.allSatisfy { $0.key == "key" })
    }

    @Test(arguments: forms) func nobodyElseSendsForms(_ path: String) async throws {
        let fixture = ConsoleFixture(["/auth/v1/user": Self.user()], isAdministered: true)
        #expect(try await fixture.submit(path, "sql=select+1").status == 403)
        #expect(fixture.calls.allSatisfy { $0.key == "key" && $0.method == "GET" })
    }

    @Test func thePagesAreNotThereWithoutAnAdministration() async throws {
        #expect(try await ConsoleFixture().send(.get, "/admin").status == 404)
    }

    @Test func anAppointedUserComesInWithBothFactorsAlone() async throws {
        let operatorUser = Self.user(["app_metadata": ["role": "operator"]])
        let fixture = ConsoleFixture(["/auth/v1/user": operatorUser], isAdministered: true)
        #expect(try await fixture.send(.get, "/admin/logs", nil, ConsoleFixture.signedIn()).status == 200)

        let guarded = Self.user([
            "app_metadata": ["role": "operator"],
            "factors": [["id": "f", "factor_type": "totp", "status": "verified"]],
        ])
        let other = ConsoleFixture(["/auth/v1/user": guarded], isAdministered: true)
        let first = try await other.send(.get, "/admin/logs", nil, ConsoleFixture.signedIn(["aal": "aal1"]))
        #expect(first.status == 303 && first.headers["location"] == "/auth/mfa?next=/admin/logs")
        #expect(try await other.send(.get, "/admin/logs", nil, ConsoleFixture.signedIn(["aal": "aal2"])).status == 200)
    }

    @Test func theSecretKeyOpensTheDoorForAnHour() async throws {
        let refused = HTTPResponse.json(["msg": "no"], status: .unauthorized)
        let wrong = try await ConsoleFixture(["/auth/v1/admin/users": refused], isAdministered: true).sendForm(
            "/admin/signin", "key=guess")
        #expect(wrong.status == 403 && wrong.page.contains("id=\"key-error\""))
        #expect(wrong.headers.values("set-cookie").allSatisfy { !$0.hasPrefix("atoll-operator=") })

        let fixture = ConsoleFixture(isAdministered: true)
        let right = try await fixture.sendForm("/admin/signin?next=/admin/logs", "key=the-key")
        #expect(right.status == 303 && right.headers["location"] == "/admin/logs")
        let cookie = try #require(right.headers.values("set-cookie").first { $0.hasPrefix("atoll-operator=") })
        #expect(cookie.contains("; Path=/admin; HttpOnly; SameSite=Lax; Max-Age=3600") && !cookie.contains("the-key"))
        let pair = String(cookie.prefix { $0 != ";" })

        let seed = "atoll-form=\(ConsoleFixture.seed)"
        #expect(try await fixture.send(.get, "/admin/logs", nil, ["Cookie": "\(seed); \(pair)"]).status == 200)
        // In another browser, and without the browser's own cookie, it is of no use.
        let other = "atoll-form=\(String(repeating: "cd", count: 16))"
        #expect(try await fixture.send(.get, "/admin/logs", nil, ["Cookie": "\(other); \(pair)"]).status == 303)
        #expect(try await fixture.send(.get, "/admin/logs", nil, ["Cookie": pair]).status == 303)
    }

    @Test func cookiesEndAndCannotBeMade() throws {
        let gate = OperatorGate(secret: Array("secret".utf8))
        let made = Timestamp(unixSeconds: 1_000_000)
        let value = gate.cookie(for: ConsoleFixture.seed, now: made).value
        let parts = value.split(separator: ".")
        #expect(parts.first == "1003600" && parts.count == 2)
        let later = gate.cookie(for: ConsoleFixture.seed, now: Timestamp(unixSeconds: 1_000_001)).value
        #expect(later.split(separator: ".").last != parts.last)
        let otherProject = OperatorGate(secret: Array("other".utf8)).cookie(for: ConsoleFixture.seed, now: made).value
        #expect(otherProject != value)
    }

    @Test func afterSigningInNobodyIsSentOutOfTheAdministration() async throws {
        let answer = try await ConsoleFixture(isAdministered: true).sendForm(
            "/admin/signin?next=https%3A%2F%2Fevil", "key=the-key")
        #expect(answer.headers["location"] == "/admin")
    }
}
