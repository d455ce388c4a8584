// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import EventLoop
import HTTP
import Platform
import Postgres
import Primitives
import Testing

@Suite struct AuthErrorTests {
    private func response(_ error: AuthError, version: String?) throws -> (HTTPResponse, JSON) {
        let headers: HTTPHeaders = version.map { ["X-Supabase-Api-Version": $0] } ?? [:]
        let request = HTTPRequest(.post, "/auth/v1/token", headers: headers, id: "request-1", loop: try Loop())
        let response = error.response(to: request)
        guard case .bytes(let bytes) = response.body else { return (response, .null) }
        return (response, try JSON(parsing: bytes))
    }

    @Test(arguments: [nil, "2023-12-31", "yesterday", "2024-13-01", ""])
    func firstFormForClientsThatDoNotAskOtherwise(_ version: String?) throws {
        let (response, body) = try response(
            AuthError(.invalidCredentials, "Invalid login credentials"), version: version)
        #expect(response.status == 400)
        #expect(response.headers["x-sb-error-code"] == "invalid_credentials")
        #expect(response.headers["X-Supabase-Api-Version"] == nil)
        #expect(body == ["code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"])
    }

    @Test(arguments: ["2024-01-01", "2026-08-15"])
    func secondFormForClientsThatAsk(_ version: String) throws {
        let (response, body) = try response(AuthError(.userBanned, "User is banned", status: 403), version: version)
        #expect(response.status == 403)
        #expect(response.headers["X-Supabase-Api-Version"] == "2024-01-01")
        #expect(body == ["code": "user_banned", "message": "User is banned"])
    }

    @Test func weakPasswordsSayWhy() throws {
        let error = AuthError(.weakPassword, "weak", weakPasswordReasons: [.length, .characters])
        let (response, body) = try response(error, version: nil)
        #expect(response.status == 422)
        #expect(body["weak_password"] == ["reasons": ["length", "characters"]])
    }

    @Test func internalErrorsNameTheRequestAndNothingElse() throws {
        struct Leak: Error { let text = "select secret from auth.users" }
        let (response, body) = try response(AuthError(Leak()), version: nil)
        #expect(response.status == 500)
        #expect(
            body == [
                "code": 500, "error_code": "unexpected_failure",
                "msg": "Unexpected failure, please check server logs", "error_id": "request-1",
            ])
    }

    @Test func rateLimitsSayWhenToComeBack() throws {
        let (response, _) = try response(
            AuthError(.overRequestRateLimit, "Request rate limit reached", retryAfter: .seconds(12)), version: nil)
        #expect(response.status == 429)
        #expect(response.headers["Retry-After"] == "12")
    }

    @Test(arguments: [
        (PostgresError(.connectionFailed, "secret host"), AuthError.Code.serviceUnavailable),
        (PostgresError(.poolQueueFull, ""), .serviceUnavailable),
        (PostgresError(.invalidQuery, "a parameter"), .validationFailed),
        (server("22P05"), .validationFailed), (server("22003"), .validationFailed), (server("57014"), .requestTimeout),
        (server("57P01"), .serviceUnavailable),
        (server("42P01"), .unexpectedFailure),
    ])
    func databaseErrorsAreToldWithoutTheirText(_ error: PostgresError, _ code: AuthError.Code) {
        let told = AuthError(error)
        #expect(told.code == code)
        #expect(!told.message.contains("secret"))
        #expect(told.cause != nil)
    }

    private static func server(_ state: String) -> PostgresError {
        PostgresError(.server, "secret", server: .init(severity: "ERROR", sqlState: state, message: "secret"))
    }

    @Test func otherLayersErrorsBecomeAuths() {
        #expect(AuthError(HTTPError(413)).code == .requestEntityTooLarge)
        #expect(AuthError(HTTPError(404)).code == .notFound)
        #expect(AuthError(AccessError.invalidToken(.expired)).code == .badJWT)
        #expect(AuthError(WorkerPoolError.overloaded).status == 503)
    }

    @Test func everyCodeIsDistinctAndInSnakeCase() {
        for code in AuthError.Code.allCases {
            #expect(code.rawValue.allSatisfy { $0.isLowercase || $0 == "_" || $0.isNumber })
            #expect((400...599).contains(code.status.code))
        }
    }
}
