// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives
import Testing

@Suite struct JWTTests {
    private static let secret = Array("super-secret-jwt-token-with-at-least-32-characters-long".utf8)
    private static let now = Timestamp(unixSeconds: 1_800_000_000)
    private let codec = JWTCodec(
        keys: KeySet(signingKey: JWTKey(sharedSecret: secret)), issuer: "http://a/auth/v1",
        audiences: ["authenticated"], clockSkew: .seconds(5))

    private static func token(_ header: JSON, _ claims: JSON, key: [UInt8] = secret) -> String {
        token(header.encoded(), claims.encoded(), key: key)
    }

    private static func token(_ header: [UInt8], _ claims: [UInt8], key: [UInt8] = secret) -> String {
        let input = Base64URL.encode(header) + "." + Base64URL.encode(claims)
        return input + "." + Base64URL.encode(HMAC.code(for: input.utf8, key: key))
    }

    private static let goodClaims: JSONObject = [
        "iss": "http://a/auth/v1", "sub": "u", "aud": "authenticated", "exp": 1_800_000_060,
    ]

    private static func claims(_ name: String, _ value: JSON?) -> JSON {
        var claims = goodClaims
        claims[name] = value
        return .object(claims)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var token: String
        var error: JWTError

        init(_ description: String, _ token: String, _ error: JWTError) {
            testDescription = description
            self.token = token
            self.error = error
        }
    }

    private static let hs256: JSON = ["alg": "HS256", "typ": "JWT"]

    @Test(arguments: [
        Refusal("nothing", "", .malformed),
        Refusal("one part", "abc", .malformed),
        Refusal("two parts", "e30.e30", .malformed),
        Refusal("four parts", token(hs256, .object(goodClaims)) + ".e30", .malformed),
        Refusal("padding", token(hs256, .object(goodClaims)) + "=", .malformed),
        Refusal("white space", " " + token(hs256, .object(goodClaims)), .malformed),
        Refusal("a header that is no object", token([], .object(goodClaims)), .malformed),
        Refusal("claims that are no object", token(hs256, "x"), .malformed),
        Refusal("claims that are not JSON", token(hs256.encoded(), Array("{".utf8)), .malformed),
        Refusal("algorithm none", token(["alg": "none"], .object(goodClaims)), .unsupportedAlgorithm),
        Refusal(
            "algorithm none without signature",
            Base64URL.encode(Array(#"{"alg":"none"}"#.utf8)) + "." + Base64URL.encode(JSON.object(goodClaims).encoded())
                + ".", .unsupportedAlgorithm),
        Refusal("algorithm in lower case", token(["alg": "hs256"], .object(goodClaims)), .unsupportedAlgorithm),
        Refusal("no algorithm", token([:], .object(goodClaims)), .unsupportedAlgorithm),
        Refusal("HS512", token(["alg": "HS512"], .object(goodClaims)), .unsupportedAlgorithm),
        Refusal(
            "critical extension", token(["alg": "HS256", "crit": ["b64"]], .object(goodClaims)), .unsupportedAlgorithm),
        Refusal("RS256 without such a key", token(["alg": "RS256"], .object(goodClaims)), .unknownKey),
        Refusal("kid of another type", token(["alg": "HS256", "kid": 1], .object(goodClaims)), .malformed),
        Refusal("another secret", token(hs256, .object(goodClaims), key: [1]), .badSignature),
        Refusal("an empty secret", token(hs256, .object(goodClaims), key: []), .badSignature),
        Refusal("expired beyond the skew", token(hs256, claims("exp", 1_799_999_995)), .expired),
        Refusal("exp as text", token(hs256, claims("exp", "1800000060")), .invalidClaim("exp")),
        Refusal("nbf ahead of the skew", token(hs256, claims("nbf", 1_800_000_006)), .notYetValid),
        Refusal("iat to come", token(hs256, claims("iat", 4_000_000_000)), .issuedInFuture),
        Refusal("aud of another type", token(hs256, claims("aud", ["a": 1])), .invalidClaim("aud")),
        Refusal("iat of another type", token(hs256, claims("iat", true)), .invalidClaim("iat")),
        Refusal("another issuer", token(hs256, claims("iss", "http://b/auth/v1")), .wrongIssuer),
        Refusal("no issuer", token(hs256, claims("iss", nil)), .wrongIssuer),
        Refusal("another audience", token(hs256, claims("aud", "other")), .wrongAudience),
        Refusal("no audience", token(hs256, claims("aud", nil)), .wrongAudience),
        Refusal("other audiences", token(hs256, claims("aud", ["x", 1])), .wrongAudience),
        Refusal("an audience that is no text", token(hs256, claims("aud", 1)), .invalidClaim("aud")),
        Refusal("too many bytes", token(hs256, claims("x", .string(String(repeating: "x", count: 16384)))), .tooLarge),
    ])
    func refuses(_ refusal: Refusal) {
        #expect(throws: refusal.error) { try codec.verify(refusal.token, now: Self.now) }
    }

    @Test func refusesAChangeOfAnyCharacter() {
        let token = Self.token(Self.hs256, .object(Self.goodClaims))
        for index in token.indices where token[index] != "." {
            var changed = token
            changed.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
            #expect(throws: JWTError.self) { try codec.verify(changed, now: Self.now) }
        }
    }

    @Test(arguments: [
        goodClaims, claims("exp", 1_799_999_996).objectValue, claims("nbf", 1_800_000_005).objectValue,
        claims("exp", nil).objectValue, claims("aud", ["x", "authenticated"]).objectValue,
        claims("exp", .number("1800000001.5")).objectValue,
    ])
    func accepts(_ claims: JSONObject?) throws {
        let claims = try #require(claims)
        let verified = try codec.verify(Self.token(Self.hs256, .object(claims)), now: Self.now)
        #expect(verified.members == claims)
        #expect(verified.subject == "u")
        #expect(try codec.verify(try codec.sign(claims), now: Self.now).members == claims)
    }

    @Test func anUnknownKeyIDFallsBackToTheSharedSecretOnly() throws {
        let token = Self.token(["alg": "HS256", "kid": "whatever"], .object(Self.goodClaims))
        #expect(try codec.verify(token, now: Self.now).subject == "u")
        let named = JWTCodec(keys: KeySet(signingKey: JWTKey(id: "k", sharedSecret: Self.secret)))
        #expect(throws: JWTError.unknownKey) { try named.verify(token, now: Self.now) }
    }

    /// RFC 7515, appendices A.1 and A.3: the same claims under HS256 and ES256.
    @Test func verifiesThePublishedTokens() throws {
        let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        let symmetric = try JWTKey(jwk: [
            "kty": "oct",
            "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        ])
        let elliptic = try JWTKey(jwk: [
            "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        ])
        let codec = JWTCodec(keys: KeySet(signingKey: symmetric, verificationKeys: [elliptic]), issuer: "joe")
        let time = Timestamp(unixSeconds: 1_300_819_000)
        for token in [
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\(claims).dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "eyJhbGciOiJFUzI1NiJ9.\(claims)."
                + "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ] {
            #expect(try codec.verify(token, now: time)["http://example.com/is_root"] == true)
            #expect(throws: JWTError.expired) { try codec.verify(token, now: Self.now) }
        }
    }
}
