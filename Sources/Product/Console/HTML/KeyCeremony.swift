// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What passes between a page and the browser's keys (Web Authentication Level 3): a form asks for options, `atoll.js` hands them to
/// the browser, and the form goes out with what a key has answered.
enum KeyCeremony {
    /// A key is made, or an existing one proves itself.
    enum Kind: String, Sendable {
        case create, get
    }

    /// The fields of a form that the script fills in.
    static let answerField = "credential"
    static let challengeField = "challenge"
    static let factorField = "factor"

    /// The form. It is hidden until the script finds that the browser has keys.
    ///
    /// - Parameters:
    ///   - path: where the answer goes.
    ///   - options: where the script asks, with the same fields, what to ask a key for.
    static func form(
        _ path: String, options: String, token: String, class kind: String = "", factor: String = "",
        @MarkupBuilder content: () -> Markup
    ) -> Markup {
        let content = content()
        return Markup(.div, .class(kind)) {
            Markup(
                .form, .method("post"), .action(path), .class("ceremony"), .hidden(), .hook("ceremony", options),
                .hook("cancelled", .of(.keyCancelled)), .hook("known", .of(.keyIsKnown)),
                .hook("elsewhere", .of(.keyOfOtherAddress)), .hook("failed", .of(.keyFailed))
            ) {
                Form.token(token)
                Form.hidden(answerField, "")
                Form.hidden(challengeField, "")
                Form.hidden(factorField, factor)
                content
                Markup(.p, .class("error"), .role("alert"), .hook("problem"), .hidden())
            }
            Markup(.p, .class("hint"), .hook("without-keys"), .hidden(), text: .browserHasNoKeys)
            Markup(.noscript) { Markup(.p, .class("hint"), text: .keysNeedScripts) }
        }
    }

    /// Tells the script what to ask a key for.
    ///
    /// - Parameter publicKey: the options, with binary values in base64url.
    static func options(_ kind: Kind, _ publicKey: JSON, challenge: String, factor: String = "") -> HTTPResponse {
        reply([
            "kind": .string(kind.rawValue), "publicKey": publicKey,
            "fields": [challengeField: .string(challenge), factorField: .string(factor)],
        ])
    }

    /// Tells the script what to show in place of a key's prompt.
    static func refusal(_ answer: ConsoleAPI.Answer, in language: Language) -> HTTPResponse {
        reply(["problem": .string(answer.phrase.text(in: language))], status: answer.pageStatus)
    }

    private static func reply(_ body: JSON, status: HTTPStatus = .ok) -> HTTPResponse {
        var response = HTTPResponse.json(body, status: status)
        response.headers.append("Cache-Control", "no-store")
        return response
    }

    /// The key's answer in a form, which is Auth's to judge; an empty object for what is no JSON.
    static func answer(in form: FormFields) -> JSON {
        (try? JSON(parsing: form.first(answerField) ?? "", maxDepth: 8)) ?? [:]
    }
}
