// SPDX-License-Identifier: Apache-2.0
import HTTP
import HTTPClient
import Mail
import Postgres
import Primitives

/// Codes by text message.
extension AuthService {
    /// Sends a code to a number; makes the account when there is none.
    func sendPhoneCode(to phone: PhoneNumber, _ form: OTPForm, _ request: HTTPRequest) async throws -> HTTPResponse {
        if try await user(at: .phone(phone)) == nil {
            guard form.createsUser, configuration.isSignupEnabled else {
                throw AuthError(.otpDisabled, "Signups not allowed for otp")
            }
            try admitSending(.confirmation, to: phone.digits, byPhone: true, request)
            let newUser = NewUser(
                phone: phone.digits, passwordHash: nil, isConfirmed: false, data: form.data,
                audience: configuration.audience)
            try await willCreate(newUser, request)
            do {
                let message = try await makeUser(newUser, form.channel, request)
                return try await deliver(message, request)
            } catch let error as PostgresError where error.constraint == "users_phone_key" {
                // Somebody made it a moment ago: it gets the message all the same.
            }
        } else {
            try admitSending(.confirmation, to: phone.digits, byPhone: true, request)
        }
        let message = try await inTransaction { transaction -> TextMessage? in
            guard let user = try await lockedUser(AccountAddress.phone(phone).condition, in: transaction),
                !isTooSoon(user, .confirmation)
            else { return nil }
            return try await phoneCode(
                .confirmation, to: phone.digits, of: user, form.channel, request, in: transaction)
        }
        return try await deliver(message, request)
    }

    /// Makes an account whose number must be confirmed.
    ///
    /// - Returns: the message to send.
    private func makeUser(
        _ newUser: NewUser, _ channel: MessageChannel, _ request: HTTPRequest
    ) async throws -> TextMessage? {
        var message: TextMessage?
        let created = try await savingUser {
            let (user, made) = try await inTransaction { transaction -> (AuthUser?, TextMessage?) in
                try await transaction.run(
                    newUser.insertions + [
                        AuditEvent(.userConfirmationRequested, by: .user(newUser.id), traits: newUser.auditTraits)
                            .insertion(for: request)
                    ])
                guard let user = try await lockedUser("u.id = \(newUser.id)", in: transaction) else {
                    return (nil, nil)
                }
                let message = try await phoneCode(
                    .confirmation, to: user.phone, of: user, channel, request, in: transaction)
                return (user, message)
            }
            message = made
            return user
        }
        await didCreate(created, request)
        return message
    }

    /// Stores a code for a number.
    ///
    /// - Returns: the message to send once that is committed; nil when the project's hook has taken it, or the number is for tests.
    func phoneCode(
        _ kind: OneTimeTokenKind, to digits: String, of user: AuthUser, _ channel: MessageChannel,
        _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws -> TextMessage? {
        guard let phone = PhoneNumber(digits) else { return nil }
        let testCode = messenger.testCodes[phone.digits]
        let token = OneTimeToken(
            kind, for: phone.digits, codeLength: configuration.flows.otpLength, isPKCE: false, code: testCode)
        try await transaction.run(token.storing(for: user.id, tokenDigests))
        if testCode != nil { return nil }
        let text: String
        do { text = try messenger.template.render(["Code": .string(token.code)], escaping: .none) } catch {
            throw AuthError(.smsSendFailed, "Unable to render the message", status: 500, cause: error)
        }
        if hooks.isEnabled(.sendSMS) {
            _ = try await hooks.call(
                .sendSMS,
                [
                    "user": user.json,
                    "sms": [
                        "otp": .string(token.code), "sms_type": .string(kind.messageType),
                        "phone": .string(phone.digits),
                    ],
                ], for: request, in: transaction)
            return nil
        }
        return TextMessage(
            phone: phone, text: text, channel: channel, isCodeMadeElsewhere: messenger.makesCodesElsewhere)
    }

    /// Hands a message to the provider and answers with the id it got.
    func deliver(_ message: TextMessage?, _ request: HTTPRequest) async throws -> HTTPResponse {
        guard let message else { return .json([:]) }
        guard let call = messenger.request(sending: message) else {
            throw AuthError(.smsSendFailed, "Error sending sms: no provider is configured")
        }
        let response: HTTPClientResponse
        do { response = try await client.send(call) } catch {
            throw AuthError(.smsSendFailed, "Error sending sms: the provider could not be reached", cause: error)
        }
        guard let id = messenger.messageID(of: response) else {
            log.warning(
                "text message refused", .field("request_id", request.id), .field("provider", messenger.name),
                .field("status", response.status.code))
            throw AuthError(.smsSendFailed, "Error sending sms: the provider refused the message")
        }
        return .json(["message_id": .string(id)])
    }

    /// Hands the code of a second factor to the provider.
    func deliverFactorCode(_ code: String, to digits: String, channel: String, _ request: HTTPRequest) async throws {
        guard let phone = PhoneNumber(digits), !messenger.makesCodesElsewhere else {
            throw AuthError(.smsSendFailed, "Error sending confirmation sms: the provider sends codes of its own alone")
        }
        let text: String
        do {
            let template = try MailTemplate(configuration.factors.phoneTemplate)
            text = try template.render(["Code": .string(code)], escaping: .none)
        } catch {
            throw AuthError(.smsSendFailed, "Unable to render the message", status: 500, cause: error)
        }
        let channel = MessageChannel(rawValue: channel) ?? .sms
        _ = try await deliver(TextMessage(phone: phone, text: text, channel: channel), request)
    }

    /// Asks a provider that makes the codes itself whether one is right; nil when codes are our own.
    func checkElsewhere(
        _ code: String, _ phone: PhoneNumber, _ type: VerificationType, _ request: HTTPRequest
    ) async throws -> Bool? {
        guard messenger.testCodes[phone.digits] == nil, !hooks.isEnabled(.sendSMS),
            let call = messenger.request(checking: code, for: phone)
        else { return nil }
        do {
            let response = try await client.send(call)
            guard response.status.code < 500 else {
                throw AuthError(.smsSendFailed, "Error checking the code: the provider failed")
            }
            let body = try? JSON(parsing: response.body)
            return response.status.code < 300 && body?["status"]?.stringValue == "approved"
        } catch let error as HTTPClientError {
            throw AuthError(.smsSendFailed, "Error checking the code: the provider could not be reached", cause: error)
        }
    }
}

extension OneTimeTokenKind {
    /// `sms_type` of the hook that sends text messages.
    fileprivate var messageType: String {
        switch self {
        case .phoneChange: "phone_change"
        case .reauthentication: "reauthentication"
        case .confirmation, .recovery, .emailChangeCurrent, .emailChangeNew: "confirmation"
        }
    }
}
