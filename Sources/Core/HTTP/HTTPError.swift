// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// A refusal at the level of HTTP. A service's own errors are its own type; its group turns both into its wire form.
package struct HTTPError: Error, Sendable {
    /// The response's status.
    package var status: HTTPStatus
    /// Fit for the client.
    package var message: String
    /// Fields the response carries: `Allow`, `Retry-After`.
    package var headers: HTTPHeaders

    package init(_ status: HTTPStatus, _ message: String? = nil, headers: HTTPHeaders = HTTPHeaders()) {
        self.status = status
        self.message = message ?? status.reason
        self.headers = headers
    }

    /// The plain JSON form used outside any service: `{"message": "..."}`.
    package var response: HTTPResponse {
        var response = HTTPResponse.json(["message": .string(message)], status: status)
        for field in headers.fields { response.headers.append(field.name, field.value) }
        return response
    }
}
