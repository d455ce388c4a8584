// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// Why a request to Tenancy is refused. The body is `{"error": "<message>", "code": "<code>"}`, with what else is worth knowing.
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
        /// The last owner of a team cannot leave it or be anything less.
        case lastOwner = "last_owner"
        /// Not with the tenant that is one person's.
        case personalTenant = "personal_tenant"
        case slugTaken = "slug_taken"
        case alreadyInvited = "already_invited"
        case alreadyMember = "already_member"
        /// The invitation is spent, revoked, over, unknown or somebody else's: nobody learns which.
        case invitationInvalid = "invitation_invalid"
        /// The tenant's status does not allow it.
        case wrongStatus = "wrong_status"
        case suspendedByOperator = "suspended_by_operator"
        /// The token was not issued in a session, or the session is over.
        case noSession = "no_session"
        /// It was done a moment ago.
        case tooSoon = "too_soon"
        /// The plan's monthly limit.
        case usageLimitReached = "usage_limit_reached"
        case unavailable
        case internalError = "internal_error"

        var status: HTTPStatus {
            switch self {
            case .unauthorized: .unauthorized
            case .invalidRequest, .noSession: .badRequest
            case .noTenant, .forbidden, .suspendedByOperator: .forbidden
            case .notFound, .invitationInvalid: .notFound
            case .methodNotAllowed: .methodNotAllowed
            case .requestTimeout: .requestTimeout
            case .bodyTooLarge: .contentTooLarge
            case .setupFailed: .unprocessableContent
            case .tooMany, .lastOwner, .personalTenant, .slugTaken, .alreadyInvited, .alreadyMember, .wrongStatus:
                .conflict
            case .tooSoon, .usageLimitReached: .tooManyRequests
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
    /// Further members of the body.
    var details: JSONObject = [:]
    /// When it may work; for the field `Retry-After`.
    var retryAfter: Duration?

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
        if let limit = UsageLimitReached(error) {
            self.init(.usageLimitReached, limit.message, cause: error)
            details = ["limit": .object(limit.details)]
            retryAfter = limit.retryAfter
            return
        }
        // What functions of the schema refuse: the detail is a code of ours.
        if error.sqlState?.hasPrefix("PT") == true, let code = error.detail.flatMap(Code.init(rawValue:)) {
            self.init(code, error.message)
            return
        }
        if error.sqlState == "54000" {
            self.init(.tooMany, "Too many API keys", cause: error)
            return
        }
        switch error.condition {
        case .unreachable, .overloaded, .timedOut, .lockTimeout, .collision, .readOnly:
            self.init(.unavailable, "The database is not available", cause: error)
        case .unstorable:
            self.init(.invalidRequest, "The request holds a character that cannot be stored", cause: error)
        case .forbidden: self.init(.forbidden, "Forbidden", cause: error)
        case .referenced: self.init(.invalidRequest, "A value names what is not there", cause: error)
        case .checkViolated, .outOfRange, .tooLarge:
            self.init(.invalidRequest, "A value is out of bounds", cause: error)
        case .duplicate, .schemaMismatch, .aborted, .other: self.init(.internalError, "Internal error", cause: error)
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
        var body: JSONObject = ["error": .string(message), "code": .string(code.rawValue)]
        for (name, value) in details { body[name] = value }
        var response = HTTPResponse.json(.object(body), status: code.status)
        let pause = retryAfter ?? (code == .unavailable ? .seconds(1) : nil)
        if let pause { response.headers.append("Retry-After", "\(max(1, pause.components.seconds))") }
        if let cause = cause as? HTTPError {
            for field in cause.headers.fields { response.headers.append(field.name, field.value) }
        }
        return response
    }
}
