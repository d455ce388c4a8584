// SPDX-License-Identifier: Apache-2.0
import HTTP
import HTTPClient
package import Mail
package import Primitives

/// By which way a text message reaches a phone.
package enum MessageChannel: String, Sendable {
    case sms
    case whatsapp

    /// `channel` of a request; `sms` when there is none.
    init(_ fields: RequestFields) throws(AuthError) {
        let text = try fields.text("channel")
        guard let channel = text.isEmpty ? .sms : MessageChannel(rawValue: text) else {
            throw AuthError(.validationFailed, "Invalid channel, supported values are 'sms' or 'whatsapp'")
        }
        self = channel
    }
}

/// A text message to be sent once the transaction that made its code is committed.
struct TextMessage: Sendable {
    var phone: PhoneNumber
    var text: String
    var channel: MessageChannel
    /// Whether the provider makes the code itself.
    var isCodeMadeElsewhere = false
}

/// How text messages are sent, and what they say.
package struct AuthMessenger: Sendable {
    /// Who sends them.
    package enum Provider: Sendable {
        /// Twilio's Messaging API; the service's id or a number as sender.
        case twilio(account: String, sender: String, token: SecretString)
        /// Twilio Verify, which makes and checks the codes itself.
        case twilioVerify(account: String, service: String, token: SecretString)
        case messagebird(originator: String, accessKey: SecretString)
        case textlocal(sender: String, apiKey: SecretString)
        case vonage(from: String, apiKey: String, apiSecret: SecretString)
    }

    /// Nil when nobody is configured.
    package var provider: Provider?
    /// The message; `{{ .Code }}` is the code.
    package var template: MailTemplate
    /// The provider's API in place of its own, without a slash at the end: a relay, or a test's stand-in.
    package var baseURL: String?
    /// Codes that are always right, by number: no message is sent.
    package var testCodes: [String: String] = [:]
    /// Until the provider has answered.
    package var timeout: Duration = .seconds(10)

    package init(provider: Provider?, template: MailTemplate) {
        self.provider = provider
        self.template = template
    }

    /// What `/settings` calls the provider.
    var name: String {
        switch provider {
        case .twilio: "twilio"
        case .twilioVerify: "twilio_verify"
        case .messagebird: "messagebird"
        case .textlocal: "textlocal"
        case .vonage: "vonage"
        case nil: ""
        }
    }

    var makesCodesElsewhere: Bool {
        if case .twilioVerify = provider { true } else { false }
    }

    // MARK: Requests

    /// The request that sends a message; nil without a provider.
    func request(sending message: TextMessage) -> HTTPClientRequest? {
        let number = "+" + message.phone.digits
        switch provider {
        case nil: return nil
        case .twilio(let account, let sender, let token):
            let prefix = message.channel == .whatsapp ? "whatsapp:" : ""
            return post(
                base("https://api.twilio.com") + "/2010-04-01/Accounts/\(account)/Messages.json",
                [
                    ("To", prefix + number), ("Channel", message.channel.rawValue),
                    sender.hasPrefix("MG") ? ("MessagingServiceSid", sender) : ("From", prefix + sender),
                    ("Body", message.text),
                ], user: account, token)
        case .twilioVerify(let account, let service, let token):
            return post(
                base("https://verify.twilio.com") + "/v2/Services/\(service)/Verifications",
                [("To", number), ("Channel", message.channel.rawValue)], user: account, token)
        case .messagebird(let originator, let accessKey):
            var request = post(
                base("https://rest.messagebird.com") + "/messages",
                [
                    ("originator", originator), ("body", message.text), ("recipients", message.phone.digits),
                    ("type", "sms"), ("datacoding", "unicode"),
                ])
            request.headers.append("Authorization", "AccessKey \(accessKey.reveal())")
            return request
        case .textlocal(let sender, let apiKey):
            return post(
                base("https://api.textlocal.in") + "/send/",
                [
                    ("sender", sender), ("apikey", apiKey.reveal()), ("message", message.text),
                    ("numbers", message.phone.digits),
                ])
        case .vonage(let from, let apiKey, let apiSecret):
            return post(
                base("https://rest.nexmo.com") + "/sms/json",
                [
                    ("from", from), ("to", message.phone.digits), ("text", message.text), ("api_key", apiKey),
                    ("api_secret", apiSecret.reveal()), ("type", "unicode"),
                ])
        }
    }

    /// The request that asks the provider whether a code is right; nil when the provider does not make them.
    func request(checking code: String, for phone: PhoneNumber) -> HTTPClientRequest? {
        guard case .twilioVerify(let account, let service, let token) = provider else { return nil }
        return post(
            base("https://verify.twilio.com") + "/v2/Services/\(service)/VerificationCheck",
            [("To", "+" + phone.digits), ("Code", code)], user: account, token)
    }

    private func base(_ own: String) -> String { baseURL ?? own }

    private func post(
        _ url: String, _ fields: [(name: String, value: String)], user: String? = nil, _ password: SecretString? = nil
    ) -> HTTPClientRequest {
        var request = HTTPClientRequest(
            .post, url, headers: ["Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"],
            body: Array(FormFields.encode(fields).utf8))
        if let user, let password {
            request.headers.append(
                "Authorization", "Basic " + Base64.encode(Array("\(user):\(password.reveal())".utf8)))
        }
        request.timeout = timeout
        request.maxResponseBytes = 64 << 10
        return request
    }

    // MARK: Answers

    /// The id the provider gave a message; nil when it took none.
    func messageID(of response: HTTPClientResponse) -> String? {
        guard (200..<300).contains(response.status.code), let body = try? JSON(parsing: response.body) else {
            return nil
        }
        switch provider {
        case .twilio:
            let refused = ["failed", "undelivered"].contains(body["status"]?.stringValue ?? "")
            return refused ? nil : body["sid"]?.stringValue
        case .twilioVerify: return body["sid"]?.stringValue
        case .messagebird: return body["id"]?.stringValue
        case .textlocal:
            return body["status"]?.stringValue == "success"
                ? body["messages"]?[0]?["id"].map { $0.stringValue ?? $0.text } ?? "" : nil
        case .vonage:
            let first = body["messages"]?[0]
            return first?["status"]?.stringValue == "0" ? first?["message-id"]?.stringValue ?? "" : nil
        case nil: return nil
        }
    }
}
