// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// Why Vectors refuses a request. The body is Qdrant's: `{"status": {"error": text}, "time": seconds}`.
struct VectorsError: Error, Sendable {
    /// What kind of refusal it is; each has one status.
    enum Code: String, Sendable, CaseIterable {
        /// The body is no JSON or has the wrong shape.
        case format
        /// A value is out of its bounds.
        case validation
        /// The same of a query parameter.
        case parameter
        /// The request is well formed and cannot be carried out as it is.
        case wrongInput = "wrong_input"
        /// The parts of the request do not go together.
        case badRequest = "bad_request"
        /// A collection, point or path is not there, or not there for this principal.
        case notFound = "not_found"
        /// A collection or alias of that name is there.
        case alreadyExists = "already_exists"
        case unauthorized
        case forbidden
        case methodNotAllowed = "method_not_allowed"
        case bodyTooLarge = "body_too_large"
        /// The time the client allows, or the server, is over.
        case timeout
        /// Calls that ask for a cluster, or for an operation this server has no counterpart of.
        case unsupported
        case rateLimited = "rate_limited"
        case unavailable
        case upstream
        case internalError = "internal_error"

        var status: HTTPStatus {
            switch self {
            case .format, .wrongInput, .badRequest: .badRequest
            case .validation, .parameter: .unprocessableContent
            case .notFound: .notFound
            case .alreadyExists: .conflict
            case .unauthorized: .unauthorized
            case .forbidden: .forbidden
            case .methodNotAllowed, .unsupported: .methodNotAllowed
            case .bodyTooLarge: .contentTooLarge
            case .timeout: .requestTimeout
            case .rateLimited: .tooManyRequests
            case .unavailable: .serviceUnavailable
            case .upstream: 502
            case .internalError: .internalServerError
            }
        }

        /// How the text begins.
        var prefix: String {
            switch self {
            case .format: "Format error in JSON body: "
            case .validation: "Validation error in JSON body: "
            case .parameter: "Validation error in query parameters: "
            case .wrongInput, .alreadyExists: "Wrong input: "
            case .badRequest: "Bad request: "
            case .notFound: "Not found: "
            case .forbidden: "Forbidden: "
            case .timeout: "Timeout: "
            case .rateLimited: "Rate limiting exceeded: "
            case .unauthorized, .methodNotAllowed, .unsupported, .bodyTooLarge, .upstream: ""
            case .unavailable, .internalError: "Service internal error: "
            }
        }
    }

    var code: Code
    /// Fit for the client, without the code's prefix.
    var message: String
    /// For the log alone.
    var cause: (any Error)?

    init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    static func collectionNotFound(_ name: String) -> VectorsError {
        VectorsError(.notFound, "Collection `\(name)` doesn't exist!")
    }

    static func lookupNotFound(_ name: String) -> VectorsError {
        VectorsError(.notFound, "Collection \(name) not found")
    }

    static func pointNotFound(_ id: PointID) -> VectorsError {
        VectorsError(.notFound, "No point with id \(id) found")
    }

    static func dimension(expected: Int, got: Int) -> VectorsError {
        VectorsError(.wrongInput, "Vector dimension error: expected dim: \(expected), got \(got)")
    }

    static func unknownVector(_ name: String) -> VectorsError {
        VectorsError(.wrongInput, "Not existing vector name error: \(name)")
    }

    /// - Parameter path: of the value in the body, such as `points[0].id`.
    static func outOfBounds(_ path: String, _ reason: String) -> VectorsError {
        VectorsError(.validation, "[\(path): \(reason)]")
    }
}

extension VectorsError {
    /// What a client is told about an error of a layer below.
    init(_ error: any Error) {
        switch error {
        case let error as VectorsError: self = error
        case let error as AccessError: self.init(.unauthorized, error.message)
        case let error as PostgresError: self.init(postgres: error)
        case let error as HTTPError: self.init(http: error)
        case is CollectionChanged: self.init(.unavailable, "the collection is being changed", cause: error)
        default: self.init(.internalError, "internal error", cause: error)
        }
    }

    private init(postgres error: PostgresError) {
        switch error.code {
        case .connectionLost, .connectionFailed, .poolTimeout, .poolQueueFull, .shutdown:
            self.init(.unavailable, "the database is not available", cause: error)
        case .invalidQuery:
            self.init(.wrongInput, "the request holds a character that cannot be stored", cause: error)
        case .resultTooLarge:
            self.init(
                .badRequest,
                "the answer would be larger than it may; ask for fewer points at once, or for less of their payloads and vectors",
                cause: error)
        case .server, .queryCancelled, .misuse: self.init(sqlState: error)
        }
    }

    private init(sqlState error: PostgresError) {
        switch error.sqlState {
        case "VC001": self.init(.unavailable, "the collection is being changed", cause: error)
        case "VC404":
            let id = error.detail.flatMap { Hex.decode($0) }.flatMap { PointID(key: $0) }
            self = id.map { .pointNotFound($0) } ?? VectorsError(.notFound, "No such point found")
        case "VC400":
            self.init(
                .badRequest,
                "Expected number value for \(error.detail ?? "a path") in the payload and/or in the formula defaults. Error: No value found"
            )
        case "22012", "2201E", "2201F":
            self.init(.badRequest, "The formula produced a non-finite number", cause: error)
        case "42501": self.init(.forbidden, "the token does not allow this", cause: error)
        case "22P02", "22P05", "22021", "22032", "22030":
            self.init(.format, "the payload holds a value that cannot be stored", cause: error)
        case "22003": self.init(.wrongInput, "a number is out of range", cause: error)
        // The bounds of `vectors.collections` on its settings.
        case "23514": self.init(.wrongInput, "the settings are too large, or cannot be kept", cause: error)
        case "54000": self.init(.wrongInput, "a value is too large", cause: error)
        case "57014": self.init(.timeout, "the request took longer than it may", cause: error)
        case "40001", "40P01": self.init(.unavailable, "the request conflicts with others; try again", cause: error)
        case "53300", "57P01", "57P02", "57P03":
            self.init(.unavailable, "the database is not available", cause: error)
        default: self.init(.internalError, "internal error", cause: error)
        }
    }

    private init(http error: HTTPError) {
        let code: Code =
            switch error.status.code {
            case 404: .notFound
            case 405: .methodNotAllowed
            case 408: .timeout
            case 413: .bodyTooLarge
            case 400..<500: .format
            default: .internalError
            }
        self.init(code, error.message, cause: error)
    }

    /// The one response mapping.
    ///
    /// - Parameter time: how long the request took.
    func response(after time: Duration) -> HTTPResponse {
        var response: HTTPResponse
        if code == .unauthorized {
            // Qdrant refuses keys in plain text.
            response = .text(message, status: code.status)
        } else {
            response = .json(
                ["status": ["error": .string(code.prefix + message)], "time": JSON(time.inSeconds)], status: code.status
            )
        }
        if code == .unavailable || code == .rateLimited { response.headers.append("Retry-After", "1") }
        if let cause = cause as? HTTPError {
            for field in cause.headers.fields { response.headers.append(field.name, field.value) }
        }
        return response
    }
}

extension Duration {
    /// Seconds with their fraction.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
