// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Platform
import Postgres

extension AuthError {
    /// What a client is told about an error of a layer below.
    init(_ error: any Error) {
        switch error {
        case let error as AuthError: self = error
        case let error as PostgresError: self.init(postgres: error)
        case let error as HTTPError: self.init(http: error)
        case let error as AccessError: self.init(access: error)
        case is WorkerPoolError:
            self.init(.serviceUnavailable, "The server is busy", retryAfter: .seconds(1), cause: error)
        default: self.init(.unexpectedFailure, "Unexpected failure, please check server logs", cause: error)
        }
    }

    private init(access error: AccessError) {
        switch error {
        case .missingKey, .invalidKey: self.init(.noAuthorization, error.message)
        case .invalidToken(let reason): self.init(.badJWT, Self.message(for: reason))
        case .roleNotAllowed: self.init(.badJWT, "invalid JWT: the role is not allowed")
        }
    }

    private init(postgres error: PostgresError) {
        switch error.code {
        case .connectionLost, .connectionFailed, .poolTimeout, .poolQueueFull, .shutdown:
            self.init(.serviceUnavailable, "The database is not available", retryAfter: .seconds(1), cause: error)
        case .invalidQuery:
            self.init(.validationFailed, "The request holds a character that cannot be stored", cause: error)
        case .server, .queryCancelled, .misuse, .resultTooLarge: self.init(sqlState: error)
        }
    }

    private init(sqlState error: PostgresError) {
        switch error.sqlState {
        case "22P05": self.init(.validationFailed, "The request holds a character that cannot be stored", cause: error)
        case "22003": self.init(.validationFailed, "The request holds a number that cannot be stored", cause: error)
        case "57014": self.init(.requestTimeout, "The request took too long", cause: error)
        case "53300", "57P01", "57P02", "57P03":
            self.init(.serviceUnavailable, "The database is not available", retryAfter: .seconds(1), cause: error)
        default: self.init(.unexpectedFailure, "Unexpected failure, please check server logs", cause: error)
        }
    }

    private init(http error: HTTPError) {
        let code: Code =
            switch error.status.code {
            case 404, 405: .notFound
            case 408: .requestTimeout
            case 413: .requestEntityTooLarge
            case 400..<500: .validationFailed
            default: .unexpectedFailure
            }
        self.init(code, error.message, status: error.status)
    }

    private static func message(for error: JWTError) -> String {
        switch error {
        case .expired: "invalid JWT: token has expired"
        case .notYetValid, .issuedInFuture: "invalid JWT: token is not valid yet"
        case .tooLarge, .malformed: "invalid JWT: token is malformed"
        case .unsupportedAlgorithm, .unknownKey, .badSignature:
            "invalid JWT: unable to parse or verify signature"
        case .invalidClaim(let name): "invalid JWT: claim \(name) is invalid"
        case .wrongAudience, .wrongIssuer: "invalid JWT: token is for somebody else"
        }
    }
}
