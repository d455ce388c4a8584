// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import HTTP
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

    @Test func anAddressThatIsNotVerifiedMakesNoAccountWhereAddressesAreConfirmed() async throws {
        try await TestProvider.run { configuration, _ in
            configuration.areEmailConfirmationsEnabled = true
        } _: { fixture, provider in
            provider.state.withLock { $0.claims = ["email_verified": false] }
            let response = try await ExternalFlow(fixture, provider).back()
            #expect(response.redirectedError == "provider_email_needs_verification")
            let users = try await fixture.sql("select count(*) from auth.users")
            #expect(users == "0")
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
