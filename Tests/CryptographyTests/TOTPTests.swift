// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives
import Testing

@Suite struct TOTPTests {
    /// RFC 6238 appendix B: the moment, then the code with each algorithm.
    @Test(
        arguments: [
            (59, "94287082", "46119246", "90693936"), (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"), (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"), (20_000_000_000, "65353130", "77737706", "47863826"),
        ] as [(Int64, String, String, String)])
    func makesTheCodesOfTheSpecification(_ second: Int64, _ sha1: String, _ sha256: String, _ sha512: String) {
        let digits = "1234567890"
        func code(_ count: Int, _ algorithm: DigestAlgorithm) -> String {
            let secret = Array(String(repeating: digits, count: 7).utf8.prefix(count))
            let totp = TOTP(secret: secret, digits: 8, algorithm: algorithm)
            return totp.code(ofStep: totp.step(at: Timestamp(unixSeconds: second)))
        }
        #expect(code(20, .sha1) == sha1)
        #expect(code(32, .sha256) == sha256)
        #expect(code(64, .sha512) == sha512)
    }

    @Test(arguments: [(-31, false), (-30, true), (0, true), (30, true), (60, false)])
    func takesTheCodesOfTheNeighbouringPeriodsOnly(_ offset: Int64, _ isTaken: Bool) {
        let totp = TOTP(secret: Array("12345678901234567890".utf8))
        let now = Timestamp(unixSeconds: 3000)
        let step = totp.step(at: Timestamp(unixSeconds: 3000 + offset))
        #expect(totp.step(of: totp.code(ofStep: step), at: now) == (isTaken ? step : nil))
    }

    @Test(arguments: ["", "0", "00000", "0000000", "12a456", " 123456"])
    func refuses(_ code: String) {
        let totp = TOTP(secret: Array("12345678901234567890".utf8))
        #expect(totp.step(of: code, at: Timestamp(unixSeconds: 59)) == nil)
    }
}
