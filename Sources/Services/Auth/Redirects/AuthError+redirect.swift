// SPDX-License-Identifier: Apache-2.0
import HTTP

extension AuthError {
    /// `error` of a redirect, by status.
    var redirectWord: String {
        switch status.code {
        case 401: "unauthorized_client"
        case 403: "access_denied"
        case 503: "temporarily_unavailable"
        case 500...: "server_error"
        default: "invalid_request"
        }
    }
}
