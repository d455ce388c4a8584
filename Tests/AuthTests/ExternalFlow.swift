// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import HTTP
import Primitives
import Synchronization
import TestSupport
import Testing

/// A browser's way to a provider and back.
struct ExternalFlow: Sendable {
    static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    static let challenge = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=s256"

    let fixture: AuthFixture
    /// Where the browser was sent.
    let location: String
    let request: FormFields
    let cookie: String?

    var state: String { request.first("state") ?? "" }

    /// Begins a flow and lets the provider know what it was asked for.
    init(
        _ fixture: AuthFixture, _ provider: TestProvider, _ query: String = "provider=google&" + challenge,
        path: String = "/authorize", bearer: String? = nil
    ) async throws {
        let response = try await fixture.request(
            "GET", "\(path)?\(query)", bearer: bearer,
            headers: ["host": "auth.test", "apikey": bearer == nil ? "" : AuthFixture.publishableKey])
        var target = response.headers["location"] ?? ""
        if response.status == 200 { target = try response.member("url") }
        try #require(response.status == 302 || response.status == 200, "\(response.text)")
        self.fixture = fixture
        location = target
        let request = FormFields(query: String(target.split(separator: "?", maxSplits: 1).last ?? ""))
        self.request = request
        cookie = response.headers["set-cookie"].map { String($0.prefix { $0 != ";" }) }
        provider.state.withLock { state in
            state.nonce = request.first("nonce")
            state.challenge = request.first("code_challenge")
        }
    }

    /// The provider sends the browser back.
    func back(
        code: String = "code-1", state: String? = nil, cookie: String? = nil, further: String = ""
    ) async throws -> TestHTTPResponse {
        let query = FormFields.encode([("code", code), ("state", state ?? self.state)]) + further
        return try await fixture.request(
            "GET", "/callback?\(query)",
            headers: ["host": "auth.test", "apikey": "", "cookie": cookie ?? self.cookie ?? ""])
    }

    /// Back, and the code exchanged for a session.
    func session(code: String = "code-1") async throws -> TestHTTPResponse {
        let returned = try await back(code: code)
        let target = try #require(returned.headers["location"])
        let issued = try #require(ExternalFlow.query(target).first("code"), "\(target)")
        let body: JSON = ["auth_code": .string(issued), "code_verifier": .string(Self.verifier)]
        return try await fixture.request("POST", "/token?grant_type=pkce", body.text)
    }

    static func query(_ address: String) -> FormFields {
        let bare = address.prefix { $0 != "#" }
        return FormFields(query: String(bare.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""))
    }

    static func fragment(_ address: String) -> FormFields {
        FormFields(query: String(address.split(separator: "#", maxSplits: 1).dropFirst().first ?? ""))
    }
}

extension TestHTTPResponse {
    /// `error_code` of the address the browser is sent to.
    var redirectedError: String? { headers["location"].flatMap { ExternalFlow.fragment($0).first("error_code") } }
}
