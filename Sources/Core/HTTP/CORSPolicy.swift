// SPDX-License-Identifier: Apache-2.0

/// Which pages of other origins may call this server from a browser (Fetch Standard, "CORS protocol").
package struct CORSPolicy: Sendable {
    /// The origins allowed, such as `https://app.example`; nil allows every origin by `*`.
    package var allowedOrigins: [String]?
    /// Response fields that scripts may read.
    package var exposedHeaders: [String]
    /// How long a browser may keep a preflight's answer.
    package var maxAge: Duration

    package init(
        allowedOrigins: [String]? = nil,
        exposedHeaders: [String] = [
            "Content-Range", "Content-Location", "Location", "Link", "Preference-Applied", "X-Total-Count",
            "X-Request-Id", "X-Supabase-Api-Version", "x-sb-error-code", "Retry-After", "ETag", "Tus-Resumable",
            "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Upload-Offset", "Upload-Length", "Upload-Expires",
        ],
        maxAge: Duration = .seconds(86_400)
    ) {
        self.allowedOrigins = allowedOrigins
        self.exposedHeaders = exposedHeaders
        self.maxAge = maxAge
        exposedList = exposedHeaders.joined(separator: ", ")
    }

    private let exposedList: String

    /// What `Access-Control-Allow-Origin` says to this origin; nil when it is not allowed.
    func allowOrigin(_ origin: String) -> String? {
        guard let allowedOrigins else { return "*" }
        return allowedOrigins.contains(origin) ? origin : nil
    }

    /// The answer to a preflight; nil when the request is none.
    func preflight(_ request: HTTPRequest, methods: [HTTPMethod]) -> HTTPResponse? {
        guard request.method == .options, let origin = request.headers["origin"],
            request.headers.contains("access-control-request-method")
        else { return nil }
        var response = HTTPResponse(.ok)
        response.headers.append("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        guard let allowed = allowOrigin(origin) else { return response }
        response.headers.append("Access-Control-Allow-Origin", allowed)
        let names = methods.isEmpty ? ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] : methods.map(\.rawValue)
        response.headers.append("Access-Control-Allow-Methods", names.joined(separator: ", "))
        if let wanted = request.headers["access-control-request-headers"] {
            response.headers.append("Access-Control-Allow-Headers", wanted)
        }
        response.headers.append("Access-Control-Max-Age", String(maxAge.components.seconds))
        return response
    }

    /// Adds the fields a browser needs to hand the response to the page.
    func apply(to response: inout HTTPResponse, origin: String) {
        guard let allowed = allowOrigin(origin), !response.headers.contains("access-control-allow-origin") else {
            return
        }
        response.headers.append("Access-Control-Allow-Origin", allowed)
        response.headers.append("Access-Control-Expose-Headers", exposedList)
        if allowedOrigins != nil { response.headers.append("Vary", "Origin") }
    }
}
