// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The widget of a provider that tells humans from programs. Its script and frames are the one thing that the pages take from
/// elsewhere, and only those pages do that show it.
package struct CaptchaWidget: Sendable {
    package enum Provider: String, Sendable {
        case hcaptcha, turnstile
    }

    let provider: Provider
    /// The project's public key at the provider; nil where none is configured, and no widget can be shown.
    let siteKey: String?
    /// In place of the provider's own: a relay, or a test's stand-in.
    private let scriptURL: String?

    package init(provider: Provider, siteKey: String?, scriptURL: String? = nil) {
        self.provider = provider
        self.siteKey = siteKey
        self.scriptURL = scriptURL
    }

    /// The address of the script that makes widgets of the elements with ``elementClass``.
    func script(in language: Language) -> String {
        switch provider {
        case .hcaptcha: (scriptURL ?? "https://js.hcaptcha.com/1/api.js") + "?hl=\(Console.encoded(language.code))"
        case .turnstile: scriptURL ?? "https://challenges.cloudflare.com/turnstile/v0/api.js"
        }
    }

    var elementClass: String {
        switch provider {
        case .hcaptcha: "h-captcha"
        case .turnstile: "cf-turnstile"
        }
    }

    /// The field that the widget adds to its form.
    private var fieldName: String {
        switch provider {
        case .hcaptcha: "h-captcha-response"
        case .turnstile: "cf-turnstile-response"
        }
    }

    /// What Auth takes as the proof: the member `gotrue_meta_security`.
    func proof(in form: FormFields) -> JSON { ["captcha_token": .string(form.first(fieldName) ?? "")] }

    /// What the policy of a page with the widget allows beside this server, by directive.
    var sources: [(directive: String, sources: String)] {
        if let scriptURL {
            let origin = Self.origin(of: scriptURL)
            return [("script-src", origin), ("frame-src", origin), ("connect-src", origin), ("style-src", origin)]
        }
        switch provider {
        case .hcaptcha:
            let own = "https://hcaptcha.com https://*.hcaptcha.com"
            return [("script-src", own), ("frame-src", own), ("connect-src", own), ("style-src", own)]
        case .turnstile:
            let own = "https://challenges.cloudflare.com"
            return [("script-src", own), ("frame-src", own)]
        }
    }

    /// `scheme://host:port` of an address; the configuration takes addresses with http and https alone.
    private static func origin(of address: String) -> String {
        let parts = address.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3 else { return "'none'" }
        let allowed = parts[2].unicodeScalars.allSatisfy {
            $0.isASCII && ($0.properties.isAlphabetic || "0123456789.-:[]".unicodeScalars.contains($0))
        }
        return allowed ? "\(parts[0])//\(parts[2])" : "'none'"
    }
}

extension Console {
    /// The widget within a form, where one is asked for.
    @MarkupBuilder func captchaField(_ visit: Visit) -> Markup {
        if let captcha = methods.captcha {
            if let siteKey = captcha.siteKey {
                Markup(
                    .div, .class("\(captcha.elementClass) captcha"), .hook("sitekey", siteKey), .hook("theme", "auto"),
                    .hook("language", visit.language.code))
                Markup(.noscript) { Markup(.p, .class("error"), text: .captchaNeedsScripts) }
            } else {
                Markup(.p, .class("error"), text: .captchaHasNoKey)
            }
        }
    }

    /// A body for one of Auth's doors that ask for the proof of a human, with what the form's widget gave.
    func proven(_ body: JSONObject, by form: FormFields) -> JSON {
        var body = body
        if let captcha = methods.captcha { body["gotrue_meta_security"] = captcha.proof(in: form) }
        return .object(body)
    }
}
