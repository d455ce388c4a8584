// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import HTTPClient
import Primitives
import Synchronization
import Testing

@testable import Platform

/// Tokens of an issuer that describes itself and publishes its keys over HTTP, and changes them.
@Suite struct ThirdPartyIssuersTests {
    /// An issuer whose keys and description a test changes.
    private final class Issuer: Sendable {
        struct State {
            var signer: JWTCodec?
            var keys: [JSON] = []
            var changes: JSONObject = [:]
            var isDown = false
            var fetches = 0
        }
        let state = Mutex(State())
        let url: String

        init(port: UInt16) { url = "http://127.0.0.1:\(port)" }

        /// Signs with a new key from now on.
        func rotate() throws {
            let jwk = try JWTKey.generateJWK(for: .es256)
            let key = try JWTKey(jwk: jwk)
            state.withLock { state in
                state.signer = JWTCodec(keys: KeySet(signingKey: key))
                state.keys = [key.publicJWK ?? .null]
            }
        }

        func sign(_ members: JSONObject = [:]) throws -> String {
            var claims: JSONObject = [
                "iss": .string(url), "sub": "user_1", "role": "authenticated", "aud": "app",
                "exp": JSON(Timestamp.now().unixSeconds + 60),
            ]
            for member in members { claims[member.name] = member.value }
            return try #require(state.withLock { $0.signer }).sign(claims)
        }

        var fetches: Int { state.withLock { $0.fetches } }

        func document(_ path: String) throws -> HTTPResponse {
            try state.withLock { state in
                guard !state.isDown else { throw HTTPError(.serviceUnavailable) }
                if path == "jwks" {
                    state.fetches += 1
                    return .json(["keys": .array(state.keys)])
                }
                var members: JSONObject = ["issuer": .string(url), "jwks_uri": .string(url + "/jwks")]
                for member in state.changes { members[member.name] = member.value }
                return .json(.object(members))
            }
        }
    }

    private struct Fixture: Sendable {
        let issuer: Issuer
        let access: AccessControl
        let parties: ThirdPartyIssuers
        let loop: Loop

        func principal(_ token: String) async -> Result<Principal, AccessError> {
            let request = HTTPRequest(
                .get, "/", headers: ["apikey": "sb_publishable_x", "Authorization": "Bearer \(token)"], loop: loop)
            await parties.prepare(for: request)
            do throws(AccessError) { return .success(try access.principal(for: request)) } catch {
                return .failure(error)
            }
        }

        func refusal(_ token: String) async -> AccessError? {
            if case .failure(let error) = await principal(token) { return error }
            return nil
        }

        /// Of a token the issuer signs now.
        func refusalOfNew(_ claims: JSONObject = [:]) async throws -> AccessError? {
            await refusal(try issuer.sign(claims))
        }
    }

    private func run(
        pause: Duration = .zero, audience: String? = nil, _ body: @escaping @Sendable (Fixture) async throws -> Void
    ) async throws {
        try await Loop.withLoop { loop in
            // The routes need the issuer, and the issuer the port: filled in once the server has one.
            let holder = Mutex<Issuer?>(nil)
            let shared = Holder(holder)
            var router = Router()
            router.on(.get, "/.well-known/openid-configuration") { _ in try shared.issuer().document("description") }
            router.on(.get, "/jwks") { _ in try shared.issuer().document("jwks") }
            let server = try HTTPServer(HTTPServerConfiguration(), router: router, loops: [loop])
            let issuer = Issuer(port: server.port)
            try issuer.rotate()
            shared.fill(issuer)
            let client = try HTTPClient(loops: [loop])
            var limits = OpenIDIssuer.Limits()
            limits.pause = pause
            let access = AccessControl(
                tokens: JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: randomBytes(32)))),
                publishableKeys: [SecretString("sb_publishable_x")], secretKeys: [])
            let fixture = Fixture(
                issuer: issuer, access: access,
                parties: ThirdPartyIssuers(
                    [.init(name: "test", url: issuer.url, audience: audience)], access: access, client: client,
                    limits: limits, log: .disabled), loop: loop)
            let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: loop) { await server.run() }
                let result: Result<Void, any Error>
                do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                server.stop()
                return result
            }
            await client.shutdown()
            try result.get()
        }
    }

    private final class Holder: Sendable {
        private let value: Mutex<Issuer?>
        init(_ value: consuming Mutex<Issuer?>) { self.value = value }
        func fill(_ issuer: Issuer) { value.withLock { $0 = issuer } }
        func issuer() throws -> Issuer { try #require(value.withLock { $0 }) }
    }

    @Test func takesTokensAndFollowsARotationAtTheFirstTokenOfANewKey() async throws {
        try await run { fixture in
            let first = try fixture.issuer.sign()
            #expect(try await fixture.principal(first).get().role == .authenticated)
            #expect(fixture.issuer.fetches == 1)
            for _ in 0..<3 { #expect(try await fixture.refusalOfNew() == nil) }
            #expect(fixture.issuer.fetches == 1)

            try fixture.issuer.rotate()
            let second = try fixture.issuer.sign()
            #expect(try await fixture.principal(second).get().isForeign)
            #expect(fixture.issuer.fetches == 2)
            // The key is gone from the set, and with it every token it signed.
            #expect(await fixture.refusal(first) == .invalidToken(.unknownKey))
        }
    }

    @Test func unknownKeysMakeItAskOnceInThePause() async throws {
        try await run(pause: .seconds(3600)) { fixture in
            #expect(try await fixture.refusalOfNew() == nil)
            try fixture.issuer.rotate()
            for _ in 0..<20 {
                try fixture.issuer.rotate()
                #expect(try await fixture.refusalOfNew() == .invalidToken(.unknownKey))
            }
            #expect(fixture.issuer.fetches == 1)
        }
    }

    @Test func requestsThatComeAtOnceShareOneFetch() async throws {
        try await run { fixture in
            let token = try fixture.issuer.sign()
            let refusals = await withTaskGroup(of: AccessError?.self) { group in
                for _ in 0..<32 {
                    group.addTask(executorPreference: fixture.loop) { await fixture.refusal(token) }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(refusals.allSatisfy { $0 == nil })
            #expect(fixture.issuer.fetches == 1)
        }
    }

    @Test func goesOnWithTheLastKeysWhileTheIssuerIsDown() async throws {
        try await run { fixture in
            let before = try await fixture.refusalOfNew()
            #expect(before == nil)
            fixture.issuer.state.withLock { $0.isDown = true }
            let after = try await fixture.refusalOfNew()
            #expect(after == nil)
        }
    }

    @Test func takesNothingOfAnIssuerThatDescribesItselfWrongly() async throws {
        try await run { fixture in
            let token = try fixture.issuer.sign()
            for changes: JSONObject in [
                ["issuer": "https://accounts.example.com"], ["issuer": 1], ["jwks_uri": "file:///etc/passwd"],
                ["jwks_uri": .null],
            ] {
                fixture.issuer.state.withLock { $0.changes = changes }
                #expect(await fixture.refusal(token) == .invalidToken(.unknownKey))
            }
            #expect(fixture.issuer.fetches == 0)
            fixture.issuer.state.withLock { $0.changes = [:] }
            #expect(await fixture.refusal(token) == nil)
        }
    }

    @Test func asksForTheAudienceThatIsConfigured() async throws {
        try await run(audience: "app") { fixture in
            let own = try await fixture.refusalOfNew()
            #expect(own == nil)
            let other = try await fixture.refusalOfNew(["aud": "other"])
            #expect(other == .invalidToken(.wrongAudience))
        }
    }

    @Test func tellsWhichServiceIsEnabledAndNotDescribed() throws {
        var configuration = ProjectConfiguration.Auth.ThirdParty()
        #expect(try ThirdPartyIssuers.Service.all(of: configuration).isEmpty)
        configuration.firebase.enabled = true
        #expect(throws: ProjectError.self) { try ThirdPartyIssuers.Service.all(of: configuration) }
        configuration.firebase.projectID = "shop"
        configuration.auth0.enabled = true
        configuration.auth0.tenant = "shop"
        configuration.auth0.tenantRegion = "eu"
        configuration.cognito.enabled = true
        configuration.cognito.userPoolID = "eu-1_abc"
        configuration.cognito.userPoolRegion = "eu-west-1"
        configuration.clerk.enabled = true
        configuration.clerk.domain = "clerk.shop.example"
        let services = try ThirdPartyIssuers.Service.all(of: configuration)
        #expect(
            services.map(\.url) == [
                "https://securetoken.google.com/shop", "https://shop.eu.auth0.com",
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-1_abc", "https://clerk.shop.example",
            ])
        #expect(services.map(\.audience) == ["shop", nil, nil, nil])
    }
}
