// SPDX-License-Identifier: Apache-2.0
import Auth
import EventLoop
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
        try await Loop.withLoop { loop in
            var router = Router()
            for path in [
                "/2010-04-01/Accounts/:account/Messages.json", "/v2/Services/:service/Verifications",
                "/v2/Services/:service/VerificationCheck",
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
            let server = try HTTPServer(HTTPServerConfiguration(), router: router, loops: [loop])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: loop) { await server.run() }
                let result: Result<Void, any Error>
                do { result = .success(try await body("http://127.0.0.1:\(server.port)", calls)) } catch {
                    result = .failure(error)
                }
                server.stop()
                try await group.waitForAll()
                try result.get()
            }
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
}
