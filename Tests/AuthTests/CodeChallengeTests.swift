// SPDX-License-Identifier: Apache-2.0
import Auth
import Testing

@Suite struct CodeChallengeTests {
    /// The example of RFC 7636, appendix B.
    private static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    private static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

    struct Case: Sendable {
        let challenge: String
        let method: String
        let message: String
    }

    static let refused = [
        Case(challenge: challenge, method: "", message: "PKCE flow requires code_challenge_method and code_challenge"),
        Case(challenge: "", method: "s256", message: "PKCE flow requires code_challenge_method and code_challenge"),
        Case(challenge: challenge, method: "s512", message: "unsupported code_challenge method"),
        Case(
            challenge: String(repeating: "a", count: 42), method: "s256",
            message: "code challenge has to be between 43 and 128 characters"),
        Case(
            challenge: String(repeating: "a", count: 129), method: "plain",
            message: "code challenge has to be between 43 and 128 characters"),
        Case(
            challenge: String(repeating: "+", count: 43), method: "s256",
            message:
                "code challenge has to contain only alphanumeric characters, hyphens, periods, underscores and tildes"),
    ]

    @Test(arguments: refused)
    func refuses(_ refused: Case) {
        let error = #expect(throws: AuthError.self) {
            _ = try CodeChallenge(challenge: refused.challenge, method: refused.method)
        }
        #expect(error?.code == .validationFailed)
        #expect(error?.message == refused.message)
    }

    @Test func neitherMemberMeansNoChallenge() throws {
        #expect(try CodeChallenge(challenge: "", method: "") == nil)
    }

    @Test(arguments: ["s256", "S256"])
    func sha256IsAnsweredByItsVerifierOnly(_ method: String) throws {
        let challenge = try #require(try CodeChallenge(challenge: Self.challenge, method: method))
        #expect(challenge.isAnswered(by: Self.verifier))
        // A client that fell back to `plain` is not let through.
        #expect(!challenge.isAnswered(by: Self.challenge))
        #expect(!challenge.isAnswered(by: Self.verifier + "="))
        #expect(!challenge.isAnswered(by: ""))
    }

    @Test func plainIsAnsweredByItselfOnly() throws {
        let challenge = try #require(try CodeChallenge(challenge: Self.challenge, method: "plain"))
        #expect(challenge.isAnswered(by: Self.challenge))
        #expect(!challenge.isAnswered(by: Self.verifier))
    }
}
