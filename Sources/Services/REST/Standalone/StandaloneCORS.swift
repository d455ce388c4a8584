// SPDX-License-Identifier: Apache-2.0
package import HTTP

/// Cross-origin requests (Fetch Standard) as PostgREST answers them: every header a page asks for is allowed, and with a list of origins
/// their pages may send credentials.
package struct StandaloneCORS: Sendable {
    private let allowedOrigins: [String]

    /// - Parameter allowedOrigins: empty allows every origin.
    package init(allowedOrigins: [String]) { self.allowedOrigins = allowedOrigins }

    private static let methods: [HTTPMethod] = [.get, .post, .patch, .put, .delete, .options, .head]
    private static let simpleFields = ["Accept", "Accept-Language", "Content-Language"]
    private static let exposedFields = [
        "Content-Encoding", "Content-Location", "Content-Range", "Content-Type", "Date", "Location", "Server",
        "Transfer-Encoding", "Range-Unit",
    ].joined(separator: ", ")

    /// The answer to a preflight; nil when the request is none, or not one that is allowed, and then goes its way.
    package func preflight(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.method == .options, let origin = request.headers["origin"], isAllowed(origin),
            let method = request.headers["access-control-request-method"],
            Self.methods.contains(HTTPMethod(rawValue: method))
        else { return nil }
        var response = HTTPResponse(.ok)
        allow(origin, in: &response)
        let wanted = (request.headers["access-control-request-headers"] ?? "")
            .split(separator: ",").map { String($0.trimmingSpaces) }.filter(URIForm.isToken)
        response.headers.append(
            "Access-Control-Allow-Headers", (["Authorization"] + wanted + Self.simpleFields).joined(separator: ", "))
        response.headers.append(
            "Access-Control-Allow-Methods", Self.methods.map(\.rawValue).joined(separator: ", "))
        response.headers.append("Access-Control-Max-Age", "86400")
        return response
    }

    /// Adds what a browser needs to hand the response to the page.
    package func apply(to response: inout HTTPResponse, for request: HTTPRequest) {
        guard let origin = request.headers["origin"], isAllowed(origin) else { return }
        response.headers.remove("Access-Control-Allow-Origin")
        allow(origin, in: &response)
        response.headers.append("Access-Control-Expose-Headers", Self.exposedFields)
    }

    private func isAllowed(_ origin: String) -> Bool { allowedOrigins.isEmpty || allowedOrigins.contains(origin) }

    private func allow(_ origin: String, in response: inout HTTPResponse) {
        guard !allowedOrigins.isEmpty else {
            response.headers.append("Access-Control-Allow-Origin", "*")
            return
        }
        response.headers.append("Access-Control-Allow-Origin", origin)
        response.headers.append("Access-Control-Allow-Credentials", "true")
        // Another origin gets another answer, which no cache may confuse.
        response.headers.append("Vary", "Origin")
    }
}
