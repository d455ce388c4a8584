// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import HTTPClient
internal import Primitives

/// The call that tells whether a service takes a key: one that reads and changes nothing, and is not paid for.
struct KeyProbe: Sendable {
    /// Whose address is asked, by the name in the configuration.
    enum Family: String, Sendable, CaseIterable {
        case anthropic, cohere, deepseek, elevenlabs, gemini, github, groq, heygen, mistral, openai, perplexity, resend
        case sendgrid, stripe, twilio, twitter

        var address: String {
            switch self {
            case .anthropic: "https://api.anthropic.com"
            case .cohere: "https://api.cohere.com"
            case .deepseek: "https://api.deepseek.com"
            case .elevenlabs: "https://api.elevenlabs.io"
            case .gemini: "https://generativelanguage.googleapis.com"
            case .github: "https://api.github.com"
            case .groq: "https://api.groq.com"
            case .heygen: "https://api.heygen.com"
            case .mistral: "https://api.mistral.ai"
            case .openai: "https://api.openai.com"
            case .perplexity: "https://api.perplexity.ai"
            case .resend: "https://api.resend.com"
            case .sendgrid: "https://api.sendgrid.com"
            case .stripe: "https://api.stripe.com"
            case .twilio: "https://api.twilio.com"
            case .twitter: "https://api.twitter.com"
            }
        }
    }

    let family: Family
    /// The keys the call needs, by the names of their services.
    let keys: [String]
    /// Statuses beside 401 and 403 by which the service refuses a key.
    var refusals: Set<Int> = []
    /// Statuses that come only after the key was taken, such as a complaint about an empty body.
    var acceptances: Set<Int> = []
    private let make: @Sendable (_ base: String, _ keys: [String]) -> HTTPClientRequest?

    /// The request; nil for keys that cannot be right, such as one with a line end in it.
    ///
    /// - Parameter keys: in the order of ``keys``.
    func call(_ base: String, _ keys: [String]) -> HTTPClientRequest? {
        guard keys.allSatisfy({ key in key.utf8.allSatisfy { (0x21...0x7e).contains($0) } && !key.isEmpty }) else {
            return nil
        }
        return make(base, keys)
    }

    /// - Returns: nil for a service that is not known.
    init?(service: String) {
        switch service {
        case "openai": self.init(.openai, service, bearer: "/v1/models")
        case "mistral": self.init(.mistral, service, bearer: "/v1/models")
        case "groq": self.init(.groq, service, bearer: "/openai/v1/models")
        case "deepseek": self.init(.deepseek, service, bearer: "/models")
        case "cohere": self.init(.cohere, service, bearer: "/v1/models")
        case "github": self.init(.github, service, bearer: "/user")
        case "sendgrid": self.init(.sendgrid, service, bearer: "/v3/scopes")
        case "resend": self.init(.resend, service, bearer: "/domains")
        case "stripe": self.init(.stripe, service, bearer: "/v1/balance")
        case "elevenlabs": self.init(.elevenlabs, service, header: "xi-api-key", "/v1/user")
        case "heygen": self.init(.heygen, service, header: "X-Api-Key", "/v2/user/remaining_quota")
        case "gemini":
            self.init(.gemini, service, header: "x-goog-api-key", "/v1beta/models")
            refusals = [400]
        case "anthropic":
            self.init(.anthropic, [service]) { base, keys in
                HTTPClientRequest(
                    .get, "\(base)/v1/models", headers: ["x-api-key": keys[0], "anthropic-version": "2023-06-01"])
            }
        case "perplexity":
            // It lists nothing for free; an empty question is refused after the key was looked at.
            self.init(.perplexity, [service], acceptances: [400, 422]) { base, keys in
                HTTPClientRequest(
                    .post, "\(base)/chat/completions",
                    headers: ["Authorization": "Bearer \(keys[0])", "Content-Type": "application/json"],
                    body: Array("{}".utf8))
            }
        case "twilio":
            // Both halves in one key, as its own tools write them: `AC...:token`.
            self.init(.twilio, [service]) { base, keys in
                let parts = keys[0].split(separator: ":", maxSplits: 1).map(String.init)
                return parts.count == 2 ? Self.twilioAccount(base, parts[0], parts[1]) : nil
            }
        case "twilio_account_sid", "twilio_auth_token":
            self.init(.twilio, ["twilio_account_sid", "twilio_auth_token"]) { base, keys in
                Self.twilioAccount(base, keys[0], keys[1])
            }
        case "twitter_bearer":
            self.init(.twitter, service, bearer: "/1.1/application/rate_limit_status.json?resources=help")
        case "twitter_api_key", "twitter_api_secret":
            self.init(.twitter, ["twitter_api_key", "twitter_api_secret"]) { base, keys in
                HTTPClientRequest(
                    .post, "\(base)/oauth2/token",
                    headers: [
                        "Authorization": Self.basic(keys[0], keys[1]),
                        "Content-Type": "application/x-www-form-urlencoded",
                    ], body: Array("grant_type=client_credentials".utf8))
            }
        case "twitter_access_token", "twitter_access_token_secret":
            self.init(
                .twitter,
                ["twitter_api_key", "twitter_api_secret", "twitter_access_token", "twitter_access_token_secret"]
            ) { base, keys in
                let url = "\(base)/1.1/account/verify_credentials.json"
                let signature = OAuthSignature(
                    consumerKey: keys[0], consumerSecret: keys[1], token: keys[2], tokenSecret: keys[3])
                return HTTPClientRequest(.get, url, headers: ["Authorization": signature.header(.get, url)])
            }
        default: return nil
        }
    }

    private init(
        _ family: Family, _ keys: [String], acceptances: Set<Int> = [],
        _ make: @escaping @Sendable (_ base: String, _ keys: [String]) -> HTTPClientRequest?
    ) {
        self.family = family
        self.keys = keys
        self.acceptances = acceptances
        self.make = make
    }

    private init(_ family: Family, _ service: String, bearer path: String) {
        self.init(family, [service]) { base, keys in
            HTTPClientRequest(.get, base + path, headers: ["Authorization": "Bearer \(keys[0])"])
        }
    }

    private init(_ family: Family, _ service: String, header: String, _ path: String) {
        self.init(family, [service]) { base, keys in
            var headers = HTTPHeaders()
            headers.set(header, keys[0])
            return HTTPClientRequest(.get, base + path, headers: headers)
        }
    }

    private static func twilioAccount(_ base: String, _ account: String, _ token: String) -> HTTPClientRequest? {
        // The account stands in the path.
        guard
            account.utf8.allSatisfy({
                $0 < 0x80 && (Character(Unicode.Scalar($0)).isLetter || (0x30...0x39).contains($0))
            })
        else { return nil }
        return HTTPClientRequest(
            .get, "\(base)/2010-04-01/Accounts/\(account).json", headers: ["Authorization": basic(account, token)])
    }

    private static func basic(_ user: String, _ password: String) -> String {
        "Basic \(Base64.encode(Array("\(user):\(password)".utf8)))"
    }
}

/// The signature of a request by OAuth 1.0a with HMAC-SHA1 (RFC 5849), for requests without parameters.
struct OAuthSignature: Sendable {
    let consumerKey: String
    let consumerSecret: String
    let token: String
    let tokenSecret: String

    /// The value of `Authorization`.
    func header(
        _ method: HTTPMethod, _ url: String, nonce: String = Hex.encode(randomBytes(16)),
        seconds: Int64 = Timestamp.now().unixSeconds
    ) -> String {
        var fields = [
            ("oauth_consumer_key", consumerKey), ("oauth_nonce", nonce), ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", String(seconds)), ("oauth_token", token), ("oauth_version", "1.0"),
        ]
        let parameters = fields.map { "\(Self.encoded($0))=\(Self.encoded($1))" }.joined(separator: "&")
        let base = [method.rawValue, Self.encoded(url), Self.encoded(parameters)].joined(separator: "&")
        let key = "\(Self.encoded(consumerSecret))&\(Self.encoded(tokenSecret))"
        let code = HMAC.code(for: Array(base.utf8), key: Array(key.utf8), using: .sha1)
        fields.append(("oauth_signature", Base64.encode(code)))
        return "OAuth " + fields.map { "\($0)=\"\(Self.encoded($1))\"" }.joined(separator: ", ")
    }

    /// Percent-encoded as section 3.6 of the RFC says.
    private static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { encoded, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default: encoded += "%" + Hex.encode([byte]).uppercased()
            }
        }
    }
}
