// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// Cookies of the console: for this server alone, out of reach of scripts, and not sent along with requests that other sites start,
/// links aside (RFC 6265, and SameSite as browsers have it).
struct Cookie: Sendable {
    let name: String
    let value: String
    /// Seconds; nil until the browser ends, zero to remove it.
    var maxAge: Int?
    /// Below which it is sent.
    var path = "/"

    /// - Parameter isSecure: whether the page came over TLS; then the cookie never goes out without it.
    func field(isSecure: Bool) -> String {
        var field = "\(name)=\(value); Path=\(path); HttpOnly; SameSite=Lax"
        if let maxAge { field += "; Max-Age=\(maxAge)" }
        if isSecure { field += "; Secure" }
        return field
    }

    /// The cookies of a request; of two with one name the first.
    static func all(of request: HTTPRequest) -> [String: String] {
        var cookies: [String: String] = [:]
        for pair in (request.headers["cookie"] ?? "").split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let name = parts[0].drop { $0 == " " }
            if cookies[String(name)] == nil { cookies[String(name)] = String(parts[1]) }
        }
        return cookies
    }
}
