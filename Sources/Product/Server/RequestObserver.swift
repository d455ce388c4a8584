// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives
internal import Synchronization

/// Turns each answered request into a log line and into metrics.
///
/// The line holds the route's pattern, not the path or the query: those can hold keys and what users look for.
final class RequestObserver: Sendable {
    private struct Key: Hashable {
        var method: String
        var route: String
        var statusClass: Int
    }
    private let log: Log
    private let metrics: Metrics
    private let durations: Histogram
    private let counters = Mutex<[Key: Counter]>([:])

    init(log: Log, metrics: Metrics) {
        self.log = log
        self.metrics = metrics
        durations = metrics.histogram(
            "atoll_http_request_duration_seconds", "From a request's head to its response, in seconds.")
    }

    func observe(_ exchange: HTTPExchange) {
        let route = exchange.route ?? "none"
        durations.observe(exchange.duration)
        counter(
            Key(method: exchange.request.method.rawValue, route: route, statusClass: exchange.status.code / 100)
        ).increment()
        guard log.level <= .info else { return }
        let milliseconds = Double(exchange.duration.components.attoseconds / 1_000_000_000_000) / 1000
        log.info(
            "request", .field("method", exchange.request.method.rawValue), .field("route", route),
            .field("status", exchange.status.code), .field("bytes", exchange.bodyBytes),
            .field("ms", Double(exchange.duration.components.seconds) * 1000 + milliseconds),
            .field("client", exchange.request.remoteAddress), .field("request_id", exchange.request.id))
    }

    private func counter(_ key: Key) -> Counter {
        counters.withLock { known in
            if let counter = known[key] { return counter }
            // Methods are the client's to choose; beyond the standard ones they share a series.
            let method =
                ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(key.method) ? key.method : "other"
            let counter = metrics.counter(
                "atoll_http_requests_total", "Requests answered, by method, route and class of status.",
                ["method": method, "route": key.route, "status": "\(key.statusClass)xx"])
            if known.count < 4096 { known[key] = counter }
            return counter
        }
    }
}
