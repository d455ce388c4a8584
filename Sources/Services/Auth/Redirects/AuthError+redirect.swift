// SPDX-License-Identifier: Apache-2.0
import HTTP

extension AuthError {
    /// What a redirect tells of an error.
    var redirectMembers: [(name: String, value: String)] {
        [("error", redirectWord), ("error_code", code.rawValue), ("error_description", message)]
    }

    /// `error`, by status.
    private var redirectWord: String {
        switch status.code {
        case 401: "unauthorized_client"
        case 403: "access_denied"
        case 503: "temporarily_unavailable"
        case 500...: "server_error"
        default: "invalid_request"
        }
    }
}

extension RedirectTarget {
    /// With a session in the fragment, where it is sent to no server. The empty `sb` tells clients whose fragment it is.
    func adding(_ session: IssuedSession, _ tokens: ProviderTokens = ProviderTokens()) -> RedirectTarget {
        var members: [(name: String, value: String)] = [
            ("access_token", session.accessToken), ("expires_at", String(session.expiresAt)),
            ("expires_in", String(session.expiresIn)),
        ]
        if let token = tokens.access { members.append(("provider_token", token)) }
        if let token = tokens.refresh { members.append(("provider_refresh_token", token)) }
        members += [("refresh_token", session.refreshToken), ("sb", ""), ("token_type", "bearer")]
        return adding(fragment: members)
    }

    /// With what went wrong in the fragment, and for a flow that ends in a code in the query, too.
    func adding(refusal members: [(name: String, value: String)], isPKCE: Bool) -> RedirectTarget {
        adding(query: isPKCE ? members : [], fragment: members + [("sb", "")])
    }
}
