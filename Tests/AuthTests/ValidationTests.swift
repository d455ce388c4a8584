// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Primitives
import Testing

@Suite struct ValidationTests {
    @Test(arguments: [
        "", "a", "@", "a@", "@b.c", "a@b@c", "a b@c.d", "a@b c", " a@b.c", "a@b.c ", "a@-b.c", "a@b-.c", "a@b..c",
        "a@.c", "a@b.", "a\"b@c.d", "a<b@c.d", "\u{e4}@b.c", "a@\u{e4}.c", "a@b.c\n", "\u{212A}@b.c", "a@\u{212A}.c",
        "a@b.\u{130}", "a\u{0}@b.c", "a,b@c.d",
        String(repeating: "a", count: 65) + "@b.c", "a@" + String(repeating: "b", count: 64) + ".c",
        "a@" + Array(repeating: String(repeating: "b", count: 60), count: 5).joined(separator: "."),
    ])
    func refusesAsAddress(_ text: String) {
        #expect(EmailAddress(text) == nil)
    }

    @Test(arguments: [
        ("a@b.c", "a@b.c"), ("Ada.Lovelace+X@Example.COM", "ada.lovelace+x@example.com"),
        ("root@localhost", "root@localhost"),
        ("o'neil_{1}@a-b.example", "o'neil_{1}@a-b.example"),
    ])
    func takesInLowerCase(_ text: String, _ stored: String) {
        #expect(EmailAddress(text)?.text == stored)
    }

    struct Password: Sendable {
        var text: String
        var requirement = AuthConfiguration.PasswordRequirement.none
        var code: AuthError.Code?
        var reasons: [AuthError.WeakPasswordReason] = []
    }

    @Test(arguments: [
        Password(text: "", code: .validationFailed),
        Password(text: "12345", code: .weakPassword, reasons: [.length]),
        Password(text: "\u{e4}\u{e4}\u{e4}", code: .weakPassword, reasons: [.length]),
        Password(text: "a", requirement: .lettersAndDigits, code: .weakPassword, reasons: [.length, .characters]),
        Password(text: "abcdef", requirement: .lettersAndDigits, code: .weakPassword, reasons: [.characters]),
        Password(
            text: "abcdef1", requirement: .lowerUpperLettersAndDigits, code: .weakPassword, reasons: [.characters]),
        Password(
            text: "abcdeF1", requirement: .lowerUpperLettersDigitsAndSymbols, code: .weakPassword,
            reasons: [.characters]),
        Password(text: String(repeating: "x", count: 73), code: .validationFailed),
        Password(text: String(repeating: "\u{e4}", count: 37), code: .validationFailed),
        Password(text: "abc\u{0}def", code: .validationFailed),
        Password(text: "123456"),
        Password(text: String(repeating: "x", count: 72)),
        Password(text: "abcde1", requirement: .lettersAndDigits),
        Password(text: "abcdeF1", requirement: .lowerUpperLettersAndDigits),
        Password(text: "abcdeF1!", requirement: .lowerUpperLettersDigitsAndSymbols),
    ])
    func checksPasswords(_ test: Password) {
        let policy = PasswordPolicy(minLength: 6, requirement: test.requirement)
        do {
            try policy.check(test.text)
            #expect(test.code == nil)
        } catch {
            #expect(error.code == test.code)
            #expect(error.weakPasswordReasons == test.reasons)
        }
    }

    struct Form: Sendable {
        var body: String
        var configure: @Sendable (inout AuthConfiguration) -> Void = { _ in }
        var code: AuthError.Code
    }

    @Test(arguments: [
        Form(body: "", code: .badJSON),
        Form(body: "{", code: .badJSON),
        Form(body: "[]", code: .badJSON),
        Form(body: #"{"email":1}"#, code: .badJSON),
        Form(body: #"{"password":true}"#, code: .badJSON),
        Form(body: #"{"email":"a@b.c","password":"secret","data":[]}"#, code: .badJSON),
        Form(body: #"{"email":"a@b.c","phone":"1","password":"secret"}"#, code: .validationFailed),
        Form(body: #"{"email":"nobody","password":"secret"}"#, code: .validationFailed),
        Form(body: #"{"email":"a@b.c"}"#, code: .validationFailed),
        Form(body: #"{"email":"a@b.c","password":"short"}"#, code: .weakPassword),
        Form(body: #"{"phone":"123","password":"secret"}"#, code: .phoneProviderDisabled),
        Form(body: "{}", code: .anonymousProviderDisabled),
        Form(
            body: #"{"email":"a@b.c","password":"secret"}"#, configure: { $0.isSignupEnabled = false },
            code: .signupDisabled),
        Form(
            body: #"{"email":"a@b.c","password":"secret"}"#, configure: { $0.isEmailEnabled = false },
            code: .emailProviderDisabled),
    ])
    func refusesToSignUp(_ form: Form) {
        var configuration = AuthConfiguration(issuer: "http://a/auth/v1", version: "1")
        form.configure(&configuration)
        let error = #expect(throws: AuthError.self) {
            try SignupForm(try RequestFields(parsing: Array(form.body.utf8)), configuration)
        }
        #expect(error?.code == form.code)
    }

    @Test func signsUpWithNullsForWhatIsLeftOut() throws {
        let body = #"{"email":"A@b.c","password":"secret","phone":null,"data":null,"gotrue_meta_security":{}}"#
        let form = try SignupForm(
            try RequestFields(parsing: Array(body.utf8)), AuthConfiguration(issuer: "", version: ""))
        guard case .email(let email, let password, let data, nil) = form else {
            Issue.record("no e-mail form")
            return
        }
        #expect(email.text == "a@b.c")
        #expect(password == "secret")
        #expect(data.isEmpty)
    }

    @Test func theServersMetadataWins() throws {
        let user = NewUser(
            email: try #require(EmailAddress("a@b.c")), passwordHash: "x", isConfirmed: false,
            data: ["sub": "forged", "email_verified": true, "name": "A"], audience: "authenticated")
        #expect(user.userMetadata["sub"] == .string(user.id.description))
        #expect(user.userMetadata["email_verified"] == false)
        #expect(user.userMetadata["name"] == "A")
        #expect(user.appMetadata == ["provider": "email", "providers": ["email"]])
    }

    @Test(arguments: [
        ("127.0.0.1", true, "7f000001"), ("::1", true, "0000000000000000"), ("::ffff:127.0.0.2", true, "7f000002"),
        ("10.0.0.1", false, "0a000001"), ("2001:db8:1:2:3:4:5:6", false, "20010db800010002"),
        ("::ffff:10.0.0.1", false, "0a000001"),
    ])
    func readsAddresses(_ text: String, _ isLoopback: Bool, _ key: String) throws {
        let address = try #require(ClientAddress(text))
        #expect(address.isLoopback == isLoopback)
        #expect(address.limitKey == key)
    }

    @Test(arguments: ["", "unix", "127.0.0.1:80", "fe80::1%eth0", "300.1.1.1"])
    func refusesOtherAddresses(_ text: String) {
        #expect(ClientAddress(text) == nil)
    }

    @Test func configurationNamesTheBadKey() {
        var configuration = AuthConfiguration(issuer: "", version: "")
        #expect(configuration.problems.isEmpty)
        configuration.accessTokenLifetime = .seconds(604_801)
        configuration.minPasswordLength = 73
        configuration.bcryptCost = 3
        configuration.refreshTokenReuseInterval = .seconds(-1)
        for key in ["jwt_expiry", "minimum_password_length", "bcrypt_cost", "refresh_token_reuse_interval"] {
            #expect(configuration.problems.contains { $0.hasPrefix(key) })
        }
    }
}
