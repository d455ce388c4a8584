// SPDX-License-Identifier: Apache-2.0
import Auth
import Cryptography
import MailCatcher
import Primitives
import TestSupport
import Testing

/// Confirmation, magic links, codes, recovery: what a mail sets going, on a real database, with mail read from the catcher.
@Suite struct MailFlowTests {
    static let site = "http://127.0.0.1:3000"

    private static func confirming(_ configuration: inout AuthConfiguration) {
        configuration.areEmailConfirmationsEnabled = true
    }

    private static func post(
        _ auth: AuthFixture, _ path: String, _ body: JSON, bearer: String? = nil
    ) async throws -> TestHTTPResponse {
        try await auth.request("POST", path, body.text, bearer: bearer)
    }

    private static func verify(
        _ auth: AuthFixture, _ type: String, _ code: String, _ email: String
    ) async throws -> TestHTTPResponse {
        try await post(
            auth, "/verify", ["type": .string(type), "token": .string(code), "email": .string(email)])
    }

    private static func query(_ location: String) -> [String: String] {
        fields(location.split(separator: "#")[0].split(separator: "?").dropFirst().joined())
    }

    private static func fragment(_ location: String) -> [String: String] {
        fields(location.split(separator: "#", maxSplits: 1).dropFirst().joined())
    }

    private static func fields(_ text: String) -> [String: String] {
        var fields: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            fields[String(parts[0])] = parts.count == 2 ? String(parts[1]) : ""
        }
        return fields
    }

    // MARK: Refusals

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var path: String
        var body: JSON
        var status: Int
        var code: String

        init(_ description: String, _ path: String, _ body: JSON, _ status: Int, _ code: String) {
            testDescription = description
            self.path = path
            self.body = body
            self.status = status
            self.code = code
        }
    }

    static let refusals = [
        Refusal("otp without an address", "/otp", [:], 400, "validation_failed"),
        Refusal("otp with two", "/otp", ["email": "a@b.c", "phone": "4366012345678"], 400, "validation_failed"),
        Refusal("otp to no address", "/otp", ["email": "a@b\r\nBcc: c@d.e"], 400, "validation_failed"),
        Refusal("otp by phone while it is off", "/otp", ["phone": "+4366012345678"], 422, "phone_provider_disabled"),
        Refusal(
            "otp for nobody", "/otp", ["email": "nobody@b.example", "create_user": false], 422, "otp_disabled"),
        Refusal(
            "otp with half a challenge", "/otp", ["email": "a@b.c", "code_challenge": "x"], 400, "validation_failed"),
        Refusal("recovery of no address", "/recover", ["email": "x"], 400, "validation_failed"),
        Refusal("resending nothing", "/resend", ["email": "a@b.c"], 400, "validation_failed"),
        Refusal(
            "resending a text message to a mail address", "/resend", ["type": "sms", "email": "a@b.c"], 400,
            "validation_failed"),
        Refusal("verifying nothing", "/verify", ["type": "signup"], 400, "validation_failed"),
        Refusal("an unknown type", "/verify", ["type": "x", "token": "1", "email": "a@b.c"], 400, "validation_failed"),
        Refusal(
            "a wrong code", "/verify", ["type": "email", "token": "000000", "email": "a@b.example"], 403, "otp_expired"),
        Refusal("an unknown link", "/verify", ["type": "signup", "token_hash": "abc"], 403, "otp_expired"),
        Refusal(
            "a link and an address", "/verify", ["type": "signup", "token_hash": "abc", "email": "a@b.c"], 400,
            "validation_failed"),
        Refusal("an invitation by nobody", "/invite", ["email": "a@b.example"], 401, "no_authorization"),
        Refusal(
            "a link for nobody", "/admin/generate_link", ["type": "magiclink", "email": "a@b.c"], 401,
            "no_authorization"),
    ]

    @Test func refusals() async throws {
        try await AuthFixture.run { auth in
            for refusal in Self.refusals {
                let answer = try await Self.post(auth, refusal.path, refusal.body)
                #expect(answer.status == refusal.status, "\(refusal.testDescription): \(answer.text)")
                #expect(answer.errorCode == refusal.code, "\(refusal.testDescription)")
            }
            #expect(try await auth.sql("select count(*) from auth.users") == "0")
            #expect(try await auth.sql("select count(*) from jobs.jobs") == "0")
        }
    }

    // MARK: Confirmation

    @Test func anAddressIsConfirmedByItsCodeOnce() async throws {
        try await AuthFixture.run(Self.confirming) { auth in
            let signedUp = try await auth.signUp("ann@example.com", data: ["name": "Ann"])
            #expect(signedUp.status == 200)
            #expect(signedUp.json["access_token"] == nil)
            #expect(signedUp.json["confirmation_sent_at"]?.stringValue != nil, "\(signedUp.text)")
            #expect(try await auth.signIn("ann@example.com").errorCode == "email_not_confirmed")
            let mail = try await auth.mail(to: "ann@example.com")
            #expect(mail.sender == "auth@test.example")
            #expect(mail.content.subject == "Confirm your email address")
            #expect(mail.code.count == 6)

            #expect(try await Self.verify(auth, "recovery", mail.code, "ann@example.com").errorCode == "otp_expired")
            #expect(try await Self.verify(auth, "signup", mail.code, "bob@example.com").errorCode == "otp_expired")
            let verified = try await Self.verify(auth, "signup", mail.code, "Ann@example.com")
            #expect(verified.status == 200, "\(verified.text)")
            #expect(try verified.member("access_token").isEmpty == false)
            #expect(verified.json["user"]?["email_confirmed_at"]?.stringValue != nil)
            #expect(verified.json["user"]?["user_metadata"]?["email_verified"] == true)
            #expect(verified.json["user"]?["identities"]?[0]?["identity_data"]?["email_verified"] == true)
            #expect(try await Self.verify(auth, "signup", mail.code, "ann@example.com").errorCode == "otp_expired")
            #expect(
                try await Self.post(auth, "/verify", ["type": "signup", "token_hash": .string(mail.token)]).errorCode
                    == "otp_expired")
            #expect(try await auth.signIn("ann@example.com").status == 200)
        }
    }

    @Test func aLinkSendsTheBrowserOnWithTokensOnce() async throws {
        try await AuthFixture.run(Self.confirming) { auth in
            _ = try await auth.signUp("ann@example.com")
            let mail = try await auth.mail(to: "ann@example.com")
            // As a browser follows it: without the key.
            let followed = try await auth.request("GET", mail.link, headers: ["apikey": ""])
            #expect(followed.status == 303, "\(followed.text)")
            let location = followed.headers["location"] ?? ""
            #expect(location.hasPrefix(Self.site + "#access_token="))
            let told = Self.fragment(location)
            #expect(told["type"] == "signup" && told["token_type"] == "bearer" && told["expires_in"] == "3600")
            #expect(told["sb"] == "")
            let user = try await auth.request("GET", "/user", bearer: told["access_token"])
            #expect(user.json["email"] == "ann@example.com")

            let again = try await auth.request("GET", mail.link, headers: ["apikey": ""])
            #expect(again.status == 303)
            let refused = Self.fragment(again.headers["location"] ?? "")
            #expect(refused["error"] == "access_denied" && refused["error_code"] == "otp_expired")
        }
    }

    @Test func openRedirectsAreRefused() async throws {
        try await AuthFixture.run {
            Self.confirming(&$0)
            $0.redirectPatterns = ["https://app.example.com/**"]
        } _: { auth in
            for (asked, target) in [
                ("https://evil.example/x", Self.site), ("https://app.example.com.evil.example/", Self.site),
                ("javascript:alert(1)", Self.site), ("//evil.example", Self.site),
                ("https://app.example.com/welcome?x=1", "https://app.example.com/welcome?x=1"),
            ] {
                let email = "user\(UInt32.random(in: 0 ... .max))@example.com"
                let body: JSON = ["email": .string(email), "password": "correct horse"]
                let path = "/signup?redirect_to=" + asked.split(separator: "&").joined(separator: "%26")
                _ = try await auth.request("POST", path, body.text)
                let mail = try await auth.mail(to: email)
                let followed = try await auth.request("GET", mail.link, headers: ["apikey": ""])
                #expect(followed.headers["location"]?.hasPrefix(target + "#") == true, "\(asked)")
                // The link itself may be changed by whoever holds it.
                let tampered = try await auth.request(
                    "GET", "/verify?token=x&type=signup&redirect_to=https://evil.example")
                #expect(tampered.headers["location"]?.hasPrefix(Self.site + "#error=") == true)
            }
        }
    }

    @Test func signingUpAgainTellsNothing() async throws {
        try await AuthFixture.run(Self.confirming) { auth in
            _ = try await auth.signUp("ann@example.com", password: "first password")
            _ = try await auth.mail(to: "ann@example.com")
            // Not confirmed yet: another mail, and the first password stays.
            let second = try await auth.signUp("ann@example.com", password: "second password")
            #expect(second.status == 200)
            let mail = try await auth.mail(to: "ann@example.com", after: 1)
            #expect(try await Self.verify(auth, "email", mail.code, "ann@example.com").status == 200)
            #expect(try await auth.signIn("ann@example.com", password: "first password").status == 200)
            // Confirmed: the same answer, and no mail.
            let third = try await auth.signUp("ann@example.com", password: "third password")
            let other = try await auth.signUp("new@example.com", password: "third password")
            #expect(third.status == other.status)
            #expect(third.json.objectValue?.names == other.json.objectValue?.names)
            try await auth.settleMail()
            #expect(auth.mails.all.count { $0.recipients == ["ann@example.com"] } == 2)
        }
    }

    @Test func aCodeIsExchangedWithPKCE() async throws {
        try await AuthFixture.run(Self.confirming) { auth in
            let verifier = String(repeating: "v", count: 50)
            let challenge = String(repeating: "v", count: 50)
            let body: JSON = [
                "email": "ann@example.com", "password": "correct horse", "code_challenge": .string(challenge),
                "code_challenge_method": "plain",
            ]
            _ = try await Self.post(auth, "/signup", body)
            let mail = try await auth.mail(to: "ann@example.com")
            #expect(mail.token.hasPrefix("pkce_"))
            let followed = try await auth.request("GET", mail.link, headers: ["apikey": ""])
            let code = Self.query(followed.headers["location"] ?? "")["code"] ?? ""
            #expect(!code.isEmpty, "\(followed.headers)")
            #expect(followed.headers["location"]?.contains("access_token") == false)
            let session = try await auth.request(
                "POST", "/token?grant_type=pkce",
                JSON.object(["auth_code": .string(code), "code_verifier": .string(verifier)]).text)
            #expect(session.status == 200, "\(session.text)")
            #expect(session.json["user"]?["email"] == "ann@example.com")
            // An error of such a link stands in the query, too.
            let again = try await auth.request("GET", mail.link, headers: ["apikey": ""])
            #expect(Self.query(again.headers["location"] ?? "")["error_code"] == "otp_expired")
        }
    }

    @Test func oneOfManyConcurrentUsesOfALinkWins() async throws {
        try await AuthFixture.run(Self.confirming) { auth in
            _ = try await auth.signUp("ann@example.com")
            let mail = try await auth.mail(to: "ann@example.com")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let body: JSON =
                            number % 2 == 0
                            ? ["type": "signup", "token_hash": .string(mail.token)]
                            : ["type": "email", "token": .string(mail.code), "email": "ann@example.com"]
                        return try await auth.request("POST", "/verify", body.text).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 200 } == 1, "\(statuses)")
            #expect(statuses.allSatisfy { $0 == 200 || $0 == 403 }, "\(statuses)")
            #expect(try await auth.sql("select count(*) from auth.sessions") == "1")
        }
    }

    // MARK: What the database holds

    @Test func codesAndLinksAreKeptAsDigestsAndMailUnderSeal() async throws {
        try await AuthFixture.run(Self.confirming) { auth in
            _ = try await auth.signUp("ann@example.com")
            let mail = try await auth.mail(to: "ann@example.com")
            let everything = try await auth.sql(
                """
                select concat((select json_agg(t) from auth.one_time_tokens as t), (select json_agg(u) from auth.users as u),
                    (select json_agg(a) from auth.audit_log_entries as a), (select json_agg(j) from jobs.jobs as j))
                """)
            #expect(!everything.contains(mail.token))
            #expect(!everything.contains("\"\(mail.code)\""))
            #expect(everything.contains("confirmation_token"))
        }
    }

    @Test func wrongCodesAreCountedUntilTheRightOneIsVoid() async throws {
        try await AuthFixture.run {
            Self.confirming(&$0)
            $0.flows.maxCodeAttempts = 3
        } _: { auth in
            _ = try await auth.signUp("ann@example.com")
            let mail = try await auth.mail(to: "ann@example.com")
            let wrong = mail.code == "000000" ? "111111" : "000000"
            for _ in 0..<3 {
                #expect(try await Self.verify(auth, "signup", wrong, "ann@example.com").errorCode == "otp_expired")
            }
            #expect(try await Self.verify(auth, "signup", mail.code, "ann@example.com").errorCode == "otp_expired")
            // Another one works.
            _ = try await Self.post(auth, "/resend", ["type": "signup", "email": "ann@example.com"])
            let second = try await auth.mail(to: "ann@example.com", after: 1)
            #expect(try await Self.verify(auth, "signup", second.code, "ann@example.com").status == 200)
        }
    }

    @Test func anExpiredTokenIsRefused() async throws {
        try await AuthFixture.run(Self.confirming) { auth in
            _ = try await auth.signUp("ann@example.com")
            let mail = try await auth.mail(to: "ann@example.com")
            try await auth.sql("update auth.one_time_tokens set issued_at = now() - interval '3601 seconds'")
            #expect(try await Self.verify(auth, "signup", mail.code, "ann@example.com").errorCode == "otp_expired")
            let followed = try await auth.request("GET", mail.link, headers: ["apikey": ""])
            #expect(Self.fragment(followed.headers["location"] ?? "")["error_code"] == "otp_expired")
        }
    }

    // MARK: Magic links and recovery

    @Test func aMagicLinkMakesAnAccountAndSignsIn() async throws {
        try await AuthFixture.run { auth in
            let sent = try await Self.post(auth, "/otp", ["email": "ann@example.com", "data": ["plan": "pro"]])
            #expect(sent.status == 200 && sent.text == "{}")
            let mail = try await auth.mail(to: "ann@example.com")
            #expect(mail.content.subject == "Your sign-in link")
            #expect(try await auth.sql("select email_confirmed_at is null from auth.users") == "t")
            let verified = try await Self.verify(auth, "email", mail.code, "ann@example.com")
            #expect(verified.status == 200, "\(verified.text)")
            #expect(verified.json["user"]?["user_metadata"]?["plan"] == "pro")
            #expect(try auth.claims(of: verified)["amr"]?[0]?["method"] == "otp")
            // Again, for an account that is there.
            _ = try await Self.post(auth, "/magiclink", ["email": "ann@example.com"])
            let second = try await auth.mail(to: "ann@example.com", after: 1)
            let followed = try await auth.request("GET", second.link, headers: ["apikey": ""])
            #expect(Self.fragment(followed.headers["location"] ?? "")["type"] == "magiclink")
            #expect(try await auth.sql("select count(*) from auth.users") == "1")
        }
    }

    @Test func aNewCodeReplacesTheOneBefore() async throws {
        try await AuthFixture.run { auth in
            _ = try await Self.post(auth, "/otp", ["email": "ann@example.com"])
            let first = try await auth.mail(to: "ann@example.com")
            _ = try await Self.post(auth, "/otp", ["email": "ann@example.com"])
            let second = try await auth.mail(to: "ann@example.com", after: 1)
            if first.code != second.code {
                #expect(try await Self.verify(auth, "email", first.code, "ann@example.com").errorCode == "otp_expired")
            }
            #expect(
                try await Self.post(auth, "/verify", ["type": "magiclink", "token_hash": .string(first.token)])
                    .errorCode
                    == "otp_expired")
            #expect(try await Self.verify(auth, "magiclink", second.code, "ann@example.com").status == 200)
        }
    }

    @Test func recoveryIsAnsweredAlikeForEverybody() async throws {
        try await AuthFixture.run { auth in
            _ = try await auth.signUp("ann@example.com")
            let known = try await Self.post(auth, "/recover", ["email": "ann@example.com"])
            let unknown = try await Self.post(auth, "/recover", ["email": "nobody@example.com"])
            #expect(known.status == 200 && known.text == unknown.text)
            #expect(known.status == unknown.status)
            let mail = try await auth.mail(to: "ann@example.com")
            #expect(mail.content.subject == "Reset your password")
            let followed = try await auth.request("GET", mail.link, headers: ["apikey": ""])
            let told = Self.fragment(followed.headers["location"] ?? "")
            #expect(told["type"] == "recovery")
            let changed = try await auth.request(
                "PUT", "/user", JSON.object(["password": "a new password"]).text, bearer: told["access_token"])
            #expect(changed.status == 200, "\(changed.text)")
            #expect(try await auth.signIn("ann@example.com", password: "a new password").status == 200)
            #expect(try await auth.signIn("ann@example.com").errorCode == "invalid_credentials")
            try await auth.settleMail()
            #expect(!auth.mails.all.contains { $0.recipients == ["nobody@example.com"] })
        }
    }

    @Test func thePauseIsTheSameForKnownAndUnknownAddresses() async throws {
        try await AuthFixture.run {
            $0.flows.emailPause = .seconds(60)
        } _: { auth in
            _ = try await auth.signUp("ann@example.com")
            for email in ["ann@example.com", "nobody@example.com"] {
                for path in ["/recover", "/resend"] {
                    let body: JSON = ["email": .string(email), "type": "signup"]
                    #expect(try await Self.post(auth, path, body).status == 200)
                    let second = try await Self.post(auth, path, body)
                    #expect(
                        second.status == 429 && second.errorCode == "over_email_send_rate_limit", "\(email) \(path)")
                    #expect(second.headers["retry-after"] == "60")
                }
            }
        }
    }

    @Test func answersTakeAsLongForKnownAndUnknownAddresses() async throws {
        try await AuthFixture.run {
            Self.confirming(&$0)
            $0.flows.uniformResponseTime = .milliseconds(400)
        } _: { auth in
            _ = try await auth.signUp("ann@example.com")
            let paths: [(String, JSON)] = [
                ("/recover", [:]), ("/resend", ["type": "signup"]), ("/otp", [:]),
                ("/signup", ["password": "correct horse"]),
            ]
            for (path, extra) in paths {
                for email in ["ann@example.com", "nobody\(path.dropFirst())@example.com"] {
                    var body = extra.objectValue ?? [:]
                    body["email"] = .string(email)
                    let start = ContinuousClock.now
                    #expect(try await Self.post(auth, path, .object(body)).status == 200)
                    let elapsed = ContinuousClock.now - start
                    let round = Int(elapsed / .milliseconds(400))
                    let rest = elapsed - .milliseconds(400) * round
                    #expect(round >= 1 && rest < .milliseconds(200), "\(path) \(email): \(elapsed)")
                }
            }
        }
    }

    // MARK: Administrators' links

    @Test func invitesAndLinksOfAdministrators() async throws {
        try await AuthFixture.run { auth in
            let invited = try await auth.administer("POST", "/invite", ["email": "ann@example.com", "data": ["a": 1]])
            #expect(invited.status == 200, "\(invited.text)")
            #expect(invited.json["invited_at"]?.stringValue != nil)
            let mail = try await auth.mail(to: "ann@example.com")
            #expect(mail.content.subject == "You have been invited")
            let followed = try await auth.request("GET", mail.link, headers: ["apikey": ""])
            #expect(Self.fragment(followed.headers["location"] ?? "")["type"] == "invite")
            #expect(
                try await auth.administer("POST", "/invite", ["email": "ann@example.com"]).errorCode == "email_exists")

            for type in ["magiclink", "recovery"] {
                let made = try await auth.administer(
                    "POST", "/admin/generate_link", ["type": .string(type), "email": "ann@example.com"])
                #expect(made.status == 200, "\(made.text)")
                #expect(made.json["verification_type"] == .string(type))
                let hash = try made.member("hashed_token")
                #expect(try made.member("action_link").contains(hash))
                let verified = try await Self.post(
                    auth, "/verify", ["type": .string(type), "token_hash": .string(hash)])
                #expect(verified.status == 200, "\(type): \(verified.text)")
            }
            let signup = try await auth.administer(
                "POST", "/admin/generate_link",
                ["type": "signup", "email": "bob@example.com", "password": "correct horse"])
            #expect(
                try await Self.verify(auth, "signup", try signup.member("email_otp"), "bob@example.com").status == 200)
            #expect(
                try await auth.administer(
                    "POST", "/admin/generate_link", ["type": "recovery", "email": "nobody@example.com"]
                ).errorCode == "user_not_found")
            try await auth.settleMail()
            #expect(auth.mails.all.count == 1)
        }
    }
}
