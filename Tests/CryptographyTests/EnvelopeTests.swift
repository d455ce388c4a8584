// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives
import Testing

@Suite struct EnvelopeTests {
    private let first = [UInt8](repeating: 1, count: 32)
    private let second = [UInt8](repeating: 2, count: 32)
    private let context = SealingContext("tenant-a", "openai")

    /// Test case 16 of the GCM specification.
    @Test func sealsThePublishedVector() throws {
        let key = try #require(Hex.decode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"))
        let nonce = try #require(Hex.decode("cafebabefacedbaddecaf888"))
        let associated = try #require(Hex.decode("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
        let plaintext = try #require(
            Hex.decode(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                    + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"))
        let sealed = try AES256GCM.seal(plaintext, key: key, nonce: nonce, associatedData: associated)
        #expect(
            Hex.encode(sealed)
                == "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b")
        #expect(try AES256GCM.open(sealed, key: key, nonce: nonce, associatedData: associated) == plaintext)
    }

    @Test func refusesKeysAndNoncesOfOtherLengths() {
        #expect(throws: CryptographyError.invalidKey) {
            try AES256GCM.seal([], key: Array(first.dropLast()), nonce: Array(first.prefix(12)), associatedData: [])
        }
        #expect(throws: CryptographyError.invalidKey) {
            try AES256GCM.seal([], key: first, nonce: Array(first.prefix(11)), associatedData: [])
        }
        #expect(throws: CryptographyError.invalidKey) { try Keyring(keys: ["a": first], currentID: "b") }
        #expect(throws: CryptographyError.invalidKey) { try Keyring(keys: ["a.b": first], currentID: "a.b") }
        #expect(throws: CryptographyError.invalidKey) { try Keyring(keys: ["a": [1]], currentID: "a") }
    }

    @Test func refusesAnyChangedByteAndAnyOtherContext() throws {
        let keyring = try Keyring(keys: ["k1": first], currentID: "k1")
        let envelope = try keyring.seal(Array("sk-secret".utf8), context: context)
        let payload = try #require(Base64URL.decode(envelope.split(separator: ".")[2]))
        for index in payload.indices {
            var changed = payload
            changed[index] ^= 1
            #expect(throws: CryptographyError.authenticationFailed) {
                try keyring.open("v1.k1." + Base64URL.encode(changed), context: context)
            }
        }
        for other in [
            SealingContext("tenant-b", "openai"), SealingContext("tenant-a", "anthropic"),
            SealingContext("tenant-ao", "penai"), SealingContext("tenant-a"), SealingContext(),
        ] {
            #expect(throws: CryptographyError.authenticationFailed) { try keyring.open(envelope, context: other) }
        }
    }

    @Test func authenticatesTheKeyID() throws {
        let keyring = try Keyring(keys: ["k1": first, "k2": first], currentID: "k1")
        let envelope = try keyring.seal([1], context: context)
        #expect(throws: CryptographyError.authenticationFailed) {
            try keyring.open("v1.k2" + envelope.dropFirst(5), context: context)
        }
    }

    @Test(arguments: ["", "v1", "v1.k1", "v2.k1.AAAA", "v1.k1.AAAA", "v1..AAAA", "v1.k1.!!!!", "v1.k1.AAAA.AAAA"])
    func refusesWhatIsNoEnvelope(_ text: String) throws {
        let keyring = try Keyring(keys: ["k1": first], currentID: "k1")
        #expect(throws: CryptographyError.malformedEnvelope) { try keyring.open(text, context: context) }
    }

    @Test func opensWithFormerKeysAndNamesTheMissingOne() throws {
        let before = try Keyring(keys: ["k1": first], currentID: "k1")
        let during = try Keyring(keys: ["k1": first, "k2": second], currentID: "k2")
        let after = try Keyring(keys: ["k2": second], currentID: "k2")
        let envelope = try before.seal(Array("secret".utf8), context: context)
        #expect(try during.open(envelope, context: context) == Array("secret".utf8))
        #expect(try during.isOutdated(envelope))
        #expect(throws: CryptographyError.unknownKey(id: "k1")) { try after.open(envelope, context: context) }
        let renewed = try during.seal([], context: context)
        #expect(try !during.isOutdated(renewed))
        #expect(try after.open(renewed, context: context) == [])
    }

    @Test func neverSealsTheSameWayTwice() throws {
        let keyring = try Keyring(keys: ["k1": first], currentID: "k1")
        #expect(try keyring.seal([1], context: context) != keyring.seal([1], context: context))
    }
}
