// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Primitives

/// The right to administer the whole project. Pages below `/admin` take one, so they cannot be reached without it, and so does
/// whatever passes row level security.
struct Operator: Sendable {
    /// Who it is, for the log: a user's id, or `secret key`.
    let name: String

    fileprivate init(name: String) { self.name = name }
}

/// Lets operators in: people whose account says `app_metadata.role = "operator"`, which the service role alone writes, and whoever
/// has typed the project's secret key, for an hour.
struct OperatorGate: Sendable {
    static let cookieName = "atoll-operator"
    static let lifetimeSeconds = 3600
    private let key: [UInt8]

    /// - Parameter secret: of the project; the gate's own key is derived from it.
    init(secret: [UInt8]) {
        key = HKDF.derive(from: secret, info: Array("atoll console operators".utf8), count: 32)
    }

    /// What a browser keeps after the secret key was typed in it: when it ends, sealed together with the browser's random cookie, so
    /// that it is of no use in another. The key itself is kept nowhere.
    func cookie(for seed: String, now: Timestamp = .now()) -> Cookie {
        let end = String(now.unixSeconds + Int64(Self.lifetimeSeconds))
        return Cookie(
            name: Self.cookieName, value: "\(end).\(Base64URL.encode(HMAC.code(for: Self.text(end, seed), key: key)))",
            maxAge: Self.lifetimeSeconds, path: "/admin")
    }

    static let cleared = Cookie(name: cookieName, value: "", maxAge: 0, path: "/admin")

    func admits(_ request: HTTPRequest, now: Timestamp = .now()) -> Operator? {
        let cookies = Cookie.all(of: request)
        guard let value = cookies[Self.cookieName], let seed = cookies[FormGuard.cookieName] else { return nil }
        let parts = value.split(separator: ".")
        guard parts.count == 2, let end = Int64(parts[0]), end > now.unixSeconds,
            let code = Base64URL.decode(String(parts[1])),
            HMAC.isValid(code, for: Self.text(String(parts[0]), seed), key: key)
        else { return nil }
        return Operator(name: "secret key")
    }

    /// - Parameter session: of the person; with a second factor it must be proved, too.
    func admits(_ person: Person, in session: ConsoleSession?) -> Operator? {
        guard person.isOperator, !person.hasVerifiedFactor || session?.isSecondLevel == true else { return nil }
        return Operator(name: person.id)
    }

    private static func text(_ end: String, _ seed: String) -> String.UTF8View { "\(end).\(seed)".utf8 }
}

extension Console {
    /// As ``PageHandler``, of an operator.
    typealias OperatorHandler = @Sendable (inout Visit, Operator) async throws -> HTTPResponse

    /// A page for operators alone: others are refused, and those who are not signed in sign in first.
    func forOperators(_ handler: @escaping OperatorHandler) -> HTTPHandler {
        { request in
            var visit = begin(request)
            return await finishing(&visit) { visit in
                if let admitted = operators.admits(request) { return try await handler(&visit, admitted) }
                guard let person = try await person(&visit) else {
                    return await visit.signInFirst(at: "/admin/signin", home: "/admin")
                }
                if person.isOperator, person.hasVerifiedFactor, visit.session?.isSecondLevel == false {
                    return await visit.signInFirst(at: "/auth/mfa", home: "/admin")
                }
                guard let admitted = operators.admits(person, in: visit.session) else { return Self.refusal(visit) }
                return try await handler(&visit, admitted)
            }
        }
    }

    private static func refusal(_ visit: Visit) -> HTTPResponse {
        visit.page(.notForYou, .narrow, status: .forbidden) {
            Components.heading(.of(.notForYou), .of(.operatorsOnly))
            Markup(.p, .class("actions")) {
                Markup(.a, .class("button"), .href("/dashboard"), text: .backToDashboard)
                Markup(.a, .class("button quiet"), .href("/admin/signin"), text: .useSecretKey)
            }
        }
    }
}
