// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// Responses that carry pages.
enum PageResponse {
    /// Scripts and styles of this server alone, nothing from elsewhere, in no frame, not kept. `data:` is for the picture of a
    /// second factor's secret, which stands in the page so that nothing else need be asked for it.
    static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
        form-action 'self'; base-uri 'none'; frame-ancestors 'none'
        """

    static func html(_ page: String, status: HTTPStatus = .ok) -> HTTPResponse {
        var response = HTTPResponse.html(page, status: status)
        response.headers.append("Content-Security-Policy", policy)
        response.headers.append("X-Content-Type-Options", "nosniff")
        response.headers.append("Referrer-Policy", "same-origin")
        response.headers.append("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.append("Cache-Control", "no-store")
        response.headers.append("Vary", "Accept-Language, Cookie")
        return response
    }

    /// See another page, by GET.
    static func redirect(_ path: String) -> HTTPResponse {
        HTTPResponse(303, headers: ["Location": path, "Cache-Control": "no-store"])
    }
}
