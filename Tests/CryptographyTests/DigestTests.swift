// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives
import Testing

@Suite struct DigestTests {
    /// The one-block message of FIPS 180-4's examples.
    @Test(arguments: [
        (DigestAlgorithm.sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            .sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
        ),
        (
            .sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ])
    func digestsThePublishedMessage(_ algorithm: DigestAlgorithm, _ expected: String) throws {
        #expect(Hex.encode(digest("abc".utf8, using: algorithm)) == expected)
        var incremental = try IncrementalDigest(algorithm)
        for character in ["a", "", "bc"] { Array(character.utf8).withUnsafeBytes { incremental.update($0) } }
        #expect(Hex.encode(incremental.finish()) == expected)
    }

    @Test func digestsNothing() {
        #expect(
            Hex.encode(digest([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    /// RFC 4231, test cases 1, 2 and 6.
    @Test(arguments: [
        (
            String(repeating: "0b", count: 20), "Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"
        ),
        (
            "4a656665", "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"
        ),
        (
            String(repeating: "aa", count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952"
        ),
    ])
    func authenticatesThePublishedMessages(
        _ key: String, _ message: String, _ sha256: String, _ sha384: String
    ) throws {
        let key = try #require(Hex.decode(key))
        #expect(Hex.encode(HMAC.code(for: message.utf8, key: key)) == sha256)
        #expect(Hex.encode(HMAC.code(for: message.utf8, key: key, using: .sha384)) == sha384)
        #expect(HMAC.isValid(try #require(Hex.decode(sha256)), for: message.utf8, key: key))
        #expect(!HMAC.isValid([UInt8](repeating: 0, count: 32), for: message.utf8, key: key))
        #expect(!HMAC.isValid([], for: message.utf8, key: key))
    }

    @Test func authenticatesUnderAnEmptyKey() {
        #expect(
            Hex.encode(HMAC.code(for: [], key: []))
                == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    /// RFC 5869, test cases 1 and 3.
    @Test func derivesThePublishedKeys() throws {
        let secret = [UInt8](repeating: 0x0b, count: 22)
        #expect(
            Hex.encode(
                HKDF.derive(from: secret, salt: Array(0...0x0c), info: Array(0xf0...0xf9), count: 42))
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        #expect(
            Hex.encode(HKDF.derive(from: secret, info: [], count: 42))
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    }

    /// The vectors of RFC 7914, section 11.
    @Test(
        arguments: [
            (
                "passwd", "salt", 1,
                "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                    + "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
            ),
            (
                "Password", "NaCl", 80000,
                "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
                    + "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"
            ),
        ])
    func keysOfPasswordsAreThoseOfTheStandard(_ password: String, _ salt: String, _ iterations: Int, _ key: String) {
        let derived = PBKDF2.derive(
            from: Array(password.utf8), salt: Array(salt.utf8), iterations: iterations, count: 64)
        #expect(Hex.encode(derived) == key)
    }

    @Test func randomTextsUseTheirAlphabet() {
        let text = randomText(10_000, from: "abc")
        #expect(text.utf8.count == 10_000)
        #expect(Set(text) == ["a", "b", "c"])
        #expect(randomBytes(32) != randomBytes(32))
    }
}
