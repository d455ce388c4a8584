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

    private init(postgres error: PostgresError) {
        switch error.code {
        case .poolTimeout, .connectionFailed, .connectionLost, .shutdown:
            self.init(.databaseTimeout, "The connection to the database timed out", cause: error)
        case .poolQueueFull:
            self.init(
                .slowDown, "The database has reached its maximum number of connections. Please try again later.",
                cause: error)
        case .invalidQuery:
            self.init(.invalidRequest, "The request holds a character that cannot be stored", cause: error)
        case .server, .queryCancelled, .misuse: self.init(sqlState: error)
        }
    }

    /// The codes that begin with `AT` are those of Storage's own functions, whose messages are made for clients.
    private init(sqlState error: PostgresError) {
        switch error.sqlState {
        case "42501": self.init(.accessDenied, "new row violates row-level security policy", cause: error)
        case "23505":
            self.init(
                error.table == "buckets" ? .bucketAlreadyExists : .keyAlreadyExists, "The resource already exists",
                cause: error)
        case "23503" where error.constraint != "objects_bucketId_fkey":
            self.init(.resourceReferenced, "The resource is referenced by another one", cause: error)
        case "23503", "ATB01": self.init(.noSuchBucket, "Bucket not found", cause: error)
        case "ATK01": self.init(.noSuchKey, "Object not found", cause: error)
        case "ATM01": self.init(.invalidMIMEType, error.message, cause: error)
        case "ATS01": self.init(.entityTooLarge, "The object exceeded the maximum allowed size", cause: error)
        case "ATQ01", "ATQ02": self.init(.entityTooLarge, error.message, cause: error)
        case "22021", "22P05", "22P02", "22023", "22003":
            self.init(.invalidRequest, "The request holds a value that cannot be stored", cause: error)
        case "54000": self.init(.invalidKey, "The key is too long", cause: error)
        case "25006":
            self.init(
                .databaseReadOnly, "The database is currently in read-only mode. Please try again later.", cause: error)
        case "40001", "40P01":
            self.init(.transactionError, "The request collided with another one. Please try again.", cause: error)
        case "55P03": self.init(.lockTimeout, "acquiring lock timeout", cause: error)
        case "57014", "57P01", "57P02", "57P03":
            self.init(.databaseTimeout, "The connection to the database timed out", cause: error)
        case "53300", "53400":
            self.init(
                .slowDown, "The database has reached its maximum number of connections. Please try again later.",
                cause: error)
        case "42P01", "42703", "42883":
            self.init(
                .databaseSchemaMismatch,
                "The database schema is out of sync. Please run migrations or contact support.", cause: error)
        default: self.init(.databaseError, "The database refused the request", cause: error)
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
