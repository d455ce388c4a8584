// SPDX-License-Identifier: Apache-2.0
import HTTP
import Primitives

/// The two wire forms of an error, chosen by the client with `X-Supabase-Api-Version`.
enum AuthAPIVersion {
    static let header = "X-Supabase-Api-Version"
    private static let secondForm = "2024-01-01"

    case initial
    case january2024

    init(of request: HTTPRequest) {
        guard let asked = request.headers[Self.header], Timestamp(asked + "T00:00:00Z") != nil, asked >= Self.secondForm
        else {
            self = .initial
            return
        }
        self = .january2024
    }

    /// What the response says it is; nil for clients that did not ask.
    var echo: String? {
        switch self {
        case .initial: nil
        case .january2024: Self.secondForm
        }
    }
}

extension AuthError {
    /// The error as the client asked for it; see `docs/errors.md`.
    func response(to request: HTTPRequest) -> HTTPResponse {
        let version = AuthAPIVersion(of: request)
        var response = HTTPResponse.json(.object(body(version, requestID: request.id)), status: status)
        response.headers.append("x-sb-error-code", code.rawValue)
        if let echo = version.echo { response.headers.append(AuthAPIVersion.header, echo) }
        if let retryAfter { response.headers.append("Retry-After", String(max(1, retryAfter.components.seconds))) }
        return response
    }

    private func body(_ version: AuthAPIVersion, requestID: String) -> JSONObject {
        var body: JSONObject
        switch version {
        case .initial:
            body = ["code": JSON(status.code), "error_code": .string(code.rawValue), "msg": .string(message)]
            if status.code >= 500 { body["error_id"] = .string(requestID) }
        case .january2024:
            body = ["code": .string(code.rawValue), "message": .string(message)]
        }
        if !weakPasswordReasons.isEmpty {
            body["weak_password"] = ["reasons": .array(weakPasswordReasons.map { .string($0.rawValue) })]
        }
        return body
    }
}
