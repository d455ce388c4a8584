// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import MailCatcher
import Primitives
import Synchronization
import TestSupport
import Testing

/// Mails that tell a user of what has happened to the account, read from the catcher.
@Suite struct NoticeTests {
    private static let all = AuthFixture.Messaging(notices: Set(AuthMailKind.allCases.filter(\.isNotice)))

    private static func flow(
        _ fixture: AuthFixture, _ provider: TestProvider, _ bearer: String
    ) async throws -> ExternalFlow {
        try await ExternalFlow(
            fixture, provider, "provider=google&skip_http_redirect=true&\(ExternalFlow.challenge)",
            path: "/user/identities/authorize", bearer: bearer)
    }

    @Test func nobodyIsToldWhereNoNoticeIsOn() async throws {
        try await TestProvider.run { auth, provider in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            _ = try await Self.flow(auth, provider, bearer).session()
            for body in [#"{"password":"a new password"}"#, #"{"email":"countess@example.com"}"#] {
                #expect(try await auth.request("PUT", "/user", body, bearer: bearer).status == 200)
            }
            try await auth.settleMail()
            #expect(auth.mails.all.isEmpty)
        }
    }

    @Test func aChangedPasswordIsTold() async throws {
        try await AuthFixture.run(messaging: Self.all) { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            let weak = try await auth.request("PUT", "/user", #"{"password":"no"}"#, bearer: bearer)
            #expect(weak.status == 422)
            #expect(
                try await auth.request("PUT", "/user", #"{"password":"a new password"}"#, bearer: bearer).status == 200)
            let mail = try await auth.mail(to: "ada@example.com")
            #expect(mail.content.subject == "Your password was changed")
            #expect(mail.content.text.contains("ada@example.com"))
            try await auth.settleMail()
            #expect(auth.mails.all.count == 1)
        }
    }

    /// The former address is told, which is the one a thief does not read.
    @Test func changesOfAddressAndNumberAreToldToTheAddressThatWas() async throws {
        try await AuthFixture.run(messaging: Self.all) {
            $0.flows.isPhoneEnabled = true
        } _: { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            #expect(
                try await auth.request("PUT", "/user", #"{"phone":"+4366012345678"}"#, bearer: bearer).status == 200)
            try await eventually("both mails are there") { auth.mails.all.count == 2 }
            let subjects = Set(auth.mails.all.map(\.content.subject))
            #expect(subjects == ["Your phone number was changed", "A sign-in method was added"])
            #expect(auth.mails.all.contains { $0.content.text.contains("to 4366012345678") })
            #expect(auth.mails.all.contains { $0.content.text.contains("phone can now be used to sign in") })
            #expect(
                try await auth.request("PUT", "/user", #"{"email":"countess@example.com"}"#, bearer: bearer).status
                    == 200)
            let mail = try await auth.mail(to: "ada@example.com", after: 2)
            #expect(mail.content.subject == "Your email address was changed")
            #expect(mail.content.text.contains("from ada@example.com to countess@example.com"))
            try await auth.settleMail()
            #expect(auth.mails.all.allSatisfy { $0.recipients == ["ada@example.com"] })
        }
    }

    @Test func identitiesThatComeAndGoAreTold() async throws {
        try await TestProvider.run(messaging: Self.all) { auth, provider in
            let bearer = try await auth.signUp("berta@example.com").member("access_token")
            let linked = try await Self.flow(auth, provider, bearer).session()
            let first = try await auth.mail(to: "berta@example.com")
            #expect(first.content.subject == "A sign-in method was added")
            #expect(first.content.text.contains("google can now be used"))
            // One that is there already is none that came.
            #expect(try await Self.flow(auth, provider, bearer).back().redirectedError == "identity_already_exists")
            let identities = try #require(linked.json["user"]?["identities"]?.arrayValue)
            let email = try #require(identities.first { $0["provider"] == "email" }?["identity_id"]?.stringValue)
            #expect(try await auth.request("DELETE", "/user/identities/\(email)", bearer: bearer).status == 200)
            // The account's address went with the identity; whoever reads it is told all the same.
            let second = try await auth.mail(to: "berta@example.com", after: 1)
            #expect(second.content.subject == "A sign-in method was removed")
            #expect(second.content.text.contains("email can no longer be used"))
            try await auth.settleMail()
            #expect(auth.mails.all.count == 2)
        }
    }

    @Test func anIdentityThatJoinsByItsAddressIsToldAndANewAccountIsNot() async throws {
        try await TestProvider.run(messaging: Self.all) { auth, provider in
            provider.state.withLock { $0.claims = ["sub": "subject-2", "email": "new@example.com"] }
            _ = try await ExternalFlow(auth, provider).session()
            _ = try await ExternalFlow(auth, provider).session()
            provider.state.withLock { $0.claims = [:] }
            _ = try await auth.signUp("anna@example.com")
            _ = try await ExternalFlow(auth, provider).session()
            #expect(try await auth.mail(to: "anna@example.com").content.subject == "A sign-in method was added")
            try await auth.settleMail()
            #expect(auth.mails.all.count == 1)
        }
    }

    @Test func provedFactorsThatComeAndGoAreTold() async throws {
        try await AuthFixture.run(messaging: Self.all) {
            $0.factors.totp.canEnroll = true
            $0.factors.totp.canVerify = true
        } _: { auth in
            var bearer = try await auth.signUp("ada@example.com").member("access_token")
            // One that was never proved is no factor.
            let tried = try await auth.request("POST", "/factors", #"{"factor_type":"totp"}"#, bearer: bearer)
            #expect(
                try await auth.request("DELETE", "/factors/\(try tried.member("id"))", bearer: bearer).status == 200)
            let enrolled = try await auth.request("POST", "/factors", #"{"factor_type":"totp"}"#, bearer: bearer)
            let factor = try enrolled.member("id")
            let secret = try #require(enrolled.json["totp"]?["secret"]?.stringValue.flatMap { Base32.decode($0) })
            let totp = TOTP(secret: secret)
            func prove(_ offset: Int64) async throws -> TestHTTPResponse {
                let challenge = try await auth.request("POST", "/factors/\(factor)/challenge", bearer: bearer)
                let body: JSON = [
                    "challenge_id": challenge.json["id"] ?? .null,
                    "code": .string(totp.code(ofStep: totp.step(at: .now()) + offset)),
                ]
                return try await auth.request("POST", "/factors/\(factor)/verify", body.text, bearer: bearer)
            }
            bearer = try await prove(0).member("access_token")
            let added = try await auth.mail(to: "ada@example.com")
            #expect(added.content.subject == "A second factor was added")
            #expect(added.content.text.contains("(totp)"))
            #expect(try await prove(1).status == 200)
            #expect(try await auth.request("DELETE", "/factors/\(factor)", bearer: bearer).status == 200)
            let removed = try await auth.mail(to: "ada@example.com", after: 1)
            #expect(removed.content.subject == "A second factor was removed")
            try await auth.settleMail()
            #expect(auth.mails.all.count == 2)
        }
    }
}
