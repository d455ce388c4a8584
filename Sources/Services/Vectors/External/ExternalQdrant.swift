// SPDX-License-Identifier: Apache-2.0
package import EventLoop
internal import HTTP
internal import HTTPClient
package import Primitives
internal import Synchronization

/// Where the external Qdrant is, and what a call to it may take.
package struct ExternalQdrantConfiguration: Sendable {
    /// Without a slash at the end.
    package var url: String
    /// Nil for a server that asks for none.
    package var apiKey: SecretString?
    /// The longest a call may take, connecting included.
    package var timeout: Duration = .seconds(30)
    package var connectTimeout: Duration = .seconds(5)
    /// Connections of one loop; calls beyond wait for one, within their time.
    package var maxConnections = 32
    /// Calls of one loop under way or waiting; one more is refused.
    package var maxCalls = 256
    /// The largest answer, in bytes.
    package var maxAnswerBytes = 64 << 20

    package init(url: String) { self.url = url }
}

/// A real Qdrant that keeps collections in PostgreSQL's place.
///
/// It is called with one key for everybody: who may reach what is decided before (``ExternalGateway``).
package final class ExternalQdrant: Sendable {
    private let configuration: ExternalQdrantConfiguration
    private let client: HTTPClient
    private let answered: Counter
    private let refused: Counter
    private let failed: Counter
    /// What the last probe found, so that whoever asks for the server's readiness cannot make it ask all the time.
    private let probe = Mutex<(at: ContinuousClock.Instant, isReady: Bool)?>(nil)

    /// - Parameter loops: where it is used.
    /// - Throws: `HTTPClientError` when libcurl cannot be initialised.
    package init(_ configuration: ExternalQdrantConfiguration, loops: [Loop], metrics: Metrics = Metrics()) throws {
        self.configuration = configuration
        func calls(_ outcome: String) -> Counter {
            metrics.counter(
                "atoll_vectors_external_calls_total", "Calls to the external Qdrant.", ["outcome": outcome])
        }
        answered = calls("answered")
        refused = calls("refused")
        failed = calls("failed")
        var settings = HTTPClientConfiguration()
        settings.maxTransfers = configuration.maxCalls
        settings.maxConnections = configuration.maxConnections
        settings.maxConnectionsPerHost = configuration.maxConnections
        settings.maxIdleConnections = configuration.maxConnections
        client = try HTTPClient(settings, loops: loops)
    }

    /// Closes all connections. To be called before the loops end.
    package func shutdown() async { await client.shutdown() }

    /// Makes a call and returns what stands under `result`.
    ///
    /// - Parameters:
    ///   - path: from the root, its segments encoded.
    ///   - timeout: the longest it may take; the configured time when that is shorter.
    /// - Throws: ``ExternalRefusal`` with what the other server said; ``VectorsError`` with `unavailable` or `timeout`.
    func call(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8]? = nil, timeout: Duration? = nil
    ) async throws -> JSON {
        do {
            let result = try await attempt(method, path, body, timeout: timeout)
            answered.increment()
            return result
        } catch {
            (error is ExternalRefusal ? refused : failed).increment()
            throw error
        }
    }

    private func attempt(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8]?, timeout: Duration?
    ) async throws -> JSON {
        let limit = min(timeout ?? configuration.timeout, configuration.timeout)
        let response = try await send(method, path, body, timeout: limit)
        let answer = try? JSON(parsing: response.body, maxDepth: 256)
        switch response.status.code {
        case 200..<300:
            guard let result = answer?["result"] else {
                throw Self.unavailable("its answer has another form than Qdrant's")
            }
            return result
        case 401, 403: throw Self.unavailable("it refuses the key: \(response.status.code)")
        case 400..<500:
            let text = answer?["status"]?["error"]?.stringValue ?? "the external Qdrant refuses the request"
            throw ExternalRefusal(status: Int(response.status.code), text: String(text.prefix(2000)))
        default:
            let text = answer?["status"]?["error"]?.stringValue ?? ""
            throw Self.unavailable("it answered \(response.status.code) \(text.prefix(200))")
        }
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8]?, timeout: Duration
    ) async throws -> HTTPClientResponse {
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if let key = configuration.apiKey { headers.append("api-key", key.reveal()) }
        var request = HTTPClientRequest(method, configuration.url + path, headers: headers, body: body)
        if body == nil, method != .get, method != .delete { request.body = Array("{}".utf8) }
        request.timeout = timeout
        request.connectTimeout = min(configuration.connectTimeout, timeout)
        request.maxResponseBytes = configuration.maxAnswerBytes
        do {
            return try await client.send(request)
        } catch {
            switch error.code {
            case .timeout: throw VectorsError(.timeout, "the external Qdrant did not answer in time", cause: error)
            case .bodyTooLarge:
                throw VectorsError(
                    .badRequest, "the answer is larger than this server takes: ask for fewer points or vectors",
                    cause: error)
            case .overloaded: throw VectorsError(.unavailable, "too many calls are under way", cause: error)
            default: throw VectorsError(.unavailable, "the external Qdrant is not available", cause: error)
            }
        }
    }

    private static func unavailable(_ reason: String) -> VectorsError {
        VectorsError(
            .unavailable, "the external Qdrant is not available", cause: ExternalFailure(description: reason))
    }

    /// Whether it answers and takes the key. Asked at most once a second.
    package func isReady() async -> Bool {
        let now = ContinuousClock.now
        if let last = probe.withLock({ $0 }), now - last.at < .seconds(1) { return last.isReady }
        // A name that no collection has: the answer needs the key and no data.
        let isReady =
            (try? await call(.get, "/collections/\(ExternalSpace.physicalName(of: .zero))/exists", timeout: .seconds(2)))
            != nil
        probe.withLock { $0 = (now, isReady) }
        return isReady
    }
}

/// What the external Qdrant answered with a status of 4xx.
struct ExternalRefusal: Error {
    var status: Int
    /// Its text, with its own names in it.
    var text: String

    /// Whether a collection is not there.
    func isMissing(_ physicalName: String) -> Bool {
        status == 404 && text.contains(physicalName) && text.contains("Collection")
    }
}

/// For the log alone.
private struct ExternalFailure: Error, CustomStringConvertible {
    var description: String
}

extension VectorsError {
    /// What the other server refused, as this one says it.
    init(_ refusal: ExternalRefusal) {
        for code in Code.allCases
        where Int(code.status.code) == refusal.status && !code.prefix.isEmpty && refusal.text.hasPrefix(code.prefix) {
            self.init(code, String(refusal.text.dropFirst(code.prefix.count)))
            return
        }
        let code: Code =
            switch refusal.status {
            case 404: .notFound
            case 405: .unsupported
            case 408: .timeout
            case 409: .alreadyExists
            case 413: .bodyTooLarge
            case 422: .validation
            case 429: .rateLimited
            default: .badRequest
            }
        self.init(code, refusal.text)
    }
}
