// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Primitives
import Testing

/// What becomes of the providers' documents, in the forms they are documented in.
@Suite struct ExternalProfileTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let provider: String
        let document: JSON
        let subject: String
        var email: String?
        var isVerified = false
        var name: String?
        var picture: String?
        var testDescription: String { "\(provider), \(isVerified ? "verified" : "not verified")" }
    }

    static let cases = [
        Case(
            provider: "discord",
            document: [
                "id": "80351110224678912", "username": "nelly", "avatar": "8342729096ea3675442027381ff50dfe",
                "verified": true, "email": "Nelly@example.com", "global_name": "Nelly",
            ],
            subject: "80351110224678912", email: "nelly@example.com", isVerified: true, name: "nelly",
            picture: "https://cdn.discordapp.com/avatars/80351110224678912/8342729096ea3675442027381ff50dfe.png"),
        Case(
            provider: "discord",
            document: ["id": "1", "username": "n", "avatar": .null, "verified": false, "email": "n@example.com"],
            subject: "1", email: "n@example.com", name: "n"),
        Case(
            provider: "snapchat",
            document: [
                "data": [
                    "me": [
                        "externalId": "CAESIA==", "displayName": "Anna",
                        "bitmoji": ["avatar": "https://example.com/b.png"],
                    ]
                ],
                "errors": [],
            ], subject: "CAESIA==", name: "Anna", picture: "https://example.com/b.png"),
        Case(
            provider: "gitlab",
            document: [
                "id": 1, "username": "john", "name": "John Smith", "email": "john@example.com",
                "confirmed_at": "2012-05-23T09:05:22Z", "avatar_url": "https://gitlab.example.com/a.png",
            ],
            subject: "1", email: "john@example.com", isVerified: true, name: "John Smith",
            picture: "https://gitlab.example.com/a.png"),
        Case(
            provider: "gitlab",
            document: ["id": 1, "username": "john", "name": "", "email": "john@example.com", "confirmed_at": .null],
            subject: "1", email: "john@example.com"),
        Case(
            provider: "facebook",
            document: [
                "id": "10", "name": "Anna B", "email": "anna@example.com",
                "picture": ["data": ["url": "https://example.com/p.jpg"]],
            ],
            subject: "10", email: "anna@example.com", isVerified: true, name: "Anna B",
            picture: "https://example.com/p.jpg"),
        Case(
            provider: "kakao",
            document: [
                "id": 123_456_789,
                "kakao_account": [
                    "profile": ["nickname": "Chun", "profile_image_url": "http://example.com/img.jpg"],
                    "is_email_valid": true, "is_email_verified": true, "email": "chun@example.com",
                ],
            ],
            subject: "123456789", email: "chun@example.com", isVerified: true, name: "Chun",
            picture: "http://example.com/img.jpg"),
        Case(
            provider: "kakao",
            document: [
                "id": 1,
                "kakao_account": ["is_email_valid": true, "is_email_verified": false, "email": "c@example.com"],
            ], subject: "1", email: "c@example.com"),
        Case(
            provider: "twitch",
            document: [
                "data": [["id": "44322889", "login": "dallas", "display_name": "Dallas", "email": "d@example.com"]]
            ],
            subject: "44322889", email: "d@example.com", isVerified: true, name: "Dallas"),
        Case(
            provider: "spotify",
            document: [
                "id": "wizzler", "display_name": "JM", "email": "e@example.com",
                "images": [["url": "https://i.example.com/1"]],
            ],
            subject: "wizzler", email: "e@example.com", name: "JM", picture: "https://i.example.com/1"),
        Case(
            provider: "notion",
            document: [
                "bot": ["owner": ["user": ["id": "u-1", "name": "Nina", "person": ["email": "n@example.com"]]]]
            ], subject: "u-1", email: "n@example.com", isVerified: true, name: "Nina"),
        Case(
            provider: "zoom", document: ["id": "z", "display_name": "Zoe", "email": "z@example.com", "verified": 1],
            subject: "z", email: "z@example.com", isVerified: true, name: "Zoe"),
        Case(
            provider: "zoom", document: ["id": "z", "first_name": "Zoe", "email": "z@example.com", "verified": 0],
            subject: "z", email: "z@example.com", name: "Zoe"),
        Case(
            provider: "x",
            document: [
                "data": ["id": "2244994945", "name": "Dev", "username": "dev", "confirmed_email": "x@example.com"]
            ],
            subject: "2244994945", email: "x@example.com", isVerified: true, name: "Dev"),
        Case(
            provider: "x", document: ["data": ["id": "1", "name": "Dev", "username": "dev"]], subject: "1", name: "Dev"),
        Case(
            provider: "figma", document: ["id": "f", "handle": "Fay", "email": "not an address", "img_url": ""],
            subject: "f",
            name: "Fay"),
        Case(
            provider: "workos", document: ["id": "prof_1", "first_name": "Todd", "email": "todd@example.com"],
            subject: "prof_1", email: "todd@example.com", isVerified: true, name: "Todd"),
    ]

    @Test(arguments: cases)
    func readsADocument(_ test: Case) throws {
        let description = try #require(ProviderDescription.all[test.provider])
        guard case .oauth2(let shape) = description.kind else {
            Issue.record("\(test.provider) has no user's document")
            return
        }
        let profile = try #require(
            ExternalProfile(
                test.document, shape.profile, issuer: "https://p.test", emails: nil, tokens: ProviderTokens()))
        #expect(profile.subject == test.subject)
        #expect(profile.candidate?.address.text == test.email)
        #expect(profile.candidate?.isVerified ?? false == test.isVerified)
        #expect(profile.verifiedAddresses == (test.isVerified ? [test.email].compactMap { $0 } : []))
        #expect(profile.identityData["full_name"]?.stringValue == test.name)
        #expect(profile.identityData["avatar_url"]?.stringValue == test.picture)
    }

    @Test(arguments: ["github", "gitlab", "discord", "bitbucket", "kakao", "notion", "x"])
    func somebodyWithoutASubjectIsNobody(_ provider: String) throws {
        let description = try #require(ProviderDescription.all[provider])
        guard case .oauth2(let shape) = description.kind else { return }
        for document: JSON in [[:], [], .null, ["id": ""], ["id": .null], ["data": []]] {
            #expect(
                ExternalProfile(document, shape.profile, issuer: "", emails: nil, tokens: ProviderTokens()) == nil)
        }
    }

    @Test func ofSeveralAddressesTheVerifiedPrimaryOneIsTaken() throws {
        let document: JSON = [
            "values": [
                ["email": "old@example.com", "is_confirmed": true, "is_primary": false],
                ["email": "new@example.com", "is_confirmed": true, "is_primary": true],
                ["email": "typo@example.com", "is_confirmed": "true", "is_primary": false], ["is_confirmed": true], "x",
            ]
        ]
        guard case .oauth2(let shape)? = ProviderDescription.all["bitbucket"]?.kind else { return }
        let emails = ExternalProfile.emails(in: document, shape.emails)
        let profile = try #require(
            ExternalProfile(["uuid": "{1}"], shape.profile, issuer: "", emails: emails, tokens: ProviderTokens()))
        #expect(profile.candidate?.address.text == "new@example.com")
        // What is not said as it is documented is not verified.
        #expect(profile.verifiedAddresses == ["new@example.com", "old@example.com"])
    }

    // MARK: Microsoft

    private static let personal = "9188040d-6c67-4c5b-b112-36a304b66dad"

    @Test(
        arguments: [
            (["xms_edov": true], false, true), (["xms_edov": "1"], false, true), (["xms_edov": 1], false, true),
            (["xms_edov": false], true, false), (["xms_edov": "0"], true, false),
            (["tid": .string(personal)], false, true),
            (["tid": "11111111-2222-3333-4444-555555555555"], false, false), ([:], false, false), ([:], true, true),
            // What any directory can write.
            (["email_verified": true], false, false),
        ] as [(JSONObject, Bool, Bool)])
    func azureVerifiesAnAddress(_ claims: JSONObject, isSingleTenant: Bool, isVerified: Bool) throws {
        var claims = claims
        claims["sub"] = "s"
        claims["email"] = "ceo@example.com"
        let profile = try #require(
            ExternalProfile(claims, .azure, isSingleTenant: isSingleTenant, tokens: ProviderTokens()))
        #expect(profile.candidate?.isVerified == isVerified)
    }

    @Test func everyRowNamesWhereItIs() {
        for (name, description) in ProviderDescription.all where name != "keycloak" {
            #expect(description.url?.hasPrefix("https://") == true, "\(name)")
            guard case .oauth2(let shape) = description.kind else { continue }
            for address in [shape.authorization, shape.token, shape.user ?? "/"] {
                #expect(
                    address.hasPrefix("/") || address.hasPrefix("https://") || address.hasPrefix("{api}/"), "\(name)")
            }
        }
    }
}
