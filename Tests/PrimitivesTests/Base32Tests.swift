// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@Suite struct Base32Tests {
    /// RFC 4648 section 10, without the padding.
    @Test(arguments: [
        ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ])
    func writesAndReads(_ plain: String, _ encoded: String) {
        #expect(Base32.encode(plain.utf8) == encoded)
        #expect(Base32.decode(encoded) == Array(plain.utf8))
        #expect(Base32.decode(encoded.lowercased() + "==") == Array(plain.utf8))
    }

    @Test(arguments: ["A", "ABC", "ABCDEF", "M1", "MY MY", "v1.key.AAAA"])
    func refuses(_ text: String) {
        #expect(Base32.decode(text) == nil)
    }
}
