// SPDX-License-Identifier: Apache-2.0
import Auth
import HTTP
import Primitives
import Synchronization
import TestSupport
import Testing

/// Text messages through a provider's API, which a server of our own stands in for.
@Suite struct PhoneProviderTests {
    /// What the provider was asked, as path, login and form.
    final class Calls: Sendable {
        private let calls = Mutex<[(path: String, login: String, form: FormFields)]>([])
        func add(_ path: String, _ login: String, _ form: FormFields) {
            calls.withLock { $0.append((path, login, form)) }
        }
        var all: [(path: String, login: String, form: FormFields)] { calls.withLock { $0 } }
    }

    private static func withProvider(
        status: HTTPStatus = 201, answer: JSON = ["sid": "SM1", "status": "queued"],
        _ body: @escaping @Sendable (String, Calls) async throws -> Void
    ) async throws {
        let calls = Calls()
        try await withLoopbackServer { router in
            for path in [
                "/2010-04-01/Accounts/:account/Messages.json", "/v2/Services/:service/Verifications",
                "/v2/Services/:service/VerificationCheck", "/messages", "/send/", "/sms/json",
            ] {
                router.on(.post, path) { request in
                    let body = try await request.body.collect()
                    let form = FormFields(query: String(decoding: body, as: UTF8.self))
                    calls.add(request.path, request.headers["authorization"] ?? "", form)
                    if request.path.hasSuffix("VerificationCheck") {
                        let isRight = form.first("Code") == "424242"
                        return .json(["status": isRight ? "approved" : "pending"])
                    }
                    return .json(answer, status: status)
                }
            }
        } _: { url in
            try await body(url, calls)
        }
    }

    private static func byPhone(_ configuration: inout AuthConfiguration) {
        configuration.flows.isPhoneEnabled = true
        configuration.flows.arePhoneConfirmationsEnabled = true
    }

    private static func verify(_ auth: AuthFixture, _ code: String) async throws -> TestHTTPResponse {
        let body: JSON = ["type": "sms", "token": .string(code), "phone": "+4366012345678"]
        return try await auth.request("POST", "/verify", body.text)
    }

    @Test func twilioSendsTheCode() async throws {
        try await Self.withProvider { url, calls in
            var messaging = AuthFixture.Messaging()
            messaging.provider = .twilio(account: "AC1", sender: "MG1", token: SecretString("token"))
            messaging.smsBaseURL = url
            try await AuthFixture.run(messaging: messaging, Self.byPhone) { auth in
                let body = #"{"phone":"+4366012345678","password":"correct horse"}"#
                let signedUp = try await auth.request("POST", "/signup", body)
                #expect(signedUp.status == 200 && signedUp.json["access_token"] == nil, "\(signedUp.text)")
                let call = try #require(calls.all.first)
                #expect(call.path == "/2010-04-01/Accounts/AC1/Messages.json")
                #expect(call.login == "Basic " + Base64.encode(Array("AC1:token".utf8)))
                #expect(call.form.first("To") == "+4366012345678" && call.form.first("MessagingServiceSid") == "MG1")
                let code = String((call.form.first("Body") ?? "").suffix(6))
                #expect(
                    try await auth.request("POST", "/token?grant_type=password", body).errorCode
                        == "phone_not_confirmed")
                #expect(try await Self.verify(auth, code).status == 200)
                #expect(try await auth.request("POST", "/token?grant_type=password", body).status == 200)
                let sent = try await auth.request("POST", "/otp", #"{"phone":"4366012345678"}"#)
                #expect(sent.json["message_id"] == "SM1")
            }
        }
    }

    @Test func twilioVerifyMakesAndChecksTheCode() async throws {
        try await Self.withProvider(answer: ["sid": "VE1"]) { url, calls in
            var messaging = AuthFixture.Messaging()
            messaging.provider = .twilioVerify(account: "AC1", service: "VA1", token: SecretString("token"))
            messaging.smsBaseURL = url
            try await AuthFixture.run(messaging: messaging, Self.byPhone) { auth in
                let sent = try await auth.request("POST", "/otp", #"{"phone":"+4366012345678"}"#)
                #expect(sent.json["message_id"] == "VE1", "\(sent.text)")
                #expect(calls.all.first?.form.first("Body") == nil)
                #expect(try await Self.verify(auth, "111111").errorCode == "otp_expired")
                #expect(try await Self.verify(auth, "424242").status == 200)
            }
        }
    }

    @Test func aRefusalOfTheProviderIsTold() async throws {
        try await Self.withProvider(status: 400, answer: ["code": 21211, "message": "secret detail"]) { url, _ in
            var messaging = AuthFixture.Messaging()
            messaging.provider = .twilio(account: "AC1", sender: "+1555", token: SecretString("token"))
            messaging.smsBaseURL = url
            try await AuthFixture.run(messaging: messaging, Self.byPhone) { auth in
                let sent = try await auth.request("POST", "/otp", #"{"phone":"+4366012345678"}"#)
                #expect(sent.errorCode == "sms_send_failed" && !sent.text.contains("secret detail"), "\(sent.text)")
            }
        }
    }

    /// A vendor with the form its interface is documented in.
    struct Vendor: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let provider: AuthMessenger.Provider
        let path: String
        var login = ""
        /// Besides the message's text.
        let form: [String: String]
        let text: String
        let accepted: JSON
        let id: String
        /// All come with 200, as most vendors have it.
        let refusals: [JSON]
    }

    static let vendors = [
        Vendor(
            testDescription: "MessageBird",
            provider: .messagebird(originator: "Shop", accessKey: SecretString("live_key")), path: "/messages",
            login: "AccessKey live_key",
            form: ["originator": "Shop", "recipients": "4366012345678", "type": "sms", "datacoding": "unicode"],
            text: "body", accepted: ["id": "e8077d803532c0b5937c639b60216938", "originator": "Shop"],
            id: "e8077d803532c0b5937c639b60216938",
            refusals: [["errors": [["code": 9, "description": "no (correct) recipients found"]]]]),
        Vendor(
            testDescription: "Textlocal", provider: .textlocal(sender: "SHOP", apiKey: SecretString("secret/key=")),
            path: "/send/", form: ["sender": "SHOP", "apikey": "secret/key=", "numbers": "4366012345678"],
            text: "message", accepted: ["status": "success", "messages": [["id": "1151346216", "recipient": 43]]],
            id: "1151346216",
            refusals: [["status": "failure", "errors": [["code": 7, "message": "Insufficient credits"]]]]),
        Vendor(
            testDescription: "Vonage",
            provider: .vonage(from: "Shop", apiKey: "abcd1234", apiSecret: SecretString("api secret")),
            path: "/sms/json",
            form: [
                "from": "Shop", "to": "4366012345678", "api_key": "abcd1234", "api_secret": "api secret",
                "type": "unicode",
            ], text: "text",
            accepted: ["message-count": "1", "messages": [["status": "0", "message-id": "0A00000123ABCD1"]]],
            id: "0A00000123ABCD1",
            refusals: [
                ["message-count": "1", "messages": [["status": "4", "error-text": "Bad Credentials"]]],
                ["message-count": "0", "messages": []],
            ]),
    ]

    @Test(arguments: vendors) func sendsTheCodeAsTheVendorWantsIt(_ vendor: Vendor) async throws {
        try await Self.withProvider(status: 200, answer: vendor.accepted) { url, calls in
            var messaging = AuthFixture.Messaging()
            messaging.provider = vendor.provider
            messaging.smsBaseURL = url
            try await AuthFixture.run(messaging: messaging, Self.byPhone) { auth in
                let sent = try await auth.request("POST", "/otp", #"{"phone":"+43 660 12345678"}"#)
                #expect((sent.status, sent.json["message_id"]) == (200, .string(vendor.id)), "\(sent.text)")
                let call = try #require(calls.all.first)
                #expect(call.path == vendor.path && call.login == vendor.login)
                for (name, value) in vendor.form { #expect(call.form.first(name) == value, "\(name)") }
                #expect(Set(call.form.all.map(\.name)) == Set(vendor.form.keys).union([vendor.text]))
                let code = String((call.form.first(vendor.text) ?? "").suffix(6))
                #expect(try await Self.verify(auth, code).status == 200)
            }
        }
    }

    @Test(arguments: vendors) func whatAVendorRefusesIsNotTakenForSent(_ vendor: Vendor) async throws {
        var answers: [(JSON, HTTPStatus)] = vendor.refusals.map { ($0, 200) }
        answers += [(vendor.accepted, 401), (.null, 500)]
        for (answer, status) in answers {
            try await Self.withProvider(status: status, answer: answer) { url, _ in
                var messaging = AuthFixture.Messaging()
                messaging.provider = vendor.provider
                messaging.smsBaseURL = url
                try await AuthFixture.run(messaging: messaging, Self.byPhone) { auth in
                    let sent = try await auth.request("POST", "/otp", #"{"phone":"+4366012345678"}"#)
                    #expect((sent.status, sent.errorCode) == (422, "sms_send_failed"), "\(sent.text)")
                    #expect(!sent.text.contains("Credentials") && !sent.text.contains("secret"))
                }
            }
        }
    }
}
