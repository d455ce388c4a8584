// SPDX-License-Identifier: Apache-2.0
package import HTTP
internal import Primitives

/// What of a request SQL can read by `current_setting('request....')`.
package enum RequestSettings {
    /// `request.method`, `request.path`, `request.headers` and `request.cookies`, the latter two as JSON objects. Cookies are not
    /// among the headers.
    ///
    /// - Parameter path: the path as the service's clients see it, where a prefix of it is the server's.
    package static func settings(of request: HTTPRequest, path: String? = nil) -> [(name: String, value: String)] {
        var headers = request.headers
        var cookies = "{}"
        if let cookie = headers["cookie"] {
            cookies = Self.cookies(cookie)
            headers.remove("cookie")
        }
        return [
            (name: "request.method", value: request.method.rawValue),
            (name: "request.path", value: path ?? request.path),
            (name: "request.headers", value: headers.jsonObject()),
            (name: "request.cookies", value: cookies),
        ]
    }

    /// The cookies of a `Cookie` field as a JSON object.
    private static func cookies(_ header: String) -> String {
        var members = JSONObject()
        for pair in header.split(separator: ";") {
            let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, !parts[0].isEmpty { members[String(parts[0])] = .string(String(parts[1])) }
        }
        return JSON.object(members).text
    }
}
