// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Platform
import Postgres
import Primitives
import Testing

@Suite struct AccessControlTests {
    private static let secret = Array("super-secret-jwt-token-with-at-least-32-characters-long".utf8)
    private static let codec = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: secret)))
    private static let publishable = "sb_publishable_0123456789abcdef"
    private static let secretKey = "sb_secret_0123456789abcdef"
    private let access = AccessControl(
        tokens: codec, publishableKeys: [SecretString(publishable), SecretString("")],
        secretKeys: [SecretString(secretKey), SecretString("")])

    private static let user = UUID.random()
    private static let tenant = UUID.random()
    private static let session = UUID.random()

    private static func token(_ claims: JSONObject, codec: JWTCodec = codec) -> String {
        (try? codec.sign(claims)) ?? ""
    }

    private static let anonKey = token(["iss": "supabase-demo", "role": "anon", "exp": 1_983_812_996])
    private static let serviceKey = token(["role": "service_role"])
    private static let userToken = token([
        "sub": .string(user.description), "role": "authenticated", "session_id": .string(session.description),
        "app_metadata": ["tenant_id": .string(tenant.description)],
    ])
    private static let expired = token(["role": "authenticated", "exp": 1])
    private static let forged = token(
        ["role": "service_role"], codec: JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: [1]))))

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var headers: [String: String] = [:]
        var target = "/rest/v1/things"
        var error: AccessError?
        var role: Role?
    }

    private func request(_ test: Case) throws -> HTTPRequest {
        var headers = HTTPHeaders()
        for (name, value) in test.headers { headers.append(name, value) }
        return HTTPRequest(.get, test.target, headers: headers, loop: try Loop())
    }

    @Test(arguments: [
        Case(testDescription: "nothing at all", error: .missingKey),
        Case(testDescription: "Basic is no key", headers: ["Authorization": "Basic eDp5"], error: .missingKey),
        Case(testDescription: "an empty key", headers: ["apikey": ""], error: .invalidKey),
        Case(testDescription: "an unknown key", headers: ["apikey": "x"], error: .invalidKey),
        Case(testDescription: "an unknown secret key", headers: ["apikey": "sb_secret_x"], error: .invalidKey),
        Case(testDescription: "the prefix alone", headers: ["apikey": "sb_secret_"], error: .invalidKey),
        Case(testDescription: "a longer secret key", headers: ["apikey": secretKey + "0"], error: .invalidKey),
        Case(testDescription: "a forged service key", headers: ["apikey": forged], error: .invalidKey),
        Case(testDescription: "a user's token as key", headers: ["apikey": userToken], error: .invalidKey),
        Case(
            testDescription: "a key that says no role", headers: ["apikey": token(["sub": "x"])], error: .invalidKey),
        Case(
            testDescription: "a wrong key beside a valid token",
            headers: ["apikey": "x", "Authorization": "Bearer " + userToken], error: .invalidKey),
        Case(
            testDescription: "a header is not replaced by the query", headers: ["apikey": "x"],
            target: "/?apikey=\(publishable)", error: .invalidKey),
        Case(testDescription: "a secret key in the query", target: "/?apikey=\(secretKey)", error: .invalidKey),
        Case(testDescription: "the service key in the query", target: "/?apikey=\(serviceKey)", error: .invalidKey),
        Case(
            testDescription: "a forged token beside the service key",
            headers: ["apikey": serviceKey, "Authorization": "Bearer " + forged], error: .invalidToken(.badSignature)),
        Case(
            testDescription: "an expired token is not the visitor's",
            headers: ["apikey": anonKey, "Authorization": "Bearer " + expired], error: .invalidToken(.expired)),
        Case(
            testDescription: "an empty token", headers: ["apikey": anonKey, "Authorization": "Bearer "],
            error: .invalidToken(.malformed)),
        Case(
            testDescription: "no token behind the scheme", headers: ["apikey": anonKey, "Authorization": "Bearer"],
            error: .invalidToken(.malformed)),
        Case(
            testDescription: "a wrong opaque bearer",
            headers: ["apikey": publishable, "Authorization": "Bearer sb_secret_x"], error: .invalidKey),
        Case(
            testDescription: "a role of the database that requests cannot have",
            headers: ["apikey": anonKey, "Authorization": "Bearer " + token(["role": "postgres"])],
            error: .roleNotAllowed),
        Case(
            testDescription: "a role that is no text",
            headers: ["apikey": anonKey, "Authorization": "Bearer " + token(["role": 1])], error: .roleNotAllowed),
    ])
    func refuses(_ test: Case) throws {
        let request = try request(test)
        let error = try #require(test.error)
        #expect(throws: error) { try access.principal(for: request) }
    }

    @Test(arguments: [
        Case(testDescription: "the anon key", headers: ["apikey": anonKey], role: .anon),
        Case(testDescription: "the service key", headers: ["apikey": serviceKey], role: .serviceRole),
        Case(testDescription: "the publishable key", headers: ["apikey": publishable], role: .anon),
        Case(testDescription: "the secret key", headers: ["apikey": secretKey], role: .serviceRole),
        Case(testDescription: "the key in the query", target: "/x?a=b&apikey=\(publishable)", role: .anon),
        Case(testDescription: "the key as bearer", headers: ["Authorization": "Bearer " + anonKey], role: .anon),
        Case(
            testDescription: "an opaque key as bearer", headers: ["Authorization": "Bearer " + secretKey],
            role: .serviceRole),
        Case(
            testDescription: "a user's token alone", headers: ["Authorization": "bearer " + userToken],
            role: .authenticated),
        Case(
            testDescription: "a user's token beside the service key runs as the user",
            headers: ["apikey": secretKey, "Authorization": "Bearer " + userToken], role: .authenticated),
        Case(
            testDescription: "another scheme leaves the key's role",
            headers: ["apikey": publishable, "Authorization": "Basic eDp5"], role: .anon),
        Case(
            testDescription: "a token that names no role",
            headers: ["apikey": anonKey, "Authorization": "Bearer " + token(["sub": "x"])], role: .anon),
    ])
    func admits(_ test: Case) throws {
        #expect(try access.principal(for: try request(test)).role == test.role)
    }

    @Test func takesTheTenantFromTheSignedClaimsOnly() throws {
        let headers = [
            "apikey": Self.publishable, "Authorization": "Bearer " + Self.userToken, "X-Tenant-Id": "\(UUID.random())",
        ]
        let principal = try access.principal(for: try request(Case(testDescription: "", headers: headers)))
        #expect(principal.userID == Self.user)
        #expect(principal.tenantID == Self.tenant)
        #expect(principal.sessionID == Self.session)
        #expect(!principal.isAnonymous)

        let claimed = Self.token([
            "role": "authenticated", "user_metadata": ["tenant_id": .string(Self.tenant.description)],
        ])
        let other = try access.principal(
            for: try request(Case(testDescription: "", headers: ["Authorization": "Bearer " + claimed])))
        #expect(other.tenantID == nil)
    }

    @Test func aUnitCarriesRoleAndClaims() throws {
        let headers = [
            "apikey": Self.publishable, "Authorization": "Bearer " + Self.userToken, "Cookie": "a=b; c=d=e; ; x",
            "X-Thing": "1",
        ]
        let request = try request(Case(testDescription: "", headers: headers, target: "/rest/v1/things?x=1"))
        let principal = try access.principal(for: request)
        let bare = principal.unit([])
        #expect(bare.role == "authenticated")
        #expect(bare.settings.map(\.name) == ["request.jwt.claims"])
        let claims = try JSON(parsing: bare.settings.first?.value ?? "")
        #expect(claims["sub"] == .string(Self.user.description))

        let full = principal.unit([], readOnly: true, request: request)
        let settings = Dictionary(uniqueKeysWithValues: full.settings.map { ($0.name, $0.value) })
        #expect(full.readOnly)
        #expect(settings["request.method"] == "GET")
        #expect(settings["request.path"] == "/rest/v1/things")
        #expect(try JSON(parsing: settings["request.headers"] ?? "")["x-thing"] == "1")
        #expect(try JSON(parsing: settings["request.cookies"] ?? "") == ["a": "b", "c": "d=e"])
    }

    @Test func answersAsTheGatewayDoes() throws {
        guard case .bytes(let bytes) = AccessError.missingKey.response.body else {
            Issue.record("no body")
            return
        }
        #expect(AccessError.missingKey.response.status == 401)
        #expect(
            try JSON(parsing: bytes) == [
                "message": "No API key found in request",
                "hint": "No `apikey` request header or url param was found.",
            ])
    }
}
