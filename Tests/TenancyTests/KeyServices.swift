// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Platform
import Primitives
import Synchronization
import Tenancy

/// The third-party services as far as they tell good keys from bad ones: a key that begins with `good` is taken.
final class KeyServices: Sendable {
    struct Call: Sendable, Hashable {
        var method: String
        var path: String
        var credential: String
    }

    private let seen = Mutex<[Call]>([])

    /// The calls so far, in order.
    var calls: [Call] { seen.withLock { $0 } }

    static let families = [
        "anthropic", "cohere", "deepseek", "elevenlabs", "gemini", "github", "groq", "heygen", "mistral", "openai",
        "perplexity", "resend", "sendgrid", "stripe", "twilio", "twitter",
    ]

    static func addresses(_ port: Int) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: families.map { ($0, "http://127.0.0.1:\(port)/services/\($0)") })
    }

    func register(on router: inout Router) {
        router.on(.get, "/services/*path") { [self] in answer($0) }
        router.on(.post, "/services/*path") { [self] in answer($0) }
    }

    private func answer(_ request: HTTPRequest) -> HTTPResponse {
        let headers = request.headers
        let credential =
            headers["authorization"] ?? headers["x-api-key"] ?? headers["xi-api-key"] ?? headers["x-goog-api-key"] ?? ""
        seen.withLock {
            $0.append(Call(method: request.method.rawValue, path: request.path, credential: credential))
        }
        let words = credential.split(separator: " ")
        var key = words.last.map(String.init) ?? ""
        if words.first == "Basic" { key = Base64.decode(key).map { String(decoding: $0, as: UTF8.self) } ?? "" }
        if words.first == "OAuth" { key = credential.contains("oauth_token=\"good") ? "good" : "bad" }
        switch key {
        case _ where key.hasPrefix("busy"): return .json(["error": "busy"], status: .tooManyRequests)
        case _ where key.hasPrefix("broken"): return .json(["error": "broken"], status: .internalServerError)
        case _ where key.contains("good"):
            return request.path.hasSuffix("/chat/completions")
                ? .json(["error": "no messages"], status: .badRequest) : .json(["ok": true])
        default: return .json(["error": "no such key"], status: .unauthorized)
        }
    }
}

/// What makes collections in a set-up; it can be told to wait, and to refuse.
final class CollectionMaker: Sendable {
    private struct State {
        var made: [String] = []
        var refusal: String?
        var waits = false
    }

    private let state = Mutex(State())
    let gate = Gate()

    var made: [String] { state.withLock { $0.made } }

    func refuse(_ reason: String?) { state.withLock { $0.refusal = reason } }

    /// From now on nothing is made until ``gate`` is open.
    func wait() { state.withLock { $0.waits = true } }

    func make(_ name: String, _ person: Principal) async -> String? {
        if state.withLock({ $0.waits }) { await gate.wait() }
        return state.withLock { state in
            if let refusal = state.refusal { return refusal }
            state.made.append(name)
            return nil
        }
    }
}
