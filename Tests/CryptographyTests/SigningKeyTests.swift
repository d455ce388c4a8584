// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives
import Testing

/// Keys made here, and read from PEM.
@Suite struct SigningKeyTests {
    @Test(arguments: [JWTAlgorithm.es256, .rs256])
    func generatedKeysSignAndPublishTheirPublicHalfOnly(_ algorithm: JWTAlgorithm) throws {
        let key = try JWTKey(jwk: try JWTKey.generateJWK(for: algorithm))
        let codec = JWTCodec(keys: KeySet(signingKey: key))
        let token = try codec.sign(["sub": "a"])
        #expect(try codec.verify(token).subject == "a")
        let published = try #require(key.publicJWK)
        #expect(published["kid"]?.stringValue == key.id)
        for secret in ["d", "p", "q", "dp", "dq", "qi", "k"] { #expect(published[secret] == nil) }
        #expect(try VerificationKeys(jwk: published).claims(ofSigned: token)["sub"] == "a")
        #expect(try JWTKey.generateJWK(for: algorithm)["kid"] != JWTKey.generateJWK(for: algorithm)["kid"])
    }

    @Test func sharedSecretsAreNotGenerated() {
        #expect(throws: CryptographyError.invalidKey) { try JWTKey.generateJWK(for: .hs256) }
    }

    /// Made with OpenSSL for this test.
    private static let pem = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgviCWj+oTMWr3rTII
        KcUUAnfViDN5pYRjSBn+BVxfNWyhRANCAAQgxZMixcrX0UEkHic0I+AcpaAM8LdE
        eU6WmmYC7aeaTdmBpZFNDiZH1oVKNx6rgKG47VBQdjyLV2Vvl2pp+cp0
        -----END PRIVATE KEY-----
        """

    @Test func readsAKeyAsAppleHandsItOut() throws {
        let key = try JWTKey(privatePEM: Self.pem, id: "ABC123")
        #expect(key.algorithm == .es256)
        #expect(key.publicJWK?["x"] == "IMWTIsXK19FBJB4nNCPgHKWgDPC3RHlOlppmAu2nmk0")
        #expect(key.publicJWK?["y"] == "2YGlkU0OJkfWhUo3HquAobjtUFB2PItXZW-Xamn5ynQ")
        let codec = JWTCodec(keys: KeySet(signingKey: key))
        #expect(try codec.verify(try codec.sign(["sub": "a"])).subject == "a")
    }

    @Test(arguments: [
        "", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        // On P-384, and on Ed25519.
        """
        -----BEGIN PRIVATE KEY-----
        MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCxWu4VsSU3jUtTD+m3
        4gYhFhk7HRBdaKPpzk9Ci560bjKVb0BlRGe8qyjQYAeWf0yhZANiAARRGmWj02UB
        Qzq++gSQfjU4xY70z1dlbl8U+froDuyJ3tP2FIm1775Q3hIiHWK944BD5/yZYz2s
        dYb2F5AZ9U9blKaI4IJJMcJ+KO2lTNlUy1SncLmYmr20ETDSRl2IuOk=
        -----END PRIVATE KEY-----
        """,
        """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIDLEaWUjjeTdXcV4DGBGkVLoSsR8S6fcOSv1eL6P81UV
        -----END PRIVATE KEY-----
        """,
    ])
    func refusesAnyOtherKey(_ text: String) {
        #expect(throws: CryptographyError.invalidKey) { try JWTKey(privatePEM: text, id: nil) }
    }
}
