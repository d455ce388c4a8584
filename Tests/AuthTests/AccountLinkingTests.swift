// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import HTTP
import MailCatcher
import Primitives
import Synchronization
import TestSupport
import Testing

/// Which account an external identity signs in to.
@Suite struct AccountLinkingTests {
    @Test func anAddressThatIsNotVerifiedOpensNobodysAccount() async throws {
        try await TestProvider.run { fixture, provider in
            let victim = try await fixture.signUp("anna@example.com")
            for verified: JSON in [false, .null, "no", 1] {
                provider.state.withLock { $0.claims = ["email_verified": verified] }
                let response = try await ExternalFlow(fixture, provider).back()
                #expect(response.redirectedError == "provider_email_needs_verification")
            }
            let identities = try await fixture.sql("select string_agg(provider, ',') from auth.identities")
            #expect(identities == "email")
            #expect(victim.status == 200)
            let signedIn = try await fixture.signIn("anna@example.com")
            #expect(signedIn.status == 200)
        }
    }

    /// The mail proves what the provider does not: until its link was followed nobody is signed in.
    @Test func anAddressThatIsNotVerifiedIsConfirmedByMailWhereAddressesAre() async throws {
        try await TestProvider.run { configuration, _ in
            configuration.areEmailConfirmationsEnabled = true
        } _: { fixture, provider in
            provider.state.withLock { $0.claims = ["email_verified": false] }
            let target = "provider=google&redirect_to=https%3A%2F%2Fapp.example.com%2Fin&" + ExternalFlow.challenge
            let response = try await ExternalFlow(fixture, provider, target).back()
            #expect(response.redirectedError == "provider_email_needs_verification")
            let told = ExternalFlow.fragment(response.headers["location"] ?? "").first("error_description")
            #expect(told?.contains("A confirmation email has been sent") == true)
            #expect(try await fixture.sql("select count(*) from auth.users where email_confirmed_at is null") == "1")
            #expect(try await fixture.sql("select count(*) from auth.sessions") == "0")
            let mail = try await fixture.mail(to: "anna@example.com")
            // Again, before it is confirmed: another mail, no second account, no session.
            let again = try await ExternalFlow(fixture, provider, target).back()
            #expect(again.redirectedError == "provider_email_needs_verification")
            let newest = try await fixture.mail(to: "anna@example.com", after: 1)
            let stale = try await fixture.request("GET", mail.link, headers: ["apikey": ""])
            #expect(stale.redirectedError == "otp_expired")
            let confirmed = try await fixture.request("GET", newest.link, headers: ["apikey": ""])
            let page = try #require(confirmed.headers["location"])
            #expect(page.hasPrefix("https://app.example.com/in#"), "\(page)")
            #expect(ExternalFlow.fragment(page).first("access_token") != nil)
            let session = try await ExternalFlow(fixture, provider).session()
            #expect(session.status == 200, "\(session.text)")
            #expect(session.json["user"]?["email_confirmed_at"]?.stringValue != nil)
            #expect(try await fixture.sql("select count(*) from auth.users") == "1")
        }
    }

    /// A sign-in with an address that somebody else has proved tells nobody of it by mail and makes nothing.
    @Test func anAddressThatIsSomebodyElsesIsRefusedWithoutAMail() async throws {
        try await TestProvider.run { configuration, _ in
            configuration.areEmailConfirmationsEnabled = true
        } _: { fixture, provider in
            _ = try await fixture.signUp("anna@example.com")
            _ = try await fixture.mail(to: "anna@example.com")
            provider.state.withLock { $0.claims = ["email_verified": false] }
            let response = try await ExternalFlow(fixture, provider).back()
            #expect(response.redirectedError == "provider_email_needs_verification")
            try await fixture.settleMail()
            #expect(fixture.mails.all.count == 1)
            #expect(try await fixture.sql("select count(*) from auth.identities") == "1")
        }
    }

    // MARK: Invitations

    private static func invitation(_ fixture: AuthFixture, _ email: String = "anna@example.com") async throws -> String
    {
        let invited = try await fixture.administer("POST", "/invite", ["email": .string(email)])
        #expect(invited.status == 200, "\(invited.text)")
        return try await fixture.mail(to: email).token
    }

    @Test func theTokenOfAnInvitationsMailIsAcceptedByAProvider() async throws {
        try await TestProvider.run { fixture, provider in
            let token = try await Self.invitation(fixture)
            let query = "provider=google&invite_token=\(token)&" + ExternalFlow.challenge
            let flow = try await ExternalFlow(fixture, provider, query)
            // What is stored opens nothing.
            #expect(
                try await fixture.sql("select count(*) from auth.flow_state where invite_token = '\(token)'") == "0")
            let session = try await flow.session()
            #expect(session.status == 200, "\(session.text)")
            #expect(session.json["user"]?["invited_at"]?.stringValue != nil)
            #expect(session.json["user"]?["app_metadata"]?["providers"] == ["email", "google"])
            // Once: neither the provider nor the mail's link takes it again.
            let twice = try await fixture.request(
                "GET", "/authorize?\(query)", headers: ["host": "auth.test", "apikey": ""])
            #expect((twice.status, twice.errorCode) == (404, "user_not_found"))
            let link = try await fixture.request("GET", "/verify?type=invite&token=\(token)", headers: ["apikey": ""])
            #expect(link.redirectedError == "otp_expired")
        }
    }

    @Test func anInvitationIsForItsAddressAndForAWhile() async throws {
        try await TestProvider.run { fixture, provider in
            let token = try await Self.invitation(fixture, "berta@example.com")
            let query = "provider=google&invite_token=\(token)&" + ExternalFlow.challenge
            let other = try await ExternalFlow(fixture, provider, query).back()
            #expect(other.redirectedError == "validation_failed")
            #expect(try await fixture.sql("select count(*) from auth.identities where provider = 'google'") == "0")
            provider.state.withLock { $0.claims = ["email": "berta@example.com"] }
            let late = try await ExternalFlow(fixture, provider, query)
            try await fixture.sql("update auth.one_time_tokens set issued_at = now() - interval '2 days'")
            #expect(try await late.back().redirectedError == "user_not_found")
        }
    }

    @Test func aProvedAddressLinksToTheAccountThatHasProvedIt() async throws {
        try await TestProvider.run { fixture, provider in
            let signedUp = try await fixture.signUp("anna@example.com")
            // As a link in a mail leaves it.
            try await fixture.sql("update auth.users set confirmation_sent_at = now()")
            let session = try await ExternalFlow(fixture, provider).session()
            let user = try #require(session.json["user"])
            #expect(user["id"] == signedUp.json["user"]?["id"])
            #expect(user["app_metadata"]?["provider"] == "email")
            #expect(user["app_metadata"]?["providers"] == ["email", "google"])
            let byPassword = try await fixture.signIn("anna@example.com")
            #expect(byPassword.status == 200)
        }
    }

    /// Somebody signs up with an address that is not theirs and waits for its owner to come by a provider.
    @Test func whoeverTypedTheAddressFirstLosesTheAccountToItsOwner() async throws {
        try await TestProvider.run { fixture, provider in
            let attacker = try await fixture.signUp("anna@example.com", password: "attackers own")
            let session = try await ExternalFlow(fixture, provider).session()
            #expect(session.json["user"]?["id"] == attacker.json["user"]?["id"])
            #expect(session.json["user"]?["app_metadata"]?["providers"] == ["google"])
            let byPassword = try await fixture.signIn("anna@example.com", password: "attackers own")
            #expect(byPassword.errorCode == "invalid_credentials")
            let refreshed = try await fixture.refresh(try attacker.member("refresh_token"))
            #expect(refreshed.status == 400)
        }
    }

    @Test func twoProvidersWithOneSubjectAreTwoPeople() async throws {
        try await TestProvider.run { fixture, provider in
            let first = try await ExternalFlow(fixture, provider).session()
            provider.state.withLock { $0.claims = ["email": "berta@example.com"] }
            let second = try await ExternalFlow(
                fixture, provider, "provider=corporate&\(ExternalFlow.challenge)"
            ).session()
            #expect(second.status == 200)
            #expect(first.json["user"]?["id"] != second.json["user"]?["id"])
        }
    }

    @Test func nobodySignsUpWhereThatIsOffAndKnownPeopleSignIn() async throws {
        try await TestProvider.run { configuration, _ in
            configuration.isSignupEnabled = false
        } _: { fixture, provider in
            let refused = try await ExternalFlow(fixture, provider).back()
            #expect(refused.redirectedError == "signup_disabled")
            try await fixture.sql(
                """
                insert into auth.users (id, aud, role, email, email_confirmed_at, confirmation_sent_at)
                values (gen_random_uuid(), 'authenticated', 'authenticated', 'anna@example.com', now(), now())
                """)
            let session = try await ExternalFlow(fixture, provider).session()
            #expect(session.json["user"]?["email"] == "anna@example.com")
        }
    }

    @Test func someoneWithoutAnAddressMaySignInWhereThatIsAllowed() async throws {
        try await TestProvider.run { configuration, _ in
            configuration.externalProviders["google"]?.isEmailOptional = true
        } _: { fixture, provider in
            provider.state.withLock { state in
                state.claims = ["email": .null]
                state.userInfo = ["sub": "subject-1"]
            }
            let session = try await ExternalFlow(fixture, provider).session()
            #expect(session.json["user"]?["email"] == "")
            let refused = try await ExternalFlow(
                fixture, provider, "provider=corporate&\(ExternalFlow.challenge)"
            ).back()
            #expect(refused.redirectedError == "email_address_not_provided")
        }
    }

    @Test func aBannedUserComesBackWithoutASession() async throws {
        try await TestProvider.run { fixture, provider in
            _ = try await ExternalFlow(fixture, provider).session()
            try await fixture.sql("update auth.users set banned_until = 'infinity'")
            let response = try await ExternalFlow(fixture, provider).back()
            #expect(response.redirectedError == "user_banned")
            #expect(ExternalFlow.fragment(response.headers["location"] ?? "").first("error") == "access_denied")
        }
    }

    @Test func ofManyWhoComeAtOnceNobodyMakesASecondAccount() async throws {
        try await TestProvider.run { fixture, provider in
            let flows = try await withThrowingTaskGroup(of: ExternalFlow.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        try await ExternalFlow(fixture, provider, "provider=github&\(ExternalFlow.challenge)")
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            provider.state.withLock { state in
                state.githubUser = ["id": 7, "login": "anna"]
                state.githubEmails = [["email": "anna@example.com", "verified": true, "primary": true]]
            }
            let statuses = try await withThrowingTaskGroup(of: String?.self) { group in
                for flow in flows { group.addTask { try await flow.back().redirectedError } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.allSatisfy { $0 == nil })
            let counts = try await fixture.sql(
                "select (select count(*) from auth.users) || ' ' || (select count(*) from auth.identities)")
            #expect(counts == "1 1")
        }
    }

    // MARK: GitHub

    @Test func readsGitHubsUserAndAddresses() async throws {
        try await TestProvider.run { fixture, provider in
            provider.state.withLock { state in
                state.githubUser = [
                    "id": 583_231, "login": "octocat", "name": "The Octocat", "email": .null,
                    "avatar_url": "https://avatars.example.com/u/583231",
                ]
                state.githubEmails = [
                    ["email": "spare@example.com", "verified": false, "primary": false],
                    ["email": "Octocat@example.com", "verified": true, "primary": true],
                ]
            }
            let flow = try await ExternalFlow(fixture, provider, "provider=github&\(ExternalFlow.challenge)")
            #expect(flow.location.hasPrefix(provider.url + "/login/oauth/authorize?"))
            #expect(flow.request.first("scope") == "user:email")
            let session = try await flow.session()
            #expect(session.status == 200, "\(session.text)")
            let data = try #require(session.json["user"]?["identities"]?[0]?["identity_data"])
            #expect(data["sub"] == "583231")
            #expect(data["user_name"] == "octocat")
            #expect(data["avatar_url"] == "https://avatars.example.com/u/583231")
            #expect(data["email"] == "octocat@example.com")
            #expect(provider.state.withLock { $0.exchange.first("client_secret") } == "the secret")
        }
    }
}
