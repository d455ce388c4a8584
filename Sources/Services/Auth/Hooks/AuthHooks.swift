// SPDX-License-Identifier: Apache-2.0
import HTTP
import HTTPClient
import Postgres
import Primitives

/// Calls the functions of the project that have a say in what Auth does.
struct AuthHooks: Sendable {
    let targets: [AuthHook: AuthHook.Target]
    let database: Database
    let client: HTTPClient
    let limits: HookLimits

    func isEnabled(_ hook: AuthHook) -> Bool { targets[hook] != nil }

    /// Calls a hook.
    ///
    /// - Parameters:
    ///   - payload: what it is told besides `metadata`, which is added.
    ///   - transaction: where a function of the database runs, so that it sees what is not committed yet; nil for a
    ///     transaction of its own.
    /// - Returns: what it answered; nil when it is not enabled.
    /// - Throws: `AuthError`: what the hook itself refuses with its own status and text, and the codes of hooks that fail.
    func call(
        _ hook: AuthHook, _ payload: JSONObject, for request: HTTPRequest, in transaction: PostgresTransaction? = nil
    ) async throws -> JSONObject? {
        guard let target = targets[hook] else { return nil }
        var payload = payload
        payload["metadata"] = [
            "uuid": .string(UUID.random().description), "time": .string(Timestamp.now().description),
            "name": .string(hook.displayName), "ip_address": .string(request.remoteAddress),
        ]
        let answer: JSON
        switch target {
        case .function(let schema, let name):
            answer = try await callFunction(name, in: schema, payload, transaction)
        case .endpoint(let url, let secrets):
            answer = try await HookCall(url: url, secrets: secrets, payload: .object(payload), limits: limits)
                .run(through: client, on: request.loop)
        }
        return try Self.read(answer)
    }

    private func callFunction(
        _ name: String, in schema: String, _ payload: JSONObject, _ transaction: PostgresTransaction?
    ) async throws -> JSON {
        let call: PostgresQuery =
            "select \(identifier: name, in: schema)(\(JSON.object(payload))::jsonb) as answer"
        do {
            let result: PostgresResult?
            if let transaction {
                let limit = "\(limits.functionTimeout.wholeMilliseconds)ms"
                let before = try await transaction.query("select current_setting('statement_timeout') as value")
                result = try await transaction.run([
                    "select set_config('statement_timeout', \(limit), true)", call,
                    "select set_config('statement_timeout', \(before.onlyRow?["value"].string), true)",
                ])[1]
            } else {
                result = try await database.run(WorkUnit(statementTimeout: limits.functionTimeout, queries: [call]))
                    .first
            }
            return result?.onlyRow?["answer"].json ?? .null
        } catch {
            switch error.sqlState {
            case "57014":
                throw AuthError(
                    .hookTimeout,
                    "Failed to reach hook within maximum time of \(limits.functionTimeout.components.seconds) seconds",
                    cause: error)
            case nil: throw error
            default: throw AuthError(.unexpectedFailure, "Error running hook", cause: error)
            }
        }
    }

    /// An answer is an object, or nothing; one with `error` refuses what was about to be done.
    static func read(_ answer: JSON) throws(AuthError) -> JSONObject {
        if answer.isNull { return [:] }
        guard let members = answer.objectValue else {
            throw AuthError(.unexpectedFailure, "Hook returned something other than an object")
        }
        if let refusal = members["error"]?.objectValue {
            let status = refusal["http_code"]?.intValue.flatMap { (400...599).contains($0) ? $0 : nil } ?? 500
            let message = refusal["message"]?.stringValue ?? ""
            throw AuthError(
                .unknown, message.isEmpty ? "Hook refused the request" : message,
                status: HTTPStatus(code: status))
        }
        return members
    }
}

extension AuthHook {
    /// The hook's name in `metadata`.
    fileprivate var displayName: String {
        switch self {
        case .beforeUserCreated: "before-user-created"
        case .afterUserCreated: "after-user-created"
        case .customAccessToken: "customize-access-token"
        case .sendSMS: "send-sms"
        case .sendEmail: "send-email"
        case .factorVerificationAttempt: "mfa-verification-attempt"
        case .passwordVerificationAttempt: "password-verification-attempt"
        }
    }
}

extension Duration {
    var wholeMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
