// SPDX-License-Identifier: Apache-2.0
import HTTP

/// Where a browser may be sent after sign-in: the site, and what the project lists besides.
package struct RedirectAllowList: Sendable {
    /// Where it goes when nothing else is asked for or allowed.
    package let site: RedirectTarget
    private let siteAddress: WebAddress?
    private let patterns: [RedirectPattern]

    /// - Parameters:
    ///   - siteURL: `site_url` of `[auth]`.
    ///   - patterns: `additional_redirect_urls`; see ``RedirectPattern``.
    package init(siteURL: String, patterns: [String]) {
        siteAddress = WebAddress(siteURL)
        site = RedirectTarget(siteURL)
        self.patterns = patterns.map(RedirectPattern.init)
    }

    /// Whether a browser may be sent there: the site's own scheme, host and port (any port where the site is on this machine),
    /// or a listed pattern.
    package func allows(_ text: String) -> Bool {
        guard let address = WebAddress(text) else { return false }
        if let siteAddress, address.scheme == siteAddress.scheme, address.host == siteAddress.host,
            address.port == siteAddress.port || siteAddress.isLoopback
        {
            return true
        }
        return patterns.contains { $0.matches(address) }
    }

    /// The first of the candidates that is allowed, else the site.
    package func target(_ candidates: String?...) -> RedirectTarget {
        for case let candidate? in candidates where allows(candidate) { return RedirectTarget(candidate) }
        return site
    }

    /// As ``target(of:)``, with an address out of the body first.
    func target(asked: String, of request: HTTPRequest) -> RedirectTarget {
        !asked.isEmpty && allows(asked) ? RedirectTarget(asked) : target(of: request)
    }

    /// Where a request wants its user to end up: `redirect_to` of the query or as a field, else the page it came from.
    func target(of request: HTTPRequest) -> RedirectTarget {
        target(
            request.query.flatMap { FormFields(query: $0).first("redirect_to") }, request.headers["redirect_to"],
            request.headers["referer"])
    }
}

/// An address that was found allowed, and what it is told in its query and fragment.
package struct RedirectTarget: Sendable, Hashable {
    /// Without a fragment.
    private let base: String
    private var query: [(name: String, value: String)] = []
    private var fragment: [(name: String, value: String)] = []

    init(_ allowed: String) {
        base = String(allowed.prefix { $0 != "#" })
    }

    /// The address as it was asked for, without what was added.
    package var address: String { base }

    package func adding(
        query: [(name: String, value: String)] = [], fragment: [(name: String, value: String)] = []
    ) -> RedirectTarget {
        var target = self
        target.query += query
        target.fragment += fragment
        return target
    }

    /// The whole address, in ASCII.
    package var text: String {
        var text = base.utf8.reduce(into: "") { text, byte in
            if byte < 0x80 { text.unicodeScalars.append(Unicode.Scalar(byte)) } else { text += percentEncode(byte) }
        }
        if !query.isEmpty {
            text += !base.contains("?") ? "?" : base.hasSuffix("?") || base.hasSuffix("&") ? "" : "&"
            text += FormFields.encode(query)
        }
        if !fragment.isEmpty { text += "#" + FormFields.encode(fragment) }
        return text
    }

    /// Sends the browser there, never from a cache: the address carries a code or tokens.
    func response(_ status: HTTPStatus) -> HTTPResponse {
        var response = HTTPResponse.empty(status)
        response.headers.append("Location", text)
        response.headers.append("Cache-Control", "no-store")
        response.headers.append("Referrer-Policy", "no-referrer")
        return response
    }

    package static func == (first: RedirectTarget, second: RedirectTarget) -> Bool { first.text == second.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
