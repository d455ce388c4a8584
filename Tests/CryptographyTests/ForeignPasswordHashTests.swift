// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Testing

/// Hashes that accounts bring along: Argon2 in the PHC form, Firebase's scrypt in GoTrue's.
@Suite struct ForeignPasswordHashTests {
    /// Vectors of the reference implementation.
    @Test(arguments: [
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    ])
    func verifiesTheVectorsOfArgon2(_ text: String) throws {
        let hash = try #require(Argon2Hash(text))
        #expect(hash.isHash(of: "password"))
        for other in ["", "Password", "password\0", "passwor"] { #expect(!hash.isHash(of: other)) }
        // One bit more in the salt, or in the hash, is another hash.
        let salted = try #require(Argon2Hash(text.replacing("c29tZXNhbHQ", with: "c29tZXNhbHU")))
        #expect(!salted.isHash(of: "password"))
    }

    @Test(arguments: [
        "", "$argon2id$", "$argon2d$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=16$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=4294967295,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=256,t=1000000,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=8,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=256,t=0,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=256,t=2,p=+2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=256,t=2,p=2,keyid=x$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$", "$argon2id$v=19$m=256,t=2,p=2$$bQk8UB/VmZZF4Oo79iDXuA",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$***", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    ])
    func refusesOtherTextsAndCostsBeyondTheBounds(_ text: String) {
        #expect(Argon2Hash(text) == nil)
    }

    private static let signerKey =
        "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="

    private static func firebase(
        _ costs: String = "v=1,n=14,r=8,p=1", key: String = signerKey,
        hash: String = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
    ) -> String { "$fbscrypt$\(costs),ss=Bw==,sk=\(key)$42xEC+ixf3L2lw==$\(hash)" }

    /// The example of Firebase's own tool, and one of another cost made with Python's `hashlib` and `cryptography`.
    @Test func verifiesFirebasesExample() throws {
        let hash = try #require(FirebaseScryptHash(Self.firebase()))
        #expect(hash.isHash(of: "user1password"))
        for other in ["", "user1passwor", "User1password"] { #expect(!hash.isHash(of: other)) }
        let cheap = Self.firebase(
            "v=1,n=10,r=8,p=1",
            hash: "xUFJVKKOkekhDkLJJ8/Cc0vlT28fu867GIywOkuySctwMOlnpTKzc6ttYBdzqpSFOJx/SbnLr8OBDFmSof3cbw==")
        #expect(try #require(FirebaseScryptHash(cheap)).isHash(of: "p\u{e4}ssword 1"))
    }

    @Test(arguments: [
        "", "$fbscrypt$", firebase("v=2,n=14,r=8,p=1"), firebase("v=1,n=14,r=8"), firebase("n=14,r=8,p=1"),
        firebase("v=1,n=0,r=8,p=1"), firebase("v=1,n=63,r=8,p=1"), firebase("v=1,n=20,r=64,p=1"),
        firebase("v=1,n=14,n=1,r=8,p=1"), firebase("v=1,n=14,r=8,p=99999999999999999999"), firebase(key: ""),
        firebase(key: "AAAA"), firebase(hash: ""), firebase(hash: "not base 64"), firebase() + "$",
    ])
    func refusesOtherTextsAndCostsBeyondFirebases(_ text: String) {
        #expect(FirebaseScryptHash(text) == nil)
    }
}
