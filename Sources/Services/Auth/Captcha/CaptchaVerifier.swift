// SPDX-License-Identifier: Apache-2.0
import HTTP
import HTTPClient
package import Primitives

/// Who checks that a human is at the other end, and how it is asked.
package struct CaptchaConfiguration: Sendable {
    /// The raw value is the word in `[auth.captcha] provider`.
    package enum Provider: String, Sendable, CaseIterable {
        case hcaptcha
        case turnstile

        /// Where it checks proofs.
        var url: String {
            switch self {
            case .hcaptcha: "https://api.hcaptcha.com/siteverify"
            case .turnstile: "https://challenges.cloudflare.com/turnstile/v0/siteverify"
            }
        }
    }

    package var provider: Provider
    /// The project's key at the provider.
    package var secret: SecretString
    /// In place of the provider's own address: a relay, or a test's stand-in.
    package var url: String?
    /// Until the provider has answered.
    package var timeout: Duration = .seconds(10)

    package init(provider: Provider, secret: SecretString) {
        self.provider = provider
        self.secret = secret
    }
}

/// Asks the provider whether a proof is right. Both providers speak the same form: fields in, a JSON object out.
struct CaptchaVerifier: Sendable {
    let configuration: CaptchaConfiguration
    let client: HTTPClient

    /// The longest proof that is passed on, in bytes: Turnstile's have up to 2 KiB, hCaptcha's some more.
    private static let maxProofBytes = 16 << 10

    /// What the provider said, or why it said nothing.
    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameters:
    ///   - proof: what the page's widget gave; it counts once, which is the provider's to see to.
    ///   - address: the client's, which the provider compares with the one that solved the challenge.
    /// - Throws: `captchaFailed`: for a proof that is missing or wrong, and also when the provider cannot be asked, as letting
    ///   everybody in meanwhile would be what an attacker waits for.
    func verify(_ proof: String, from address: String) async throws(AuthError) {
        let proof = proof.filter { !$0.isWhitespace }
        guard !proof.isEmpty else {
            throw AuthError(.captchaFailed, "captcha protection: request disallowed (no captcha_token found)")
        }
        guard proof.utf8.count <= Self.maxProofBytes else { throw Self.refusal("invalid-input-response") }
        let answer: JSON
        do { answer = try await ask(proof, address) } catch {
            throw AuthError(.captchaFailed, "captcha verification process failed", cause: error)
        }
        guard answer["success"]?.boolValue == true else {
            // Words such as `timeout-or-duplicate`; whatever else stands there is not passed on.
            let words = (answer["error-codes"]?.arrayValue ?? []).prefix(8).compactMap(\.stringValue)
                .filter { $0.utf8.count <= 64 && $0.utf8.allSatisfy { ($0 | 0x20) &- 97 < 26 || $0 == 45 || $0 == 95 } }
            throw Self.refusal(words.joined(separator: ", "))
        }
    }

    private static func refusal(_ words: String) -> AuthError {
        AuthError(.captchaFailed, "captcha protection: request disallowed" + (words.isEmpty ? "" : " (\(words))"))
    }

    private func ask(_ proof: String, _ address: String) async throws -> JSON {
        let fields = [("secret", configuration.secret.reveal()), ("response", proof), ("remoteip", address)]
        var request = HTTPClientRequest(
            .post, configuration.url ?? configuration.provider.url,
            headers: ["Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"],
            body: Array(FormFields.encode(fields.map { (name: $0.0, value: $0.1) }).utf8))
        request.timeout = configuration.timeout
        request.maxResponseBytes = 64 << 10
        let response = try await client.send(request)
        // hCaptcha tells of a wrong proof with 200, Turnstile also with 400: the body says it either way.
        guard response.status.code < 500, let answer = try? JSON(parsing: response.body, maxDepth: 16),
            answer["success"]?.boolValue != nil
        else { throw Failure(description: "\(configuration.provider.rawValue) answered \(response.status.code)") }
        return answer
    }
}

extension AuthService {
    /// Reads the body of an endpoint that strangers call, and checks the proof of a human in it where the project asks for one.
    /// Administrators need none.
    ///
    /// - Parameter mayBeEmpty: whether no body will do as one without members.
    /// - Throws: what reading the body throws, and `captchaFailed`.
    func humanFields(_ request: HTTPRequest, mayBeEmpty: Bool = false) async throws -> RequestFields {
        let body = try await request.body.collect(upTo: configuration.maxBodyBytes)
        let fields = mayBeEmpty && body.isEmpty ? RequestFields([:]) : try RequestFields(parsing: body)
        guard let captcha else { return fields }
        if (try? await administrator(request)) != nil { return fields }
        let security = RequestFields(try fields.object("gotrue_meta_security"))
        do throws(AuthError) {
            try await captcha.verify(try security.text("captcha_token"), from: request.remoteAddress)
        } catch {
            if let cause = error.cause {
                log.error(
                    "captcha not verified", .field("request_id", request.id), .field("cause", String(describing: cause))
                )
            }
            throw error
        }
        return fields
    }
}
