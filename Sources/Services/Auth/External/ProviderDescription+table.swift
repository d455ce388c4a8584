// SPDX-License-Identifier: Apache-2.0

/// The providers that are known by name. Any other name is an OpenID provider at the configured address.
extension ProviderDescription {
    /// An OpenID provider that says all of itself.
    static let custom = ProviderDescription(
        kind: .openID(OpenIDShape()), scopes: ["openid", "email", "profile"], url: nil)

    static let all: [String: ProviderDescription] = [
        "apple": ProviderDescription(
            kind: .openID(OpenIDShape(isFormPost: true, signsClientSecret: true)), scopes: ["email", "name"],
            url: "https://appleid.apple.com"),
        "azure": ProviderDescription(
            kind: .openID(OpenIDShape(emailTrust: .azure, issuerSuffix: "/v2.0")),
            scopes: ["openid", "email", "profile"],
            url: "https://login.microsoftonline.com/common"),
        "google": ProviderDescription(
            kind: .openID(OpenIDShape()), scopes: ["openid", "email", "profile"], url: "https://accounts.google.com"),
        "keycloak": ProviderDescription(
            kind: .openID(OpenIDShape()), scopes: ["openid", "email", "profile"], url: nil),
        "linkedin_oidc": ProviderDescription(
            kind: .openID(OpenIDShape()), scopes: ["openid", "email", "profile"], url: "https://www.linkedin.com/oauth"),
        "slack_oidc": ProviderDescription(
            kind: .openID(OpenIDShape()), scopes: ["openid", "email", "profile"], url: "https://slack.com"),
        "slack": ProviderDescription(
            kind: .openID(OpenIDShape()), scopes: ["openid", "email", "profile"], url: "https://slack.com"),
        "bitbucket": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/site/oauth2/authorize", token: "/site/oauth2/access_token",
                    user: "https://api.bitbucket.org/2.0/user",
                    emails: .document(
                        "https://api.bitbucket.org/2.0/user/emails", list: ["values"], address: "email",
                        isVerified: "is_confirmed", isPrimary: "is_primary"),
                    clientAuthentication: .basic,
                    profile: ProfileMapping(
                        subject: "uuid", names: ["display_name"], username: "username", picture: "links.avatar.href"))),
            scopes: ["account", "email"], url: "https://bitbucket.org"),
        "discord": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/oauth2/authorize", token: "/api/oauth2/token", user: "/api/users/@me",
                    profile: ProfileMapping(
                        subject: "id", names: ["username"], username: "username",
                        pictureTemplate: ("https://cdn.discordapp.com/avatars/{0}/{1}.png", ["id", "avatar"]),
                        email: "email", emailTrust: .paths(["verified"]), further: [("global_name", "global_name")]))),
            scopes: ["email", "identify"], url: "https://discord.com"),
        "facebook": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/dialog/oauth", token: "https://graph.facebook.com/oauth/access_token",
                    user: "https://graph.facebook.com/me?fields=email,first_name,last_name,name,picture",
                    sendsSecretProof: true,
                    profile: ProfileMapping(
                        subject: "id", names: ["name"], picture: "picture.data.url", email: "email",
                        emailTrust: .always))),
            scopes: ["email"], scopeSeparator: ",", url: "https://www.facebook.com"),
        "figma": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/oauth", token: "https://api.figma.com/v1/oauth/token",
                    user: "https://api.figma.com/v1/me", clientAuthentication: .basic,
                    profile: ProfileMapping(
                        subject: "id", names: ["handle"], username: "handle", picture: "img_url", email: "email",
                        emailTrust: .always))),
            scopes: ["current_user:read"], url: "https://www.figma.com"),
        "fly": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/oauth/authorize", token: "/oauth/token", user: "/oauth/token/info",
                    profile: ProfileMapping(
                        subject: "user_id", names: ["user_name"], email: "email", emailTrust: .always,
                        further: [("organizations", "organizations")]))),
            scopes: ["read"], url: "https://api.fly.io"),
        "github": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/login/oauth/authorize", token: "/login/oauth/access_token",
                    user: "{api}/user",
                    emails: .document(
                        "{api}/user/emails", list: [], address: "email", isVerified: "verified", isPrimary: "primary"),
                    takesChallenge: true,
                    profile: ProfileMapping(
                        subject: "id", names: ["name"], username: "login", picture: "avatar_url"))),
            scopes: ["user:email"], url: "https://github.com"),
        "gitlab": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/oauth/authorize", token: "/oauth/token", user: "/api/v4/user",
                    takesChallenge: true,
                    profile: ProfileMapping(
                        subject: "id", names: ["name"], username: "username", picture: "avatar_url", email: "email",
                        emailTrust: .paths(["confirmed_at"])))),
            scopes: ["read_user"], url: "https://gitlab.com"),
        "kakao": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/oauth/authorize", token: "/oauth/token", user: "https://kapi.kakao.com/v2/user/me",
                    profile: ProfileMapping(
                        subject: "id", names: ["kakao_account.profile.nickname"],
                        username: "kakao_account.profile.nickname",
                        picture: "kakao_account.profile.profile_image_url", email: "kakao_account.email",
                        emailTrust: .paths(["kakao_account.is_email_valid", "kakao_account.is_email_verified"])))),
            scopes: ["account_email", "profile_image", "profile_nickname"], url: "https://kauth.kakao.com"),
        "notion": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/v1/oauth/authorize", token: "/v1/oauth/token", user: "/v1/users/me",
                    clientAuthentication: .basic, userHeaders: [("Notion-Version", "2022-06-28")],
                    profile: ProfileMapping(
                        subject: "bot.owner.user.id", names: ["bot.owner.user.name"],
                        picture: "bot.owner.user.avatar_url", email: "bot.owner.user.person.email",
                        emailTrust: .always))),
            scopes: [], parameters: [("owner", "user")], url: "https://api.notion.com"),
        "snapchat": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/accounts/oauth2/auth", token: "/accounts/oauth2/token",
                    user:
                        "https://kit.snapchat.com/v1/me?query=%7Bme%7BexternalId%20displayName%20bitmoji%7Bavatar%20id%7D%7D%7D",
                    // It tells no address: `email_optional` lets such people in.
                    profile: ProfileMapping(
                        subject: "data.me.externalId", names: ["data.me.displayName"],
                        picture: "data.me.bitmoji.avatar"))),
            scopes: [
                "https://auth.snapchat.com/oauth2/api/user.external_id",
                "https://auth.snapchat.com/oauth2/api/user.display_name",
                "https://auth.snapchat.com/oauth2/api/user.bitmoji.avatar",
            ], url: "https://accounts.snapchat.com"),
        "spotify": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/authorize", token: "/api/token", user: "https://api.spotify.com/v1/me",
                    clientAuthentication: .basic, takesChallenge: true,
                    // Spotify says of the address that it is not verified.
                    profile: ProfileMapping(
                        subject: "id", names: ["display_name"], picture: "images.0.url", email: "email"))),
            scopes: ["user-read-email"], url: "https://accounts.spotify.com"),
        "twitch": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/oauth2/authorize", token: "/oauth2/token",
                    user: "https://api.twitch.tv/helix/users",
                    userHeaders: [("Client-Id", "{client_id}")],
                    profile: ProfileMapping(
                        subject: "data.0.id", names: ["data.0.display_name", "data.0.login"], username: "data.0.login",
                        picture: "data.0.profile_image_url", email: "data.0.email", emailTrust: .always,
                        further: [("broadcaster_type", "data.0.broadcaster_type")]))),
            scopes: ["user:read:email"], url: "https://id.twitch.tv"),
        // The older interface of X; the newer one is `x`.
        "twitter": ProviderDescription(
            kind: .oauth1(
                OAuth1Shape(
                    requestToken: "/oauth/request_token", authorization: "/oauth/authenticate",
                    accessToken: "/oauth/access_token", user: "/1.1/account/verify_credentials.json",
                    userParameters: [("include_email", "true")],
                    // It tells an address only once it is verified.
                    profile: ProfileMapping(
                        subject: "id_str", names: ["name"], username: "screen_name",
                        picture: "profile_image_url_https", email: "email", emailTrust: .always))),
            scopes: [], url: "https://api.twitter.com"),
        "workos": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/sso/authorize", token: "/sso/token", user: nil,
                    profile: ProfileMapping(
                        subject: "id", names: ["raw_attributes.name", "first_name"], email: "email",
                        emailTrust: .always,
                        further: [
                            ("connection_id", "connection_id"), ("organization_id", "organization_id"),
                        ]))),
            scopes: [], url: "https://api.workos.com"),
        "x": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "https://x.com/i/oauth2/authorize", token: "/2/oauth2/token",
                    user: "/2/users/me?user.fields=confirmed_email,profile_image_url,username",
                    clientAuthentication: .basic, takesChallenge: true,
                    profile: ProfileMapping(
                        subject: "data.id", names: ["data.name"], username: "data.username",
                        picture: "data.profile_image_url", email: "data.confirmed_email", emailTrust: .always))),
            scopes: ["users.read", "users.email", "tweet.read"], url: "https://api.x.com"),
        "zoom": ProviderDescription(
            kind: .oauth2(
                OAuth2Shape(
                    authorization: "/oauth/authorize", token: "/oauth/token", user: "https://api.zoom.us/v2/users/me",
                    clientAuthentication: .basic,
                    profile: ProfileMapping(
                        subject: "id", names: ["display_name", "first_name"], picture: "pic_url", email: "email",
                        emailTrust: .paths(["verified"])))),
            scopes: [], url: "https://zoom.us"),
    ]
}
