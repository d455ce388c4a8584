// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// Why a request to Tenancy is refused. The body is `{"error": "<message>"}`.
struct TenancyError: Error, Sendable {
    enum Code: String, Sendable, CaseIterable {
        /// Nobody is signed in.
        case unauthorized
        /// A body or a parameter is not what it should be.
        case invalidRequest = "invalid_request"
        /// The token names no tenant, or one the user does not belong to (any more), or one that is suspended.
        case noTenant = "no_tenant"
        /// A member may not do this.
        case forbidden
        case notFound = "not_found"
        case methodNotAllowed = "method_not_allowed"
        case requestTimeout = "request_timeout"
        case bodyTooLarge = "body_too_large"
        case tooMany = "too_many"
        /// A step of the set-up cannot be completed as things are.
        case setupFailed = "setup_failed"
        case unavailable
        case internalError = "internal_error"

        var status: HTTPStatus {
            switch self {
            case .unauthorized: .unauthorized
            case .invalidRequest: .badRequest
            case .noTenant, .forbidden: .forbidden
            case .notFound: .notFound
            case .methodNotAllowed: .methodNotAllowed
            case .requestTimeout: .requestTimeout
            case .bodyTooLarge: .contentTooLarge
            case .tooMany: .conflict
            case .setupFailed: .unprocessableContent
            case .unavailable: .serviceUnavailable
            case .internalError: .internalServerError
            }
        }
    }

    var code: Code
    /// Fit for the client.
    var message: String
    /// For the log alone.
    var cause: (any Error)?

    init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    static var unauthorized: TenancyError { TenancyError(.unauthorized, "Unauthorized") }
    static var missingFields: TenancyError { TenancyError(.invalidRequest, "Missing required fields") }
    static var noTenant: TenancyError { TenancyError(.noTenant, "The token's tenant is not open to this user") }
}

extension TenancyError {
    /// What a client is told about an error of a layer below.
    init(_ error: any Error) {
        switch error {
        case let error as TenancyError: self = error
        case is AccessError: self = .unauthorized
        case let error as PostgresError: self.init(postgres: error)
        case let error as HTTPError: self.init(http: error)
        default: self.init(.internalError, "Internal error", cause: error)
        }
    }

    private init(postgres error: PostgresError) {
        switch error.code {
        case .connectionLost, .connectionFailed, .poolTimeout, .poolQueueFull, .shutdown:
            self.init(.unavailable, "The database is not available", cause: error)
        case .invalidQuery:
            self.init(.invalidRequest, "The request holds a character that cannot be stored", cause: error)
        case .server, .queryCancelled, .misuse: self.init(sqlState: error)
        }
    }

    private init(sqlState error: PostgresError) {
        switch error.sqlState {
        case "42501": self.init(.forbidden, "Forbidden", cause: error)
        case "54000": self.init(.tooMany, "Too many API keys", cause: error)
        case "22P05", "22021":
            self.init(.invalidRequest, "The request holds a character that cannot be stored", cause: error)
        case "23514": self.init(.invalidRequest, "A value is out of bounds", cause: error)
        case "53300", "57014", "57P01", "57P02", "57P03":
            self.init(.unavailable, "The database is not available", cause: error)
        default: self.init(.internalError, "Internal error", cause: error)
        }
    }

    private init(http error: HTTPError) {
        let code: Code =
            switch error.status.code {
            case 404: .notFound
            case 405: .methodNotAllowed
            case 408: .requestTimeout
            case 413: .bodyTooLarge
            case 400..<500: .invalidRequest
            default: .internalError
            }
        self.init(code, error.message, cause: error)
    }

    /// The one response mapping.
    var response: HTTPResponse {
        var response = HTTPResponse.json(["error": .string(message)], status: code.status)
        if code == .unavailable { response.headers.append("Retry-After", "1") }
        if let cause = cause as? HTTPError {
            for field in cause.headers.fields { response.headers.append(field.name, field.value) }
        }
        return response
    }
}
