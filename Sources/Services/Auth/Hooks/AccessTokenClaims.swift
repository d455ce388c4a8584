// SPDX-License-Identifier: Apache-2.0
import Primitives

/// What the claims that the custom access token hook returns must still be.
enum AccessTokenClaims {
    /// A kind of JSON value that a claim may have.
    private enum Kind: String {
        case string = "a string"
        case audience = "a string or an array of strings"
        case integer = "an integer"
        case boolean = "a boolean"
        case object = "an object"
        case array = "an array"

        func matches(_ value: JSON) -> Bool {
            switch self {
            case .string: value.stringValue != nil
            case .audience:
                value.stringValue != nil || value.arrayValue?.allSatisfy { $0.stringValue != nil } ?? false
            case .integer: value.intValue != nil
            case .boolean: value.boolValue != nil
            case .object: value.objectValue != nil
            case .array: value.arrayValue != nil
            }
        }
    }

    private static let rules: [(name: String, kind: Kind, isRequired: Bool)] = [
        ("aud", .audience, true), ("exp", .integer, true), ("iat", .integer, true), ("sub", .string, true),
        ("email", .string, true), ("phone", .string, true), ("role", .string, true), ("aal", .string, true),
        ("session_id", .string, true), ("is_anonymous", .boolean, true), ("iss", .string, false),
        ("jti", .string, false), ("nbf", .integer, false), ("app_metadata", .object, false),
        ("user_metadata", .object, false), ("amr", .array, false),
    ]

    /// Takes claims from a hook.
    ///
    /// - Parameters:
    ///   - claims: as the hook returned them.
    ///   - original: as they were: whose token it is and which session it belongs to is nothing a hook may change.
    /// - Throws: `unexpectedFailure` that names the claims that are missing or wrong.
    static func check(_ claims: JSONObject, against original: JSONObject) throws(AuthError) {
        var problems: [String] = []
        for (name, kind, isRequired) in rules {
            guard let value = claims[name] else {
                if isRequired { problems.append("\(name) is required") }
                continue
            }
            if !kind.matches(value) { problems.append("\(name) must be \(kind.rawValue)") }
        }
        for name in ["sub", "session_id"] where claims[name] != nil && claims[name] != original[name] {
            problems.append("\(name) must not change")
        }
        guard problems.isEmpty else {
            throw AuthError(
                .unexpectedFailure,
                "output claims do not conform to the expected schema: \(problems.joined(separator: "; "))")
        }
    }
}
