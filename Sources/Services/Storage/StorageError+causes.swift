// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import HTTP
internal import Platform
internal import Postgres

extension StorageError {
    /// What a client is told about an error of a layer below.
    init(_ error: any Error) {
        switch error {
        case let error as StorageError: self = error
        case let error as AccessError: self.init(access: error)
        case let error as PostgresError: self.init(postgres: error)
        case let error as HTTPError: self.init(http: error)
        case let error as ObjectStoreError: self.init(store: error)
        case is WorkerPoolError: self.init(.slowDown, "The server is busy. Please try again later.", cause: error)
        default: self.init(.internalError, "Internal server error", cause: error)
        }
    }

    private init(access error: AccessError) {
        switch error {
        case .missingKey, .invalidKey:
            self.init(.accessDenied, error.message, status: .unauthorized, cause: error)
        case .invalidToken: self.init(.accessDenied, error.message, cause: error)
        case .roleNotAllowed: self.init(.accessDenied, error.message, status: .forbidden, cause: error)
        }
    }

    private init(store error: ObjectStoreError) {
        switch error {
        case .missing: self.init(.internalError, "The content of the object is missing", cause: error)
        case .overloaded: self.init(.slowDown, "The server is busy. Please try again later.", cause: error)
        case .failed: self.init(.internalError, "Internal server error", cause: error)
        }
    }

    /// The codes that begin with `AT` are those of Storage's own functions, whose messages are made for clients.
    private init(postgres error: PostgresError) {
        switch error.sqlState {
        case "ATB01": self.init(.noSuchBucket, "Bucket not found", cause: error)
        case "ATK01": self.init(.noSuchKey, "Object not found", cause: error)
        case "ATM01": self.init(.invalidMIMEType, error.message, cause: error)
        case "ATP01": self.init(.preconditionFailed, error.message, cause: error)
        case "ATS01": self.init(.entityTooLarge, "The object exceeded the maximum allowed size", cause: error)
        case "ATQ01", "ATQ02": self.init(.entityTooLarge, error.message, cause: error)
        default: self.init(condition: error)
        }
    }

    private init(condition error: PostgresError) {
        switch error.condition {
        case .unreachable, .timedOut:
            self.init(.databaseTimeout, "The connection to the database timed out", cause: error)
        case .overloaded:
            self.init(
                .slowDown, "The database has reached its maximum number of connections. Please try again later.",
                cause: error)
        case .lockTimeout: self.init(.lockTimeout, "acquiring lock timeout", cause: error)
        case .collision:
            self.init(.transactionError, "The request collided with another one. Please try again.", cause: error)
        case .readOnly:
            self.init(
                .databaseReadOnly, "The database is currently in read-only mode. Please try again later.", cause: error)
        case .forbidden: self.init(.accessDenied, "new row violates row-level security policy", cause: error)
        case .duplicate:
            let code: Code =
                switch error.table {
                case "buckets": .bucketAlreadyExists
                case "objects": .keyAlreadyExists
                default: .resourceAlreadyExists
                }
            self.init(code, "The resource already exists", cause: error)
        case .referenced where error.constraint == "objects_bucketId_fkey":
            self.init(.noSuchBucket, "Bucket not found", cause: error)
        case .referenced:
            self.init(.resourceReferenced, "The resource is referenced by another one", cause: error)
        case .unstorable, .outOfRange, .checkViolated:
            self.init(.invalidRequest, "The request holds a value that cannot be stored", cause: error)
        case .tooLarge: self.init(.invalidKey, "The key is too long", cause: error)
        case .schemaMismatch:
            self.init(
                .databaseSchemaMismatch,
                "The database schema is out of sync. Please run migrations or contact support.", cause: error)
        case .aborted: self.init(.transactionAborted, "The transaction was broken off", cause: error)
        case .other: self.init(.databaseError, "The database refused the request", cause: error)
        }
    }

    private init(http error: HTTPError) {
        switch error.status.code {
        case 404: self.init(.notFound, error.message, cause: error)
        case 405: self.init(.methodNotAllowed, error.message, cause: error)
        case 408: self.init(.requestTimeout, error.message, cause: error)
        case 413: self.init(.entityTooLarge, "The object exceeded the maximum allowed size", cause: error)
        case 400..<500: self.init(.invalidRequest, error.message, cause: error)
        default: self.init(.internalError, "Internal server error", cause: error)
        }
    }
}
