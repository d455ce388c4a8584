// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Testing

@Suite struct BcryptTests {
    private static let seventyTwo = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

    /// Vectors published with crypt_blowfish.
    @Test(arguments: [
        ("U*U", "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("U*U*", "CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
        ("U*U*U", "XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
        (seventyTwo + "chars after 72 are ignored", "abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"),
    ])
    func verifiesThePublishedVectorsInEachVersion(_ password: String, _ hash: String) {
        for version in ["$2a$05$", "$2b$05$", "$2y$05$"] {
            #expect(Bcrypt.verify(password, against: version + hash))
            #expect(!Bcrypt.verify("x" + password, against: version + hash))
        }
    }

    @Test(arguments: [
        "", "*0", "$1$abc$def", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe\u{e9}",
        "$argon2id$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaaaa",
    ])
    func refusesOtherHashes(_ hash: String) {
        #expect(!Bcrypt.verify("U*U", against: hash))
        #expect(Bcrypt.cost(of: hash) == nil)
    }

    @Test func hashesWhatItVerifies() throws {
        let hash = try Bcrypt.hash("p\u{e4}ssword", cost: 4)
        #expect(hash.hasPrefix("$2b$04$"))
        #expect(hash.utf8.count == 60)
        #expect(Bcrypt.cost(of: hash) == 4)
        #expect(Bcrypt.verify("p\u{e4}ssword", against: hash))
        #expect(!Bcrypt.verify("password", against: hash))
        #expect(try Bcrypt.hash("p\u{e4}ssword", cost: 4) != hash)
    }

    @Test func refusesToHashWhatWouldBeCut() throws {
        _ = try Bcrypt.hash(Self.seventyTwo, cost: 4)
        #expect(throws: CryptographyError.passwordNotHashable) { try Bcrypt.hash(Self.seventyTwo + "x", cost: 4) }
        #expect(throws: CryptographyError.passwordNotHashable) { try Bcrypt.hash("a\u{0}b", cost: 4) }
        #expect(!Bcrypt.verify("a\u{0}b", against: try Bcrypt.hash("a", cost: 4)))
    }

    @Test func verifyingAgainstTheUnguessableHashDoesTheWorkAndFails() {
        let hash = Bcrypt.unguessableHash(cost: 4)
        #expect(Bcrypt.cost(of: hash) == 4)
        #expect(!Bcrypt.verify("", against: hash))
        #expect(Bcrypt.unguessableHash(cost: 4) != hash)
    }
}
