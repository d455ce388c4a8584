// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import HTTP
import PlatformTestSupport
import Primitives
import Synchronization
import TestSupport
import Testing

/// Proofs of a human, which a server of our own checks in the form that hCaptcha and Turnstile speak.
@Suite struct CaptchaTests {
    /// What the provider was asked, and how it answers.
    final class Double: Sendable {
        let asked = Mutex<[FormFields]>([])
        let answer: @Sendable (FormFields) -> HTTPResponse

        init(_ answer: @escaping @Sendable (FormFields) -> HTTPResponse = Double.strict) { self.answer = answer }

        /// A proof counts once; the words are those both providers document.
        static let strict: @Sendable (FormFields) -> HTTPResponse = { fields in
            guard fields.first("secret") == CaptchaTests.secret else {
                return .json(["success": false, "error-codes": ["invalid-input-secret"]], status: 400)
            }
            guard fields.first("response") == "human" else {
                return .json(["success": false, "error-codes": ["invalid-input-response", "<b>not a word</b>"]])
            }
            return .json(["success": true, "hostname": "app.example.com", "challenge_ts": "2026-01-01T00:00:00Z"])
        }
    }

    static let secret = "0xSECRET-of-the-project"

    private static func run(
        _ provider: CaptchaConfiguration.Provider = .turnstile, _ double: Double = Double(), log: Log = .disabled,
        _ configure: @escaping @Sendable (inout AuthConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (AuthFixture) async throws -> Void
    ) async throws {
        try await withLoopbackServer {
            $0.on(.post, "/siteverify") { request in
                let fields = FormFields(query: String(decoding: try await request.body.collect(), as: UTF8.self))
                double.asked.withLock { $0.append(fields) }
                return double.answer(fields)
            }
        } _: { url in
            try await AuthFixture.run(log: log) {
                var captcha = CaptchaConfiguration(provider: provider, secret: SecretString(secret))
                captcha.url = url + "/siteverify"
                captcha.timeout = .milliseconds(500)
                $0.captcha = captcha
                $0.isAnonymousSignInEnabled = true
                $0.passkeys.isEnabled = true
                configure(&$0)
            } _: { auth in
                try await body(auth)
            }
        }
    }

    private static func body(_ members: JSONObject, proof: String?) -> String {
        var members = members
        if let proof { members["gotrue_meta_security"] = ["captcha_token": .string(proof)] }
        return JSON.object(members).text
    }

    // Where GoTrue asks for one, with what the endpoint would answer to somebody who has it.
    static let endpoints: [(path: String, body: JSONObject, status: Int)] = [
        ("/signup", ["email": "new@example.com", "password": "correct horse"], 200), ("/signup", [:], 200),
        ("/token?grant_type=password", ["email": "no@example.com", "password": "correct horse"], 400),
        ("/otp", ["email": "otp@example.com"], 200), ("/magiclink", ["email": "link@example.com"], 200),
        ("/recover", ["email": "new@example.com"], 200),
        ("/resend", ["type": "signup", "email": "a@example.com"], 200),
        ("/passkeys/authentication/options", [:], 200),
    ]

    @Test(arguments: CaptchaConfiguration.Provider.allCases)
    func isAskedForWhereStrangersCall(_ provider: CaptchaConfiguration.Provider) async throws {
        let double = Double()
        try await Self.run(provider, double) { auth in
            for (path, members, status) in Self.endpoints {
                for proof in [nil, "", " ", "robot", String(repeating: "x", count: 20_000)] {
                    let refused = try await auth.request("POST", path, Self.body(members, proof: proof))
                    #expect((refused.status, refused.errorCode) == (400, "captcha_failed"), "\(path) \(refused.text)")
                    #expect(!refused.text.contains("<b>"))
                }
                let taken = try await auth.request("POST", path, Self.body(members, proof: "human"))
                #expect(taken.status == status && taken.errorCode != "captcha_failed", "\(path) \(taken.text)")
            }
            let fields = double.asked.withLock { $0.last }
            #expect(fields?.all.map(\.name) == ["secret", "response", "remoteip"])
            #expect(fields?.first("remoteip") == "127.0.0.1")
            let members: JSONObject = ["email": "x@example.com", "gotrue_meta_security": "robot"]
            let malformed = try await auth.request("POST", "/otp", JSON.object(members).text)
            #expect(malformed.errorCode == "bad_json")
        }
    }

    @Test func isNotAskedForElsewhere() async throws {
        let double = Double()
        try await Self.run(.turnstile, double) { auth in
            let body = Self.body(["email": "ada@example.com", "password": "correct horse"], proof: "human")
            let session = try await auth.request("POST", "/signup", body)
            #expect(try await auth.refresh(try session.member("refresh_token")).status == 200)
            for (path, body, code) in [
                ("/token?grant_type=pkce", #"{"auth_code":"x","code_verifier":"x"}"#, "flow_state_not_found"),
                ("/verify", #"{"type":"email","email":"ada@example.com","token":"000000"}"#, "otp_expired"),
            ] {
                #expect(try await auth.request("POST", path, body).errorCode == code)
            }
            let asked = double.asked.withLock { $0.count }
            // The project's own back end is no human and need not be.
            let made = try await auth.administer(
                "POST", "/signup", ["email": "made@example.com", "password": "correct horse"])
            #expect(made.status == 200)
            #expect(double.asked.withLock { $0.count } == asked)
        }
    }

    struct Outage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let answer: @Sendable (FormFields) -> HTTPResponse
    }

    static let outages = [
        Outage(testDescription: "an error") { _ in .empty(502) },
        Outage(testDescription: "no JSON") { _ in .empty(200) },
        Outage(testDescription: "no verdict") { _ in .json(["ok": true]) },
        Outage(testDescription: "a verdict of another type") { _ in .json(["success": "true"]) },
        Outage(testDescription: "too much") { _ in
            .json(["success": true, "filler": .string(String(repeating: "x", count: 1 << 17))])
        },
    ]

    @Test(arguments: outages) func anOutageLetsNobodyIn(_ outage: Outage) async throws {
        try await Self.run(.hcaptcha, Double(outage.answer)) { auth in
            let body = Self.body(["email": "ada@example.com", "password": "correct horse"], proof: "human")
            let refused = try await auth.request("POST", "/signup", body)
            #expect((refused.status, refused.errorCode) == (400, "captcha_failed"), "\(refused.text)")
            #expect(try await auth.sql("select count(*) from auth.users") == "0")
        }
    }

    @Test func neitherSilenceNorAnAbsentProviderLetsAnybodyInAndNoSecretIsLogged() async throws {
        let lines = try LogFile()
        let silent = try #require(SilentServer())
        for url in ["http://127.0.0.1:\(silent.port)/siteverify", "http://127.0.0.1:1/siteverify"] {
            try await AuthFixture.run(log: lines.log) {
                var captcha = CaptchaConfiguration(provider: .turnstile, secret: SecretString(Self.secret))
                captcha.url = url
                captcha.timeout = .milliseconds(200)
                $0.captcha = captcha
            } _: { auth in
                let body = Self.body(["email": "ada@example.com", "password": "correct horse"], proof: "a-proof")
                let refused = try await auth.request("POST", "/signup", body)
                #expect((refused.status, refused.errorCode) == (400, "captcha_failed"), "\(refused.text)")
            }
        }
        let text = lines.text
        #expect(text.contains("captcha not verified"))
        #expect(!text.contains(Self.secret) && !text.contains("a-proof"))
    }
}
