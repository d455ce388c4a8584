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
    /// Whether it still has to be said that a proxy hides its clients.
    private let warnsOfProxy: Mutex<Bool>

    /// - Parameter trustsProxies: whether any proxy is believed.
    init(log: Log, metrics: Metrics, trustsProxies: Bool) {
        self.log = log
        warnsOfProxy = Mutex(!trustsProxies)
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
        warnOfProxy(exchange.request)
        guard log.level <= .info else { return }
        let milliseconds = Double(exchange.duration.components.attoseconds / 1_000_000_000_000) / 1000
        log.info(
            "request", .field("method", exchange.request.method.rawValue), .field("route", route),
            .field("status", exchange.status.code), .field("bytes", exchange.bodyBytes),
            .field("ms", Double(exchange.duration.components.seconds) * 1000 + milliseconds),
            .field("client", exchange.request.remoteAddress), .field("request_id", exchange.request.id))
    }

    /// Heads that cannot be parsed, heads that took too long, connections too many: what a probe or an overload looks like.
    func observe(_ refusal: HTTPRefusal) {
        metrics.counter(
            "atoll_http_refused_total", "Connections and request heads refused before they became requests, by status.",
            ["status": "\(refusal.status.code)"]
        ).increment()
        log.info(
            "refused", .field("status", refusal.status.code), .field("reason", refusal.reason),
            .field("client", refusal.remoteAddress))
    }

    /// A peer on this machine that names another client is a proxy nobody told us of: all its clients look like one, which is
    /// exempt from limits as a developer's own is.
    private func warnOfProxy(_ request: HTTPRequest) {
        guard request.remoteAddress == "127.0.0.1" || request.remoteAddress == "::1",
            request.headers.contains("x-forwarded-for")
        else { return }
        let isFirst = warnsOfProxy.withLock { warns in
            defer { warns = false }
            return warns
        }
        guard isFirst else { return }
        log.warning(
            "a proxy on this machine forwards requests and is not trusted, so its clients share one address",
            .field("next", "set `trusted_proxies` under [atoll] in supabase/config.toml"))
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
