// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives
import Testing

@Suite struct KeySetTests {
    private static let elliptic: JSONObject = [
        "kty": "EC", "crv": "P-256", "kid": "ec1", "x": "PiZ6TjiEiBf-tKbnYh9aDvTa7Ik7AaRn_denT2zwCIo",
        "y": "lHwHXlzw9_TyHxZoS2eO9JT7vW7k-rMxYsePdI5lpyc", "d": "u0b0j7DTg9aFgODfd9ndCX1r-hZSFZ5ujZ4tF5IE3-g",
    ]
    private static let rsa: JSONObject = [
        "kty": "RSA", "kid": "rsa1",
        "n": .string(
            "raPxmAcNdLbSC_9W8x_1FrGcOR5bHU_9tpBQe28PlsqWkPwhNfxLVMIU_OyomSsIKf5TzSOZgFw61HiPyVx_58eIwm0gmYrm4aHp"
                + "j68reO0Lvu4J_43BtAKVyTqDrXo5PwxG906WrkPQEVvG7tTtsr06gvnEQmI-7R3vwBBDZQeDesfxJudAj7JVsMKCTHP_VDwFYTJr"
                + "1kXFCg62pR7jMiv5FzsokTzoiE8hxUCVA6PMivVc0mWI1ccVcGDzUixs5wJ-gDVnCmp3ba1W6OkJ1aWN9y7JHZxvlicP4jOsTYz1"
                + "2MzOEvR0SjhEI74iLprZCvzCPILGXDAlPSuuKzxHbw"),
        "e": "AQAB",
        "d": .string(
            "FlUopIH7tBAzccGUgE6S6ilLy3jhBSMdoZZsE4QUQDOsK9eRuezKD4uqwWD6ykBjm2sPgina-0xhcKRU8fQIq1nZeBArCjR4P3rg"
                + "nE9OSw5J3XOmK40i5bETbL8u4mf-5uIAWpxr-tvT7fec3WjbbYqy9NeE63jRWRPpmw08bcjUH2S5sRZPcDVjQb-yiwzRPx0Oyr7y"
                + "ROFNfM16dRb9FNmSNA6gMa6b3qODVGRpGHpJVS_5h4PU3K4gwLhVvxLzav_XCJLpeD2UJznkf7xi8RbsTrGSPd7WVCdKVEvL4faX"
                + "eK8wEh7QQmSuZqnHLhd32856ubteYZxU5pFD7eAiEQ"),
    ]

    private static func publicHalf(_ key: JSONObject) -> JSON {
        var key = key
        key["d"] = nil
        return .object(key)
    }

    /// Tokens made by another implementation with these keys.
    @Test(arguments: [
        (
            elliptic,
            "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjMSJ9.eyJzdWIiOiJhIn0.EC0lnnB4dTGtL2WCmosEioVZ7GndAe-BkPAe5gmMhyLuNaR"
                + "Fj7akW1zOQgYoO6A6RKbEi2OVSCoICdwNB6ImRQ"
        ),
        (
            rsa,
            "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYTEifQ.eyJzdWIiOiJhIn0.BN9PrbiBc8rvZoMoCXTAN3yEmUyL98lkWDj8t_FFBnEgK"
                + "QLX_m3MfSf3E1wL3btQAhCjzuF4VPke78cx299ickyB5A3GhapPVmPpmWh7Q6WGA-3Bp5sRF9Bnn2xcFV5bP50396JvpJLEYGWUj"
                + "oS3ob3_gXtyvtzsJb715bhqOaunre0liUbPyHv1Ucb7k2FyNJlPe5tMSOKlAHJH7dG_vDR5cByAbMjO_m4I6kfajqGIkKBVo4lOq"
                + "ZMSy-LE7KwhfgMOyD99CL7i14DrHb9KkCSeRdsjm23Ndi0ciTKePZPyQM1K4u1HK6rGSOGjNIxxEV0nOLviNGi1QJgfR031Og"
        ),
    ])
    func verifiesForeignTokensAndSignsItsOwn(_ members: JSONObject, _ token: String) throws {
        let shared = JWTKey(sharedSecret: randomBytes(32))
        let verifier = JWTCodec(
            keys: KeySet(signingKey: shared, verificationKeys: [try JWTKey(jwk: Self.publicHalf(members))]))
        #expect(try verifier.verify(token).subject == "a")
        let signer = JWTCodec(keys: KeySet(signingKey: try JWTKey(jwk: .object(members))))
        let own = try signer.sign(["sub": "b"])
        #expect(try verifier.verify(own).subject == "b")
        // The last character of a signature carries bits that must be zero, so change the one before it.
        var changed = Array(own.utf8)
        changed[changed.count - 5] =
            changed[changed.count - 5] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        #expect(throws: JWTError.badSignature) { try verifier.verify(String(decoding: changed, as: UTF8.self)) }
    }

    /// The classic attack: an HMAC made with the public key, which everybody has, as the secret.
    @Test func refusesAlgorithmConfusion() throws {
        let verifier = JWTCodec(
            keys: KeySet(
                signingKey: JWTKey(sharedSecret: randomBytes(32)),
                verificationKeys: [
                    try JWTKey(jwk: Self.publicHalf(Self.rsa)), try JWTKey(jwk: Self.publicHalf(Self.elliptic)),
                ]))
        for (id, publicKey) in [("rsa1", Self.rsa["n"]), ("ec1", Self.elliptic["x"])] {
            let key = try #require(publicKey?.stringValue.flatMap(Base64URL.decode))
            let header: JSON = ["alg": "HS256", "kid": .string(id)]
            let input = Base64URL.encode(header.encoded()) + "." + Base64URL.encode(Array("{}".utf8))
            let token = input + "." + Base64URL.encode(HMAC.code(for: input.utf8, key: key))
            #expect(throws: JWTError.unknownKey) { try verifier.verify(token) }
        }
        let signer = JWTCodec(keys: KeySet(signingKey: try JWTKey(jwk: .object(Self.elliptic))))
        let parts = try signer.sign(["sub": "a"]).split(separator: ".")
        let relabelled = Base64URL.encode(Array(#"{"alg":"RS256","kid":"ec1"}"#.utf8)) + ".\(parts[1]).\(parts[2])"
        #expect(throws: JWTError.unknownKey) { try verifier.verify(relabelled) }
    }

    @Test(arguments: ["", "AA", "AAAA", String(repeating: "A", count: 86), String(repeating: "_", count: 85) + "w"])
    func refusesSignaturesThatAreNone(_ signature: String) throws {
        let verifier = JWTCodec(keys: KeySet(signingKey: try JWTKey(jwk: .object(Self.elliptic))))
        let input = Base64URL.encode(Array(#"{"alg":"ES256","kid":"ec1"}"#.utf8)) + ".e30."
        #expect(throws: JWTError.badSignature) { try verifier.verify(input + signature) }
    }

    private static func changed(_ key: JSONObject, _ name: String, _ value: JSON?) -> JSON {
        var key = key
        key[name] = value
        return .object(key)
    }

    @Test(
        arguments: [
            [:], ["kty": "OKP"], ["kty": "oct"], ["kty": "oct", "k": "c2hvcnQ"],
            changed(elliptic, "crv", "P-384"), changed(elliptic, "x", nil), changed(elliptic, "y", "AAAA"),
            changed(elliptic, "y", .string(String(repeating: "A", count: 43))), changed(elliptic, "alg", "RS256"),
            changed(elliptic, "d", 1), changed(rsa, "n", "AQAB"), changed(rsa, "e", nil), changed(rsa, "alg", "HS256"),
        ] as [JSON])
    func refusesKeysThatAreNone(_ jwk: JSON) {
        #expect(throws: CryptographyError.invalidKey) { try JWTKey(jwk: jwk) }
    }

    @Test func publishesPublicHalvesOnly() throws {
        let keys = KeySet(
            signingKey: try JWTKey(jwk: .object(Self.elliptic)), verificationKeys: [JWTKey(sharedSecret: [1, 2, 3])])
        var expected = Self.elliptic
        expected["d"] = nil
        expected["alg"] = "ES256"
        expected["use"] = "sig"
        expected["key_ops"] = ["verify"]
        #expect(keys.publicJWKS == ["keys": [.object(expected)]])
    }

    @Test func keysDoNotShow() {
        var dumped = ""
        dump(JWTKey(sharedSecret: Array("hunter2hunter2".utf8)), to: &dumped)
        #expect(!dumped.contains("104") && !dumped.contains("hunter"))
    }
}
