// SPDX-License-Identifier: Apache-2.0
import Cryptography

/// What a new password must look like.
struct PasswordPolicy: Sendable {
    let minLength: Int
    let requirement: AuthConfiguration.PasswordRequirement

    /// The refusal of a password that is known from a leak.
    static var leaked: AuthError {
        AuthError(
            .weakPassword, "Password is known to be weak and easy to guess, please choose a different one.",
            weakPasswordReasons: [.pwned])
    }

    /// - Throws: `validationFailed` for what can be no password, `weakPassword` with every reason for what should be none.
    func check(_ password: String) throws(AuthError) {
        guard !password.isEmpty else { throw AuthError(.validationFailed, "Signup requires a valid password") }
        guard password.utf8.count <= Bcrypt.maxPasswordBytes else {
            throw AuthError(
                .validationFailed, "Password cannot be longer than \(Bcrypt.maxPasswordBytes) characters")
        }
        guard !password.utf8.contains(0) else {
            throw AuthError(.validationFailed, "Password cannot hold a null character")
        }
        var reasons: [AuthError.WeakPasswordReason] = []
        var messages: [String] = []
        if password.unicodeScalars.count < minLength {
            reasons.append(.length)
            messages.append("Password should be at least \(minLength) characters.")
        }
        if !requirement.characterSets.allSatisfy({ set in password.contains { set.contains($0) } }) {
            reasons.append(.characters)
            messages.append(
                "Password should contain at least one character of each: "
                    + requirement.characterSets.joined(separator: ", ") + ".")
        }
        guard reasons.isEmpty else {
            throw AuthError(.weakPassword, messages.joined(separator: " "), weakPasswordReasons: reasons)
        }
    }
}

extension AuthConfiguration.PasswordRequirement {
    private static let lower = "abcdefghijklmnopqrstuvwxyz"
    private static let upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    private static let digits = "0123456789"
    private static let symbols = #"!@#$%^&*()_+-=[]{};'\:"|<>?,./`~"#

    /// A password needs a character of each.
    var characterSets: [String] {
        switch self {
        case .none: []
        case .lettersAndDigits: [Self.lower + Self.upper, Self.digits]
        case .lowerUpperLettersAndDigits: [Self.lower, Self.upper, Self.digits]
        case .lowerUpperLettersDigitsAndSymbols: [Self.lower, Self.upper, Self.digits, Self.symbols]
        }
    }
}
