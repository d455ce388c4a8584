// SPDX-License-Identifier: Apache-2.0
import Auth
import MailCatcher
import Primitives
import TestSupport
import Testing

/// `PUT /user`, `GET /reauthenticate`, and changes of address, number and password.
@Suite struct AccountChangeTests {
    private static func signedUp(_ auth: AuthFixture, _ email: String = "ann@example.com") async throws -> String {
        try await auth.signUp(email).member("access_token")
    }

    private static func put(_ auth: AuthFixture, _ token: String, _ body: JSON) async throws -> TestHTTPResponse {
        try await auth.request("PUT", "/user", body.text, bearer: token)
    }

    private static func verify(
        _ auth: AuthFixture, _ type: String, _ code: String, _ address: String
    ) async throws -> TestHTTPResponse {
        let name = address.contains("@") ? "email" : "phone"
        let body: JSON = ["type": .string(type), "token": .string(code), name: .string(address)]
        return try await auth.request("POST", "/verify", body.text)
    }

    // MARK: Refusals

    @Test func refusesWhatACallerMayNotChange() async throws {
        try await AuthFixture.run { auth in
            let token = try await Self.signedUp(auth)
            _ = try await Self.signedUp(auth, "bob@example.com")
            for (body, status, code): (JSON, Int, String) in [
                (["app_metadata": ["role": "admin"]], 403, "not_admin"),
                (["password": "correct horse"], 422, "same_password"),
                (["password": "x"], 422, "weak_password"), (["email": "x"], 400, "validation_failed"),
                (["email": "bob@example.com"], 422, "email_exists"),
                (["phone": "+4366012345678"], 422, "phone_provider_disabled"),
                (["password": "another one", "current_password": "wrong"], 400, "current_password_invalid"),
            ] {
                let answer = try await Self.put(auth, token, body)
                #expect(answer.status == status && answer.errorCode == code, "\(body.text): \(answer.text)")
            }
            #expect(try await auth.request("PUT", "/user", "{}").errorCode == "no_authorization")
        }
    }

    @Test func aPasswordChangeMayNeedTheCurrentOne() async throws {
        try await AuthFixture.run {
            $0.flows.requiresCurrentPassword = true
        } _: { auth in
            let token = try await Self.signedUp(auth)
            #expect(
                try await Self.put(auth, token, ["password": "another one"]).errorCode == "current_password_required")
            let changed = try await Self.put(
                auth, token, ["password": "another one", "current_password": "correct horse"])
            #expect(changed.status == 200, "\(changed.text)")
        }
    }

    // MARK: What works

    @Test func mergesDataAndRemovesWhatIsNull() async throws {
        try await AuthFixture.run { auth in
            let token = try await Self.signedUp(auth)
            _ = try await Self.put(auth, token, ["data": ["a": 1, "b": ["c": .null], "d": "x"]])
            let changed = try await Self.put(auth, token, ["data": ["a": .null, "d": "y"]])
            let data = changed.json["user_metadata"]
            #expect(data?["a"] == nil && data?["d"] == "y" && data?["b"]?["c"] == .null, "\(changed.text)")
        }
    }

    @Test func aNewPasswordEndsTheOtherSessionsAndIsTold() async throws {
        var messaging = AuthFixture.Messaging()
        messaging.notices = [.passwordChanged]
        try await AuthFixture.run(messaging: messaging) { auth in
            let token = try await Self.signedUp(auth)
            let other = try await auth.signIn("ann@example.com").member("refresh_token")
            #expect(try await Self.put(auth, token, ["password": "another one"]).status == 200)
            #expect(try await auth.refresh(other).status == 400)
            #expect(try await auth.request("GET", "/user", bearer: token).status == 200)
            #expect(try await auth.mail(to: "ann@example.com").content.subject == "Your password was changed")
        }
    }

    @Test func anOldSessionNeedsANonceOnce() async throws {
        try await AuthFixture.run {
            $0.flows.isPasswordChangeSecured = true
        } _: { auth in
            let token = try await Self.signedUp(auth)
            try await auth.sql("update auth.sessions set created_at = now() - interval '25 hours'")
            #expect(
                try await Self.put(auth, token, ["password": "another one"]).errorCode == "reauthentication_needed")
            #expect(try await auth.request("GET", "/reauthenticate", bearer: token).status == 200)
            let nonce = try await auth.mail(to: "ann@example.com").code
            let wrong = nonce == "000000" ? "111111" : "000000"
            #expect(
                try await Self.put(auth, token, ["password": "another one", "nonce": .string(wrong)]).errorCode
                    == "reauthentication_not_valid")
            #expect(
                try await Self.put(auth, token, ["password": "another one", "nonce": .string(nonce)]).status == 200)
            #expect(
                try await Self.put(auth, token, ["password": "a third one", "nonce": .string(nonce)]).errorCode
                    == "reauthentication_not_valid")
        }
    }

    @Test func anAddressIsChangedAtOnceWithoutConfirmations() async throws {
        try await AuthFixture.run { auth in
            let token = try await Self.signedUp(auth)
            let changed = try await Self.put(auth, token, ["email": "new@example.com"])
            #expect(changed.json["email"] == "new@example.com", "\(changed.text)")
            #expect(changed.json["identities"]?[0]?["identity_data"]?["email"] == "new@example.com")
            #expect(try await auth.signIn("new@example.com").status == 200)
        }
    }

    @Test func bothAddressesConfirmAChange() async throws {
        try await AuthFixture.run {
            $0.areEmailConfirmationsEnabled = true
        } _: { auth in
            _ = try await auth.signUp("ann@example.com")
            let confirmation = try await auth.mail(to: "ann@example.com")
            let token = try await Self.verify(auth, "signup", confirmation.code, "ann@example.com").member(
                "access_token")
            let asked = try await Self.put(auth, token, ["email": "new@example.com"])
            #expect(asked.json["email"] == "ann@example.com" && asked.json["new_email"] == "new@example.com")
            let current = try await auth.mail(to: "ann@example.com", after: 1)
            let new = try await auth.mail(to: "new@example.com")
            #expect(current.content.text.contains("from ann@example.com"))

            let half = try await Self.verify(auth, "email_change", new.code, "new@example.com")
            #expect(half.status == 200 && half.json["code"] == "200", "\(half.text)")
            #expect(half.json["access_token"] == nil)
            #expect(try await Self.verify(auth, "email_change", new.code, "new@example.com").errorCode == "otp_expired")
            let whole = try await Self.verify(auth, "email_change", current.code, "ann@example.com")
            #expect(whole.json["user"]?["email"] == "new@example.com", "\(whole.text)")
            #expect(whole.json["user"]?["new_email"] == nil)
            #expect(try await auth.signIn("new@example.com").status == 200)
            #expect(try await auth.signIn("ann@example.com").errorCode == "invalid_credentials")
        }
    }

    @Test func anAddressThatIsTakenMeanwhileIsRefused() async throws {
        try await AuthFixture.run {
            $0.areEmailConfirmationsEnabled = true
            $0.flows.areEmailChangesDoublyConfirmed = false
        } _: { auth in
            _ = try await auth.signUp("ann@example.com")
            let confirmation = try await auth.mail(to: "ann@example.com")
            let token = try await Self.verify(auth, "signup", confirmation.code, "ann@example.com").member(
                "access_token")
            _ = try await Self.put(auth, token, ["email": "new@example.com"])
            let mail = try await auth.mail(to: "new@example.com")
            _ = try await auth.signUp("new@example.com")
            let refused = try await Self.verify(auth, "email_change", mail.code, "new@example.com")
            #expect(refused.errorCode == "email_exists", "\(refused.text)")
        }
    }

    @Test func anAnonymousUserBecomesSomebody() async throws {
        try await AuthFixture.run {
            $0.isAnonymousSignInEnabled = true
        } _: { auth in
            let token = try await auth.request("POST", "/signup", "{}").member("access_token")
            let changed = try await Self.put(auth, token, ["email": "ann@example.com", "password": "correct horse"])
            #expect(changed.json["is_anonymous"] == false, "\(changed.text)")
            #expect(changed.json["app_metadata"]?["providers"] == ["email"])
            #expect(try await auth.signIn("ann@example.com").status == 200)
        }
    }

    // MARK: Phone

    @Test func aTestNumberSignsInWithItsCode() async throws {
        var messaging = AuthFixture.Messaging()
        messaging.testCodes = ["4366012345678": "123456"]
        try await AuthFixture.run(messaging: messaging) {
            $0.flows.isPhoneEnabled = true
            $0.flows.arePhoneConfirmationsEnabled = true
        } _: { auth in
            let sent = try await auth.request("POST", "/otp", #"{"phone":"+43 660 12345678"}"#)
            #expect(sent.status == 200, "\(sent.text)")
            #expect(try await Self.verify(auth, "sms", "654321", "4366012345678").errorCode == "otp_expired")
            let verified = try await Self.verify(auth, "sms", "123456", "+4366012345678")
            #expect(verified.json["user"]?["phone"] == "4366012345678", "\(verified.text)")
            #expect(verified.json["user"]?["phone_confirmed_at"]?.stringValue != nil)
            #expect(try await Self.verify(auth, "sms", "123456", "4366012345678").errorCode == "otp_expired")
        }
    }

    @Test func aNumberWithoutAProviderIsRefused() async throws {
        try await AuthFixture.run {
            $0.flows.isPhoneEnabled = true
        } _: { auth in
            let sent = try await auth.request("POST", "/otp", #"{"phone":"+4366012345678"}"#)
            #expect(sent.errorCode == "sms_send_failed", "\(sent.text)")
        }
    }
}
