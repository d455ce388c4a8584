// SPDX-License-Identifier: Apache-2.0
import HTTP
import Primitives

/// A refusal in the form of RFC 6749 section 5.2, which endpoints of that protocol answer whatever version a client asks for.
struct OAuthError: Error, Sendable {
    /// The raw value is the wire code in `error`.
    enum Code: String, Sendable, CaseIterable {
        case invalidRequest = "invalid_request"
        case invalidClient = "invalid_client"
        case invalidGrant = "invalid_grant"
        case invalidScope = "invalid_scope"
        case unauthorizedClient = "unauthorized_client"
        case unsupportedGrantType = "unsupported_grant_type"
        case unsupportedResponseType = "unsupported_response_type"
        case accessDenied = "access_denied"
        case serverError = "server_error"
        case temporarilyUnavailable = "temporarily_unavailable"
    }

    var code: Code
    /// Fit for the client.
    var message: String
    /// Logged with the request ID, never sent.
    var cause: (any Error)?

    init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    var status: HTTPStatus { code == .serverError ? 500 : 400 }

    var response: HTTPResponse {
        .json(["error": .string(code.rawValue), "error_description": .string(message)], status: status)
    }
}
