// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Primitives

/// The connection that listens for all subscribers of a database; there only while there are any.
// @unchecked Sendable: confined to its loop; `subscribe` and `unsubscribe` hand over to it.
final class Listener: ConnectionOwner, @unchecked Sendable {
    let loop: Loop
    private let configuration: DatabaseConfiguration
    private let services: DatabaseServices
    private var subscriptions: [String: [Subscription]] = [:]
    private var connection: Connection?
    private var isOpen = false
    private var listening: [(operation: Operation, channels: [String])] = []
    private var backoff: Backoff
    private var random = SystemRandomNumberGenerator()
    private var backoffTimer: LoopTimer?
    private var connectionCount = 0
    private var isShutdown = false

    init(_ configuration: DatabaseConfiguration, loop: Loop, services: DatabaseServices) {
        self.configuration = configuration
        self.loop = loop
        self.services = services
        backoff = Backoff(minimum: configuration.minReconnectDelay, maximum: configuration.maxReconnectDelay)
    }

    // MARK: From anywhere

    func subscribe(to channel: String) -> Subscription {
        let subscription = Subscription(channel: channel, maxBuffered: configuration.maxBufferedNotifications) {
            [weak self] subscription in
            guard let self else { return }
            self.loop.execute { self.remove(subscription) }
        }
        loop.execute { self.add(subscription) }
        return subscription
    }

    // MARK: On the loop

    private func add(_ subscription: Subscription) {
        guard !isShutdown else {
            subscription.end()
            return
        }
        let channel = subscription.channel
        subscriptions[channel, default: []].append(subscription)
        if isOpen {
            // Listening twice does nothing in the server; here its end says when this subscriber misses nothing more.
            listen(to: [channel])
        } else {
            connectIfNeeded()
        }
    }

    private func remove(_ subscription: Subscription) {
        let channel = subscription.channel
        guard var remaining = subscriptions[channel] else { return }
        remaining.removeAll { $0 === subscription }
        subscriptions[channel] = remaining.isEmpty ? nil : remaining
        if subscriptions.isEmpty {
            close()
        } else if remaining.isEmpty, isOpen {
            send("unlisten \(identifier: channel)", [])
        }
    }

    private func connectIfNeeded() {
        guard !isShutdown, connection == nil, backoffTimer == nil, !subscriptions.isEmpty else { return }
        connectionCount += 1
        let made = Connection(
            id: connectionCount, loop: loop, configuration: configuration, services: services, owner: self)
        connection = made
        made.connect()
    }

    private func listen(to channels: [String]) {
        for channel in channels { send("listen \(identifier: channel)", [channel]) }
    }

    private func send(_ query: PostgresQuery, _ channels: [String]) {
        let operation = Operation(.leased, WorkUnit(queries: [query.onceOnly]))
        listening.append((operation, channels))
        connection?.submit(operation)
    }

    private func close() {
        connection?.close()
        connection = nil
        isOpen = false
        listening = []
        if let backoffTimer { loop.cancel(backoffTimer) }
        backoffTimer = nil
    }

    private func reconnectLater() {
        connection = nil
        isOpen = false
        listening = []
        guard !isShutdown, backoffTimer == nil, !subscriptions.isEmpty else { return }
        backoffTimer = loop.schedule(after: backoff.next(using: &random)) { [weak self] in
            guard let self else { return }
            self.backoffTimer = nil
            self.connectIfNeeded()
        }
    }

    /// Ends all subscriptions and closes the connection.
    func shutdown() {
        loop.assertOnLoop()
        isShutdown = true
        let ending = subscriptions.values.flatMap { $0 }
        subscriptions = [:]
        for subscription in ending { subscription.end() }
        close()
    }

    // MARK: ConnectionOwner

    func connectionOpened(_ connection: Connection) {
        services.counters.connectionsOpened.increment()
        isOpen = true
        listen(to: Array(subscriptions.keys))
    }

    func connectionFailed(_ connection: Connection, _ error: PostgresError) {
        services.counters.connectFailures.increment()
        services.log.warning("postgres_listen_connect_failed", .field("error", error.description))
        configuration.onConnectionFailure(error)
        reconnectLater()
    }

    func connectionFinished(_ operation: Operation, on connection: Connection) {
        guard let index = listening.firstIndex(where: { $0.operation === operation }) else { return }
        let channels = listening.remove(at: index).channels
        if let error = operation.error {
            connection.lose(error)
            return
        }
        backoff.reset()
        for channel in channels {
            for subscription in subscriptions[channel] ?? [] { subscription.deliverGap() }
        }
    }

    func connectionLost(_ connection: Connection, _ error: PostgresError, unstarted: [Operation]) {
        services.counters.connectionsLost.increment()
        services.log.warning("postgres_listen_connection_lost", .field("error", error.description))
        configuration.onConnectionFailure(error)
        reconnectLater()
    }

    func connectionNotified(_ connection: Connection, channel: String, payload: String, processID: Int32) {
        for subscription in subscriptions[channel] ?? [] {
            subscription.deliver(.message(payload: payload, processID: processID))
        }
    }
}
