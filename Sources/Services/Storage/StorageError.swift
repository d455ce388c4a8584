// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Everything Storage can refuse.
struct StorageError: Error, Sendable {
    /// The raw value is the wire code in `code`; never rename one.
    enum Code: String, Sendable, CaseIterable {
        case noSuchBucket = "NoSuchBucket"
        case noSuchKey = "NoSuchKey"
        case noSuchUpload = "NoSuchUpload"
        case accessDenied = "AccessDenied"
        case invalidJWT = "InvalidJWT"
        case signatureDoesNotMatch = "SignatureDoesNotMatch"
        case invalidSignature = "InvalidSignature"
        case expiredToken = "ExpiredToken"
        case invalidUploadSignature = "InvalidUploadSignature"
        case invalidUploadID = "InvalidUploadId"
        case keyAlreadyExists = "KeyAlreadyExists"
        case bucketAlreadyExists = "BucketAlreadyExists"
        case resourceAlreadyExists = "ResourceAlreadyExists"
        case resourceNotEmpty = "ResourceNotEmpty"
        case resourceLocked = "ResourceLocked"
        case resourceReferenced = "ResourceReferenced"
        case lockTimeout = "LockTimeout"
        case databaseReadOnly = "DatabaseReadOnly"
        case databaseSchemaMismatch = "DatabaseSchemaMismatch"
        case databaseTimeout = "DatabaseTimeout"
        case databaseError = "DatabaseError"
        case transactionAborted = "DatabaseTransactionAborted"
        case slowDown = "SlowDown"
        case internalError = "InternalError"
        case featureNotEnabled = "FeatureNotEnabled"
        case notSupported = "NotSupported"
        case transactionError = "TransactionError"
        case missingContentLength = "MissingContentLength"
        case invalidChecksum = "InvalidChecksum"
        case malformedXML = "MalformedXML"
        case invalidAccessKeyID = "InvalidAccessKeyId"
        case invalidMIMEType = "InvalidMimeType"
        case entityTooLarge = "EntityTooLarge"
        case invalidRange = "InvalidRange"
        case invalidKey = "InvalidKey"
        case invalidBucketName = "InvalidBucketName"
        case invalidRequest = "InvalidRequest"
        case invalidParameter = "InvalidParameter"
        case missingParameter = "MissingParameter"
        case requestTimeout = "RequestTimeout"
        case preconditionFailed = "PreconditionFailed"
        case notFound = "NotFound"
        case methodNotAllowed = "MethodNotAllowed"
        /// Of the S3 protocol alone.
        case requestTimeTooSkewed = "RequestTimeTooSkewed"
        case entityTooSmall = "EntityTooSmall"
        case invalidPart = "InvalidPart"
        case invalidPartOrder = "InvalidPartOrder"
        case badDigest = "BadDigest"
        case notImplemented = "NotImplemented"
        case authorizationMalformed = "AuthorizationHeaderMalformed"
        case queryAuthorizationMalformed = "AuthorizationQueryParametersError"
        case contentMismatch = "XAmzContentSHA256Mismatch"
        case incompleteBody = "IncompleteBody"

        /// The status an S3 or TUS client gets, and that stands as text in the body for others.
        var trueStatus: HTTPStatus {
            switch self {
            case .noSuchBucket, .noSuchKey, .noSuchUpload, .notFound: .notFound
            case .accessDenied, .signatureDoesNotMatch, .invalidAccessKeyID, .requestTimeTooSkewed: .forbidden
            case .keyAlreadyExists, .bucketAlreadyExists, .resourceAlreadyExists, .resourceNotEmpty,
                .resourceReferenced, .featureNotEnabled, .notSupported, .transactionError:
                .conflict
            case .resourceLocked: 423
            case .lockTimeout, .databaseReadOnly, .databaseSchemaMismatch: .serviceUnavailable
            case .databaseTimeout: 544
            case .slowDown: .tooManyRequests
            case .internalError, .databaseError, .transactionAborted: .internalServerError
            case .invalidMIMEType: 415
            case .entityTooLarge: .contentTooLarge
            case .requestTimeout: .requestTimeout
            case .preconditionFailed: .preconditionFailed
            case .methodNotAllowed: .methodNotAllowed
            case .notImplemented: 501
            case .invalidJWT, .invalidSignature, .expiredToken, .invalidUploadSignature, .invalidUploadID,
                .missingContentLength, .invalidChecksum, .malformedXML, .invalidRange, .invalidKey,
                .invalidBucketName, .invalidRequest, .invalidParameter, .missingParameter, .entityTooSmall,
                .invalidPart, .invalidPartOrder, .badDigest, .authorizationMalformed, .contentMismatch,
                .incompleteBody, .queryAuthorizationMalformed:
                .badRequest
            }
        }

        /// The status of the answer outside of S3 and TUS: 400 for nearly everything, as clients of Storage expect.
        var status: HTTPStatus {
            switch self {
            case .internalError, .databaseError, .transactionAborted: .internalServerError
            case .databaseTimeout, .slowDown, .requestTimeout, .notFound, .methodNotAllowed, .preconditionFailed:
                trueStatus
            default: .badRequest
            }
        }

        /// The member `error` of the body.
        var title: String {
            switch self {
            case .noSuchBucket: "Bucket not found"
            case .noSuchKey: "not_found"
            case .accessDenied: "Unauthorized"
            case .keyAlreadyExists, .bucketAlreadyExists, .resourceAlreadyExists: "Duplicate"
            case .invalidMIMEType: "invalid_mime_type"
            case .entityTooLarge: "Payload too large"
            case .invalidRange: "invalid_range"
            case .invalidBucketName: "Invalid Input"
            case .lockTimeout: "acquiring_lock_timeout"
            case .notFound: "Not Found"
            default: rawValue
            }
        }
    }

    var code: Code
    /// Fit for the client.
    var message: String
    /// In place of the code's own status.
    var status: HTTPStatus?
    /// For the log alone.
    var cause: (any Error)?

    init(_ code: Code, _ message: String, status: HTTPStatus? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.status = status
        self.cause = cause
    }

    static var noSuchBucket: StorageError { StorageError(.noSuchBucket, "Bucket not found") }
    static var noSuchKey: StorageError { StorageError(.noSuchKey, "Object not found") }
    static var noSuchUpload: StorageError { StorageError(.noSuchUpload, "Upload not found") }
    static var tooLarge: StorageError {
        StorageError(.entityTooLarge, "The object exceeded the maximum allowed size")
    }
    static var keyExists: StorageError { StorageError(.keyAlreadyExists, "The resource already exists") }
    static func invalidKey(_ key: String) -> StorageError {
        StorageError(.invalidKey, "Invalid key: \(key.prefix(200))")
    }
    static func invalidMIMEType(_ type: String) -> StorageError {
        StorageError(.invalidMIMEType, "mime type \(type.prefix(200)) is not supported")
    }
    static func missing(_ parameter: String) -> StorageError {
        StorageError(.missingParameter, "Missing Required Parameter \(parameter)")
    }
    static func invalid(_ message: String) -> StorageError { StorageError(.invalidRequest, message) }

    /// The one response mapping outside of S3.
    var response: HTTPResponse {
        var response = HTTPResponse.json(body, status: status ?? code.status)
        if let cause = cause as? HTTPError {
            for field in cause.headers.fields { response.headers.append(field.name, field.value) }
        }
        return response
    }

    /// The same body with the true status, as TUS clients expect it.
    var trueResponse: HTTPResponse {
        var response = response
        response.status = status ?? code.trueStatus
        return response
    }

    private var body: JSON {
        [
            "statusCode": .string(String(code.trueStatus.code)), "error": .string(code.title),
            "message": .string(message), "code": .string(code.rawValue),
        ]
    }
}
