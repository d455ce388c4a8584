// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import HTTPClient
import Primitives

/// One call of a hook's address: a signed POST, tried again while the address cannot be reached.
struct HookCall: Sendable {
    let url: String
    let secrets: [SecretString]
    let payload: JSON
    let limits: HookLimits

    /// - Returns: the answer; null for one without a body.
    /// - Throws: `AuthError` with a code of hooks, or `unexpectedFailure` for a status that is no success.
    func run(through client: HTTPClient, on loop: Loop) async throws -> JSON {
        // All tries have one id, by which the receiver can tell a repetition from another call.
        let id = UUID.random().description
        let body = payload.encoded()
        var pause = limits.pause
        for attempt in 1...limits.tries {
            if attempt > 1 {
                try await loop.sleep(for: pause)
                pause *= 2
            }
            switch try await attemptOnce(id, body, client) {
            case .answered(let answer): return answer
            case .unreachable(let cause):
                guard attempt == limits.tries else { continue }
                throw AuthError(
                    .hookTimeoutAfterRetry, "Failed to reach hook after maximum retries", cause: cause)
            }
        }
        throw AuthError(.hookTimeoutAfterRetry, "Failed to reach hook after maximum retries")
    }

    private enum Attempt {
        case answered(JSON)
        /// Trying again makes sense.
        case unreachable(any Error)
    }

    /// A status that asks to come back later.
    private struct BusyStatus: Error {
        let code: Int
    }

    private func attemptOnce(_ id: String, _ body: [UInt8], _ client: HTTPClient) async throws -> Attempt {
        var request = HTTPClientRequest(.post, url, headers: ["Content-Type": "application/json"], body: body)
        for (name, value) in WebhookSignature.headers(id: id, at: .now(), body: body, secrets: secrets) {
            request.headers.append(name, value)
        }
        request.timeout = limits.endpointTimeout
        request.connectTimeout = limits.endpointTimeout
        request.maxResponseBytes = limits.maxAnswerBytes
        let response: HTTPClientResponse
        do { response = try await client.send(request) } catch {
            switch error.code {
            case .bodyTooLarge:
                throw AuthError(
                    .hookPayloadOverSizeLimit,
                    "Payload size exceeded size limit of \(limits.maxAnswerBytes) bytes", cause: error)
            case .timeout, .connectionFailed, .connectionLost, .unknownHost, .overloaded: return .unreachable(error)
            default: throw AuthError(.unexpectedFailure, "Error running hook", cause: error)
            }
        }
        switch response.status.code {
        case 200, 201, 202: return .answered(try Self.read(response))
        case 204: return .answered(.null)
        case 429, 503: return .unreachable(BusyStatus(code: response.status.code))
        case 400: throw AuthError(.unexpectedFailure, "Invalid payload sent to hook")
        case 401: throw AuthError(.unexpectedFailure, "Hook requires authorization token")
        default:
            // A hook may refuse with a status of its own as well as in the body of a success.
            if let answer = try? Self.read(response), answer["error"]?.objectValue != nil { return .answered(answer) }
            throw AuthError(
                .unexpectedFailure, "Unexpected status code returned from hook: \(response.status.code)")
        }
    }

    private static func read(_ response: HTTPClientResponse) throws(AuthError) -> JSON {
        guard !response.body.isEmpty else { return .null }
        let type = (response.headers["content-type"] ?? "").split(separator: ";").first ?? ""
        guard type.lowercased().filter({ $0 != " " }) == "application/json" else {
            throw AuthError(
                .hookPayloadInvalidContentType, "Invalid Content-Type header. Expected application/json")
        }
        do { return try JSON(parsing: response.body) } catch {
            throw AuthError(.unexpectedFailure, "Hook returned something other than JSON", cause: error)
        }
    }
}
