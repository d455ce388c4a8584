// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// Responses that carry pages.
enum PageResponse {
    /// Scripts and styles of this server alone, nothing from elsewhere, in no frame, not kept. `data:` is for the picture of a
    /// second factor's secret, which stands in the page so that nothing else need be asked for it.
    ///
    /// - Parameter widget: whose provider's scripts and frames are allowed besides, on the pages that show it.
    static func policy(with widget: CaptchaWidget? = nil) -> String {
        var directives: [(name: String, sources: String)] = [
            ("default-src", "'none'"), ("script-src", "'self'"), ("style-src", "'self'"), ("img-src", "'self' data:"),
            ("connect-src", "'self'"), ("form-action", "'self'"), ("base-uri", "'none'"), ("frame-ancestors", "'none'"),
        ]
        for (name, sources) in widget?.sources ?? [] {
            if let index = directives.firstIndex(where: { $0.name == name }) {
                directives[index].sources += " \(sources)"
            } else {
                directives.append((name, sources))
            }
        }
        return directives.map { "\($0.name) \($0.sources)" }.joined(separator: "; ")
    }

    static func html(_ page: String, status: HTTPStatus = .ok, widget: CaptchaWidget? = nil) -> HTTPResponse {
        var response = HTTPResponse.html(page, status: status)
        response.headers.append("Content-Security-Policy", policy(with: widget))
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
