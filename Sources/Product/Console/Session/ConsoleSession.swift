// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The signed-in visitor of a page: the tokens of a session of Auth's, kept in two cookies.
struct ConsoleSession: Sendable {
    static let accessCookie = "atoll-access"
    static let refreshCookie = "atoll-refresh"
    /// How long a browser keeps the refresh token: a visitor who comes back within it is still signed in, as far as Auth's own limits
    /// of sessions allow.
    private static let refreshSeconds = 30 * 86_400

    let accessToken: String
    let refreshToken: String
    /// Whether the browser does not have these tokens yet.
    var isFresh = false

    /// Takes the tokens from an answer of Auth's.
    init?(_ body: JSON?) {
        guard let access = body?["access_token"]?.stringValue, let refresh = body?["refresh_token"]?.stringValue else {
            return nil
        }
        accessToken = access
        refreshToken = refresh
        isFresh = true
    }

    private init(accessToken: String, refreshToken: String) {
        self.accessToken = accessToken
        self.refreshToken = refreshToken
    }

    /// The visitor's session, refreshed when its token is about to end; nil for somebody who is not signed in.
    static func current(of request: HTTPRequest, _ api: ConsoleAPI, now: Timestamp = .now()) async -> ConsoleSession? {
        let cookies = Cookie.all(of: request)
        guard let refresh = cookies[refreshCookie] else { return nil }
        if let access = cookies[accessCookie], let expiry = expiry(of: access), Int64(expiry) > now.unixSeconds + 10 {
            return ConsoleSession(accessToken: access, refreshToken: refresh)
        }
        let answer = await api.call(
            .post, "/auth/v1/token?grant_type=refresh_token", body: ["refresh_token": .string(refresh)], for: request)
        return answer.isSuccess ? ConsoleSession(answer.body) : nil
    }

    /// When a token ends, as it says itself: only for whether to refresh, as Auth checks it anyway.
    private static func expiry(of token: String) -> Int? { claims(of: token)?["exp"]?.intValue }

    private static func claims(of token: String) -> JSON? {
        let parts = token.split(separator: ".")
        guard parts.count == 3, let bytes = Base64URL.decode(String(parts[1])) else { return nil }
        return try? JSON(parsing: bytes)
    }

    /// Whether the second factor was proved in this session. The token is the visitor's own and was checked by Auth on this visit.
    var isSecondLevel: Bool { Self.claims(of: accessToken)?["aal"]?.stringValue == "aal2" }

    /// Which of the user's sessions this is.
    var id: String? { Self.claims(of: accessToken)?["session_id"]?.stringValue }

    var cookies: [Cookie] {
        [
            Cookie(name: Self.accessCookie, value: accessToken),
            Cookie(name: Self.refreshCookie, value: refreshToken, maxAge: Self.refreshSeconds),
        ]
    }

    /// Removes them from the browser.
    static let cleared = [
        Cookie(name: accessCookie, value: "", maxAge: 0), Cookie(name: refreshCookie, value: "", maxAge: 0),
    ]
}
