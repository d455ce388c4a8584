// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives
import Testing

/// Tokens and keys were made by another implementation (Python's `cryptography`).
@Suite struct VerificationKeysTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var jwk: String
        var token: String

        init(_ name: String, jwk: String, token: String) {
            self.name = name
            self.jwk = jwk
            self.token = token
        }

        var testDescription: String { name }

        /// The key with further members.
        func key(_ members: JSONObject = [:]) throws -> JSON {
            var key = try JSON(parsing: jwk).objectValue ?? JSONObject()
            for member in members { key[member.name] = member.value }
            return .object(key)
        }
    }

    static let cases = [
        Case(
            "HS256",
            jwk: #"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMz"#
                + #"Q1Njc4OTo7PD0-Pw"}"#,
            token: #"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.I0_avX7oiBwgfSmuiazZnhDO_frXhsXhCk3gQigMhpA"#),
        Case(
            "RS256",
            jwk: #"{"kty":"RSA","n":"sLyPCrcKySaEclZj8oVs0WIDjMImjY333AblUwurvYaRdlmmm517O8S8ZF5zDbggkroLHt"#
                + #"Mbz1LHEWwaJPMgYTRFq81p-lJIMKIt3Sz7rUWVzFPkTbe5b9WLDWvvHxfwkziY2qVGP4I00Xmb7Pond4PyOfOEz_"#
                + #"Q7UVAU9svc_USeI_pEkqeU6F7r3GUPzV6XS7vSYK2tol8m2Jn0Wmax2eZ1UpM3f-DUZXAI_QMCuWLCrxSj4rnCzZ"#
                + #"enr_4d1oeNavXKKHmxlJixfyhy-4QQ_pfRn5sr_3rhWVHzCUZv2PRAGiNMdNJ0K4f3I2GpXFRpFllslL5Pg24JE2"#
                + #"j92rxScQ","e":"AQAB"}"#,
            token: #"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.G30jDi02wbowdV3hlJvYwCoqSNMT1JIyc3uksOl_1Ty42YVP79B"#
                + #"VCqYZCo1jVVcG6lzx0YTcQyFRhu6RQk036og4L6gZ9J9X9kEwReMC4v0ZWv2PQvTXUwTxXJzzBEtCc7lEz9m9J05"#
                + #"v903NW42Wpkp_KporYXIKVtBUg3Oy5i43fn0BwOXywglk5pBNv48lKRdFjrvHAdnfYfZ4Tv7YYTJbBMhui8DLu-d"#
                + #"6Vm5Y0lAnMTW89ScJEdAN4km-sh0uMcQGFpQV-b_XwMnjpJKHTCiH81djGdcQO0OBXwlbhsAqr5GJCzlrAOgzo8F"#
                + #"0KeXzbLKldhMbBGGW_IfqivOUgQ"#),
        Case(
            "PS256",
            jwk: #"{"kty":"RSA","n":"sLyPCrcKySaEclZj8oVs0WIDjMImjY333AblUwurvYaRdlmmm517O8S8ZF5zDbggkroLHt"#
                + #"Mbz1LHEWwaJPMgYTRFq81p-lJIMKIt3Sz7rUWVzFPkTbe5b9WLDWvvHxfwkziY2qVGP4I00Xmb7Pond4PyOfOEz_"#
                + #"Q7UVAU9svc_USeI_pEkqeU6F7r3GUPzV6XS7vSYK2tol8m2Jn0Wmax2eZ1UpM3f-DUZXAI_QMCuWLCrxSj4rnCzZ"#
                + #"enr_4d1oeNavXKKHmxlJixfyhy-4QQ_pfRn5sr_3rhWVHzCUZv2PRAGiNMdNJ0K4f3I2GpXFRpFllslL5Pg24JE2"#
                + #"j92rxScQ","e":"AQAB"}"#,
            token: #"eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJhIn0.hGQJIsgBPKhwa-G_piLB3x_I9-dup3AnUqXHdB_wfBLqk--YKZ5"#
                + #"OwhXBTUO8slPOC-QwEbA_dY-KC3E5jWsOazPLar7-zqRcdY8YdMqBOhFmnXJA8rDYCI7BJ_i1FPNAs3e8WgQQC0U"#
                + #"c05E9f9rh986O95Gw455Ecx6V1HIRIFSDBCY_zA88ecfBPZNqTf3JfvbGE417gh1mgyKqbBwNqVSRJKoXsCJlXsH"#
                + #"ylz8UTC9Y44ZcwqOpSGtRuj4nTjPqsG1vEzjJNcUsAYogwJpwB2D7g9o4nI9nEjvHI9mQYZUf6u4ABBhBmbNW2PH"#
                + #"ZMWqsHackNUJUwcgO6YK3tG3txw"#),
        Case(
            "HS384",
            jwk: #"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMz"#
                + #"Q1Njc4OTo7PD0-Pw"}"#,
            token: #"eyJhbGciOiJIUzM4NCJ9.eyJzdWIiOiJhIn0.Z2wrIZWYKo16Go9P1xFlqeJwb9Dt356Y5LXpJcIRlqwHNxpnWCy"#
                + #"Zxy__TiD6E1Qu"#),
        Case(
            "RS384",
            jwk: #"{"kty":"RSA","n":"sLyPCrcKySaEclZj8oVs0WIDjMImjY333AblUwurvYaRdlmmm517O8S8ZF5zDbggkroLHt"#
                + #"Mbz1LHEWwaJPMgYTRFq81p-lJIMKIt3Sz7rUWVzFPkTbe5b9WLDWvvHxfwkziY2qVGP4I00Xmb7Pond4PyOfOEz_"#
                + #"Q7UVAU9svc_USeI_pEkqeU6F7r3GUPzV6XS7vSYK2tol8m2Jn0Wmax2eZ1UpM3f-DUZXAI_QMCuWLCrxSj4rnCzZ"#
                + #"enr_4d1oeNavXKKHmxlJixfyhy-4QQ_pfRn5sr_3rhWVHzCUZv2PRAGiNMdNJ0K4f3I2GpXFRpFllslL5Pg24JE2"#
                + #"j92rxScQ","e":"AQAB"}"#,
            token: #"eyJhbGciOiJSUzM4NCJ9.eyJzdWIiOiJhIn0.r2qgNBQxYOg--bAKBkFGt_xUQDnCpxNjSk0EsE18dje_YpOarE_"#
                + #"2xLejFRNAI_-Sztqf1xPMDeo_Xg4b15Z1U_HmiPGHLW-zaVED_BvWuUY-mv6u-YX5jpPlytjpre64aO9sB-ggKwt"#
                + #"p1Sx2EdJjJVop-rPr8wB1_Z1gKogwq_mdK5SI2JqcDR91n4Dy8wTCZQl7E2zgtPI1V8irWY2qcz2aCY6Yd-qVJxw"#
                + #"b7WbajMfZF_HxTcolwX9IYCIzK6jEP1WqkOQu27W-g8c7fBAKqsQz9HRrhSdfacFysqX0768cWSMPA1JhAEKWC1v"#
                + #"bvzQJhv7U2NSjTDV_tzwCxQnADQ"#),
        Case(
            "PS384",
            jwk: #"{"kty":"RSA","n":"sLyPCrcKySaEclZj8oVs0WIDjMImjY333AblUwurvYaRdlmmm517O8S8ZF5zDbggkroLHt"#
                + #"Mbz1LHEWwaJPMgYTRFq81p-lJIMKIt3Sz7rUWVzFPkTbe5b9WLDWvvHxfwkziY2qVGP4I00Xmb7Pond4PyOfOEz_"#
                + #"Q7UVAU9svc_USeI_pEkqeU6F7r3GUPzV6XS7vSYK2tol8m2Jn0Wmax2eZ1UpM3f-DUZXAI_QMCuWLCrxSj4rnCzZ"#
                + #"enr_4d1oeNavXKKHmxlJixfyhy-4QQ_pfRn5sr_3rhWVHzCUZv2PRAGiNMdNJ0K4f3I2GpXFRpFllslL5Pg24JE2"#
                + #"j92rxScQ","e":"AQAB"}"#,
            token: #"eyJhbGciOiJQUzM4NCJ9.eyJzdWIiOiJhIn0.e_voOdC33w4Wej553pYL3dBRXS5TJ7m934ehUKMfahMgf3dfTTI"#
                + #"77098kIlL8rczEfhgR1sKwDU0rNXMGa4QCZkF3SWjlyQajBtAChdVAkdy63iHdM1K9NfUUBR5B7Us_oB7sYIge-L"#
                + #"wunDhIyoWYz_NEHUyV0jxT6P5wdk16iYoL86DzsU3r0KSJjRKCZMmk7fiuu28vysaIu5TGLKf-gbYzqYlVrAjW2K"#
                + #"E-I09lfhFeqx8wSzRh7Smrr35DZNG6x6FGQhMpao1gU1KtNhh0sFTR-fqtUmv7JTfMSGAAChnhWa9ai6DqPvrMkT"#
                + #"ayi_QreuGGcbIsNZlRkKW4s_lUw"#),
        Case(
            "HS512",
            jwk: #"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMz"#
                + #"Q1Njc4OTo7PD0-Pw"}"#,
            token: #"eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhIn0.xol27y9BmxERCfNuIvyZOwU1RfIkVXL9d5ypPEVT6Peg3X59G67"#
                + #"6QhO0naCp5yp6xijCm5qnay3mcRxiKgoHEg"#),
        Case(
            "RS512",
            jwk: #"{"kty":"RSA","n":"sLyPCrcKySaEclZj8oVs0WIDjMImjY333AblUwurvYaRdlmmm517O8S8ZF5zDbggkroLHt"#
                + #"Mbz1LHEWwaJPMgYTRFq81p-lJIMKIt3Sz7rUWVzFPkTbe5b9WLDWvvHxfwkziY2qVGP4I00Xmb7Pond4PyOfOEz_"#
                + #"Q7UVAU9svc_USeI_pEkqeU6F7r3GUPzV6XS7vSYK2tol8m2Jn0Wmax2eZ1UpM3f-DUZXAI_QMCuWLCrxSj4rnCzZ"#
                + #"enr_4d1oeNavXKKHmxlJixfyhy-4QQ_pfRn5sr_3rhWVHzCUZv2PRAGiNMdNJ0K4f3I2GpXFRpFllslL5Pg24JE2"#
                + #"j92rxScQ","e":"AQAB"}"#,
            token: #"eyJhbGciOiJSUzUxMiJ9.eyJzdWIiOiJhIn0.YV98V-veJ7HUb3lnySnahEt9f57HDvsT6xjXnmins6fOZHTAk4C"#
                + #"9u8UsYiGdv43cxcXDRyRQucGILByv7vt0y_PLPJi3fFsXhKnQCFImiTtwfLVuDHaoaM_VDYPkbMhTY8gYJy0CcT2"#
                + #"yko_7oC0yxLoUkD_RYMGTQIIiqUIO0cc5bDjSz3WasdECvaM-9eoXW046oogON4hApyIePS6ODONQcTMpGqd_qKz"#
                + #"2_koTMpUVwv-0cQUp2mD4Ya0ftE9eZUcLY62onJuxklvvj7860Qih8qdY85Oknj87mVwjwVrOSn0wjZ-4XTDRL5D"#
                + #"9H682O8cRRZ95sVwa3P90BD4qug"#),
        Case(
            "PS512",
            jwk: #"{"kty":"RSA","n":"sLyPCrcKySaEclZj8oVs0WIDjMImjY333AblUwurvYaRdlmmm517O8S8ZF5zDbggkroLHt"#
                + #"Mbz1LHEWwaJPMgYTRFq81p-lJIMKIt3Sz7rUWVzFPkTbe5b9WLDWvvHxfwkziY2qVGP4I00Xmb7Pond4PyOfOEz_"#
                + #"Q7UVAU9svc_USeI_pEkqeU6F7r3GUPzV6XS7vSYK2tol8m2Jn0Wmax2eZ1UpM3f-DUZXAI_QMCuWLCrxSj4rnCzZ"#
                + #"enr_4d1oeNavXKKHmxlJixfyhy-4QQ_pfRn5sr_3rhWVHzCUZv2PRAGiNMdNJ0K4f3I2GpXFRpFllslL5Pg24JE2"#
                + #"j92rxScQ","e":"AQAB"}"#,
            token: #"eyJhbGciOiJQUzUxMiJ9.eyJzdWIiOiJhIn0.nme1abw1n0ng5eChNnf7u4oOVmaGvPG1e-FvpBogGzdTACoxpzm"#
                + #"xxsMvzIOT0BI_Ko8sOju5he8ML2OMNDrrqzQr01hFphv7qk4ecxna3hOxud2XvU6aJRe6UAItAf0u3qV3JlIpKmM"#
                + #"xTXVdDBZP1KR7aGZsnvHUH9ZTTW6FP5hD4Zp7Nx0A2fLVverwYfDLWeS4ptODbor7IENIXgZxBJ13f2F4jLdyvXK"#
                + #"OEIHY90TZ72h8CyONBTbE8kzGEi3ZyUXJGY8pLpu99nnb_kzY0Weo8OcEMHTGW-zBZlSoVsdAudQuqh9wGE32wka"#
                + #"eLICDPiP6rBWmmOpjCyJTBM7vpA"#),
        Case(
            "ES256",
            jwk: #"{"kty":"EC","crv":"P-256","x":"6qvOXqMV1pheWMoafhcsRRRBcR1r-axRzHLEnDgPnMY","y":"E2gGuX1"#
                + #"UMh4LFVcsLzY1W3505k3Lmj9g4_shDE_gRtY"}"#,
            token: #"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.SegGt5Rq8Vc-rDn4azdIVkgYP8RCwNWsZRcYUdBtb5JkqLaIAVq"#
                + #"8pvLSglu3N39rhTSIvUrgDhD6nUSnkCt8-Q"#),
        Case(
            "ES384",
            jwk: #"{"kty":"EC","crv":"P-384","x":"7oEuW2sGXzq3TYBhcPPMqCo9dSCTQcBZ08syfiXtgQ7R5FOlZMw-ZAdh3"#
                + #"ptICtaD","y":"gXnqvBqcoFVyVu9yZ-iXWvgo-nc51LllxoIdKnUoWvcu0KlInzKTC5Mefsq_zuRG"}"#,
            token: #"eyJhbGciOiJFUzM4NCJ9.eyJzdWIiOiJhIn0.VNZHYBHK-hmIF3TDFbQ8iI2LHDsZw_gfkoXvK86zMMgPm0vj9ko"#
                + #"otngeBEaCzBuRWdntb6mBKiKx0OP6UZJBo4HNBrljf7C0BfRhFJFt86ik7d2LaQiuITNldzyvQSZZ"#),
        Case(
            "ES512",
            jwk: #"{"kty":"EC","crv":"P-521","x":"Ach-oA66nS8qpDAhuHMj7kwcnvCbGsIgDyX_sLWR0rOF18zuqDWlBu6mk"#
                + #"u26_n1vUOfqVEfSdF6cLR3vEIcWD47C","y":"ATxTp74XNpZIgEfs565XOgkdKlC-g2IUe_OzkTP0j_OtdwR7zY"#
                + #"ADgvGBKyUnLxTLXTYvgliO5mNNyB__jG8UF9C_"}"#,
            token: #"eyJhbGciOiJFUzUxMiJ9.eyJzdWIiOiJhIn0.AQjGNoApp_OF18pybq39viGQm-S3Y2vwF7fjVWcDpJw1Act9KiL"#
                + #"vkJLoIomgMyN4DiMGogPpvfC7Ou1iLuyPf2a_ACIx0KZGHLy6rth0KTypUQJVisZkJH7KTuhFQkmLy9cR9ckvzFY"#
                + #"nefEMufTJwFSG3_Cwm40nUJLUiXYd5hPAaF9x"#),
        Case(
            "Ed25519",
            jwk: #"{"kty":"OKP","crv":"Ed25519","x":"UeiTK-HLWimCe6qZKO4dfZlfcYKMVJ_IZ2pM6eQlVJQ"}"#,
            token: #"eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.vWjgiOncJNPYdqRCLYhmZIbkJ_PR-m_Q4nwN125JNT1_NMkSnSW"#
                + #"ViUjjjG9ZvVX6A18g0YvlzJultdHF4oDBBQ"#),
        Case(
            "Ed448",
            jwk: #"{"kty":"OKP","crv":"Ed448","x":"mSduJg2x5BM_oj_KOqi2pk1GXNgXT2ZJRCSf089VBWySXQ6CNlWHWfC0"#
                + #"Ex8wIzWJ5j1JjsMlCMKA"}"#,
            token: #"eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.qnhmAjf42LeqLACBCCCTW0itBurHSnR_vMAk6UnJ808B7AVqTFD"#
                + #"Mt4_iP1-h9-zJwszf6gJSQOaA_xIiOAZk1W-3h4xoXgFpLwKAvOQfbGlZh0dqyFjAp_zZMsM2Cza8gTU72hOHVik"#
                + #"8MqJlLo0AhTkA"#),
    ]

    private static func token(_ header: String) -> String {
        Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array("{}".utf8)) + ".AA"
    }

    // MARK: Refusals

    @Test(arguments: cases) func refusesAChangedSignature(_ test: Case) throws {
        let keys = try VerificationKeys(jwk: test.key())
        var bytes = Array(test.token.utf8)
        bytes[bytes.count - 6] = bytes[bytes.count - 6] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        let changed = String(decoding: bytes, as: UTF8.self)
        #expect(throws: JWTError.badSignature) { try keys.claims(ofSigned: changed) }
    }

    @Test(arguments: cases) func refusesAKeyOfAnotherAlgorithmUseOrName(_ test: Case) throws {
        let other = test.name == "HS256" ? "HS384" : "HS256"
        for members: JSONObject in [["alg": .string(other)], ["kid": "b", "alg": .string(other)]] {
            let keys = try VerificationKeys(jwk: test.key(members))
            #expect(throws: JWTError.unknownKey) { try keys.claims(ofSigned: test.token) }
        }
        #expect(throws: CryptographyError.invalidKey) { try VerificationKeys(jwk: test.key(["use": "enc"])) }
    }

    @Test func refusesWhatIsNoSignedToken() throws {
        let keys = VerificationKeys(sharedSecret: Array(repeating: 7, count: 32))
        let cases: [(String, JWTError)] = [
            (Self.token(#"{"alg":"none"}"#), .unsupportedAlgorithm), (Self.token(#"{"alg":"HS1"}"#), .malformed),
            (Self.token(#"{"alg":"HS256","crit":["x"]}"#), .malformed), (Self.token("{}"), .malformed),
            (Self.token("nothing"), .malformed), ("a.b", .malformed), ("", .malformed),
            (Self.token(#"{"alg":"HS384"}"#), .unknownKey), (Self.token(#"{"alg":"RS256"}"#), .unknownKey),
            (Self.token(#"{"alg":"HS256","kid":"a"}"#), .unknownKey), (Self.token(#"{"alg":"HS256"}"#), .badSignature),
            (String(repeating: "a", count: 16 << 10) + "..", .tooLarge),
        ]
        for (token, error) in cases {
            #expect(throws: error) { try keys.claims(ofSigned: token) }
        }
    }

    @Test(arguments: [
        "{}", #"{"kty":"oct"}"#, #"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
        #"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
        #"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#, #"{"kty":"other"}"#, #"{"keys":[]}"#,
        #"{"keys":[{"kty":"other"}]}"#,
    ])
    func refusesKeysThatAreNotWhole(_ text: String) throws {
        let key = try JSON(parsing: text)
        #expect(throws: CryptographyError.invalidKey) { try VerificationKeys(jwk: key) }
    }

    // MARK: What it takes

    @Test(arguments: cases) func verifiesTokensOfOthers(_ test: Case) throws {
        let alone = try VerificationKeys(jwk: test.key(["kid": "mine"]))
        #expect(try alone.claims(ofSigned: test.token)["sub"] == "a")
        // Of a set the key that fits is found, whatever else is in it.
        let others = try Self.cases.filter { $0.jwk != test.jwk }.map { try $0.key() }
        let set = try VerificationKeys(jwk: ["keys": .array([["kty": "other"]] + others + [test.key()])])
        #expect(try set.claims(ofSigned: test.token)["sub"] == "a")
    }
}
