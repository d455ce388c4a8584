// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Postgres
import Primitives
import Testing

@testable import REST

/// What surrounds the service in `atoll rest`: identities, other origins, the access log.
@Suite struct StandaloneRequestTests {
    private static let secret = "a secret of more than thirty-two bytes"
    private static let now = Timestamp(unixSeconds: 1_000_000)

    private static func authority(_ change: (inout StandaloneConfiguration) -> Void = { _ in }) throws -> TokenAuthority
    {
        var configuration = StandaloneConfiguration()
        configuration.anonymousRole = "nobody"
        configuration.jwtSecret = .init(
            text: SecretString(secret), keys: VerificationKeys(sharedSecret: Array(secret.utf8)))
        change(&configuration)
        return TokenAuthority(configuration, metrics: Metrics())
    }

    private static func request(_ headers: HTTPHeaders, loop: Loop, method: HTTPMethod = .get) -> HTTPRequest {
        HTTPRequest(method, "/notes?a=\"b", headers: headers, body: [], remoteAddress: "127.0.0.1", id: "1", loop: loop)
    }

    private static func bearer(_ claims: JSONObject) throws -> HTTPHeaders {
        let codec = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: Array(secret.utf8))))
        return ["Authorization": "Bearer \(try codec.sign(claims))"]
    }

    private static func code(_ authority: TokenAuthority, _ headers: HTTPHeaders) throws -> String? {
        let loop = try Loop()
        do throws(RESTError) {
            _ = try authority.identity(of: request(headers, loop: loop), now: now)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func refusesTokensOutsideTheirTime() throws {
        let authority = try Self.authority()
        let seconds = Self.now.unixSeconds
        for claims: JSONObject in [
            ["exp": JSON(seconds - 31)], ["nbf": JSON(seconds + 31)], ["iat": JSON(seconds + 31)], ["exp": "soon"],
            ["nbf": true], ["iat": []], ["aud": 1],
        ] {
            // A remembered token is looked at anew each time.
            for _ in 0..<2 { #expect(try Self.code(authority, Self.bearer(claims)) == "PGRST303", "\(claims)") }
        }
        for claims: JSONObject in [
            ["exp": JSON(seconds - 30)], ["nbf": JSON(seconds + 30)], ["iat": JSON(seconds + 30)], ["exp": nil],
            ["aud": nil],
            ["aud": "any"],
        ] {
            for _ in 0..<2 { #expect(try Self.code(authority, Self.bearer(claims)) == nil, "\(claims)") }
        }
    }

    @Test func refusesWhoHasNoRole() throws {
        let open = try Self.authority { $0.anonymousRole = nil }
        #expect(try Self.code(open, [:]) == "PGRST302")
        #expect(try Self.code(open, Self.bearer([:])) == "PGRST302")
        #expect(try Self.code(open, Self.bearer(["role": "a"])) == nil)
        let keyless = try Self.authority { $0.jwtSecret = nil }
        #expect(try Self.code(keyless, Self.bearer(["role": "a"])) == "PGRST300")
        #expect(try Self.code(keyless, [:]) == nil)
    }

    @Test func showsTheRoleInTheClaims() throws {
        let loop = try Loop()
        let authority = try Self.authority { $0.roleClaim = ClaimPath(".app.role") ?? .role }
        let identity = try authority.identity(
            of: Self.request(try Self.bearer(["app": ["role": "a"], "sub": "s"]), loop: loop), now: Self.now)
        #expect(identity.role == "a" && !identity.isAnonymous)
        #expect(identity.claims == #"{"app":{"role":"a"},"sub":"s","role":"a"}"#)
        let nobody = try authority.identity(of: Self.request(try Self.bearer(["sub": "s"]), loop: loop), now: Self.now)
        #expect(nobody.role == "nobody" && nobody.isAnonymous)
        let visitor = try authority.identity(of: Self.request(["Authorization": "Basic x"], loop: loop), now: Self.now)
        #expect(visitor.claims == #"{"role":"nobody"}"#)
    }

    @Test func allowsOriginsThatAreListed() throws {
        let loop = try Loop()
        let some = StandaloneCORS(allowedOrigins: ["https://a"])
        var response = HTTPResponse(.ok)
        some.apply(to: &response, for: Self.request(["Origin": "https://b"], loop: loop))
        #expect(response.headers["access-control-allow-origin"] == nil)
        some.apply(to: &response, for: Self.request(["Origin": "https://a"], loop: loop))
        #expect(response.headers["access-control-allow-origin"] == "https://a" && response.headers["vary"] == "Origin")
        let preflights: [(HTTPHeaders, Bool)] = [
            (["Origin": "https://a"], false),
            (["Origin": "https://a", "Access-Control-Request-Method": "TRACE"], false),
            (["Access-Control-Request-Method": "GET"], false),
            (["Origin": "https://b", "Access-Control-Request-Method": "GET"], false),
            (["Origin": "https://a", "Access-Control-Request-Method": "GET"], true),
        ]
        for (headers, isAnswered) in preflights {
            let answer = some.preflight(Self.request(headers, loop: loop, method: .options))
            #expect((answer != nil) == isAnswered, "\(headers)")
        }
        // Names that are none do not get into the answer.
        let odd = some.preflight(
            Self.request(
                [
                    "Origin": "https://a", "Access-Control-Request-Method": "GET",
                    "Access-Control-Request-Headers": "X-A, b c, ,X-D",
                ], loop: loop, method: .options))
        #expect(
            odd?.headers["access-control-allow-headers"]
                == "Authorization, X-A, X-D, Accept, Accept-Language, Content-Language")
    }

    @Test func aLineOfTheLogIsOneLine() throws {
        let loop = try Loop()
        let line = AccessLogLine(
            Self.request(["User-Agent": "a\"b\\c é", "Referer": "r"], loop: loop), role: "x\ny", .text("four"))
        #expect(
            line.text(at: Timestamp(unixSeconds: 784_111_777))
                == "127.0.0.1 - x\\x0ay [06/Nov/1994:08:49:37 +0000] \"GET /notes?a=\\x22b HTTP/1.1\" 200 4 \"r\" "
                + "\"a\\x22b\\x5cc \\xc3\\xa9\"\n")
        let expected: [(StandaloneConfiguration.LogLevel, [Bool])] = [
            (.crit, [false, false, false]), (.error, [true, false, false]), (.warn, [true, true, false]),
            (.info, [true, true, true]), (.debug, [true, true, true]),
        ]
        for (level, isWritten) in expected {
            #expect([500, 404, 200].map { AccessLogLine.isWritten($0, at: level) } == isWritten)
        }
    }

    @Test func readsSettingsOfRoles() {
        let settings = RoleSettings(entries: [
            "statement_timeout=1s", "default_transaction_isolation=REPEATABLE READ", "role=x",
            "session_authorization=x", "odd",
            "work_mem=1MB", "statement_timeout=2s",
        ])
        #expect(settings.isolation == .repeatableRead)
        #expect(settings.settings.map(\.name) == ["work_mem", "statement_timeout"])
        #expect(settings.settings.map(\.value) == ["1MB", "2s"])
    }
}
