// SPDX-License-Identifier: Apache-2.0
internal import CCurl
internal import EventLoop

/// The transfers of one loop: libcurl's multi interface, told by the loop of sockets that are ready and times that are over.
// @unchecked Sendable: everything but the constants is touched on the loop alone, which `assertOnLoop()` checks.
final class TransferSet: @unchecked Sendable {
    let loop: Loop
    private let multi: UnsafeMutableRawPointer
    private let maxTransfers: Int
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
    private var watches: [Int32: SocketWatch] = [:]
    private var timer: LoopTimer?
    private var isShutDown = false

    /// libcurl's own start, once a process.
    private static let globalStart: CURLcode = curl_global_init(Int(ccurl_global_default))

    init(_ configuration: HTTPClientConfiguration, loop: Loop) throws(HTTPClientError) {
        guard Self.globalStart == CURLE_OK, let multi = curl_multi_init() else {
            throw HTTPClientError(.misuse, "libcurl cannot be initialised")
        }
        self.loop = loop
        self.multi = multi
        maxTransfers = configuration.maxTransfers
        let this = Unmanaged.passUnretained(self).toOpaque()
        _ = ccurl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, this)
        _ = ccurl_multi_set_socket_callback(multi) { easy, socket, what, set, _ in
            guard let set else { return -1 }
            Unmanaged<TransferSet>.fromOpaque(set).takeUnretainedValue().watch(socket, what, for: easy)
            return 0
        }
        _ = ccurl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, this)
        _ = ccurl_multi_set_timer_callback(multi) { _, milliseconds, set in
            guard let set else { return -1 }
            Unmanaged<TransferSet>.fromOpaque(set).takeUnretainedValue().setTimer(milliseconds)
            return 0
        }
        _ = ccurl_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, configuration.maxConnections)
        _ = ccurl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, configuration.maxConnectionsPerHost)
        _ = ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, configuration.maxIdleConnections)
    }

    // MARK: Transfers

    /// Runs a transfer to its end.
    func run(_ transfer: Transfer) async -> Result<HTTPClientResponse, HTTPClientError> {
        loop.assertOnLoop()
        if isShutDown { return .failure(HTTPClientError(.misuse, "the client is shut down")) }
        if Task.isCancelled { return .failure(HTTPClientError(.cancelled, "the task is cancelled")) }
        guard transfers.count < maxTransfers else {
            return .failure(HTTPClientError(.overloaded, "\(maxTransfers) transfers are under way"))
        }
        // Counted before anything is awaited.
        transfers[transfer.handle] = transfer
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                begin(transfer, continuation)
            }
        } onCancel: {
            self.loop.execute {
                self.end(transfer, .failure(HTTPClientError(.cancelled, "the task is cancelled")))
            }
        }
    }

    private func begin(
        _ transfer: Transfer, _ continuation: UnsafeContinuation<Result<HTTPClientResponse, HTTPClientError>, Never>
    ) {
        guard transfers[transfer.handle] != nil else {
            continuation.resume(returning: .failure(HTTPClientError(.cancelled, "ended before it began")))
            return
        }
        transfer.continuation = continuation
        let code = curl_multi_add_handle(multi, transfer.handle)
        if code != CURLM_OK {
            end(transfer, .failure(HTTPClientError(.misuse, String(cString: curl_multi_strerror(code)))))
        }
    }

    /// Takes a transfer out, whatever its state, and resumes its task. Not to be called by a callback of libcurl's.
    private func end(_ transfer: Transfer, _ result: Result<HTTPClientResponse, HTTPClientError>) {
        guard transfers.removeValue(forKey: transfer.handle) != nil else { return }
        guard let waiting = transfer.continuation else { return }
        transfer.continuation = nil
        _ = curl_multi_remove_handle(multi, transfer.handle)
        waiting.resume(returning: result)
    }

    /// Tells libcurl what has happened, then ends what is done.
    private func advance(_ socket: Int32, _ events: Int32) {
        guard !isShutDown else { return }
        var running: Int32 = 0
        _ = curl_multi_socket_action(multi, socket, events, &running)
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let handle = message.pointee.easy_handle,
                let transfer = transfers[handle]
            else { continue }
            // The message is gone once its handle is taken out.
            let code = message.pointee.data.result
            end(transfer, transfer.result(code))
        }
    }

    func shutdown() {
        loop.assertOnLoop()
        guard !isShutDown else { return }
        for transfer in Array(transfers.values) {
            end(transfer, .failure(HTTPClientError(.misuse, "the client is shut down")))
        }
        isShutDown = true
        _ = curl_multi_cleanup(multi)
        for watch in watches.values { loop.deregister(watch.registration) }
        watches = [:]
        setTimer(-1)
    }

    // MARK: Callbacks of libcurl

    private func watch(_ socket: Int32, _ what: Int32, for easy: UnsafeMutableRawPointer?) {
        var interest: Readiness = []
        switch what {
        case CURL_POLL_IN: interest = .readable
        case CURL_POLL_OUT: interest = .writable
        case CURL_POLL_INOUT: interest = [.readable, .writable]
        default: break
        }
        if what == CURL_POLL_REMOVE {
            if let watch = watches.removeValue(forKey: socket) { loop.deregister(watch.registration) }
        } else if let watch = watches[socket] {
            loop.modify(watch.registration, interest)
        } else {
            do {
                watches[socket] = try SocketWatch(socket, interest, on: loop) { [weak self] socket, events in
                    self?.advance(socket, events)
                }
            } catch {
                // libcurl would give up all transfers if this callback failed; only this one must.
                guard let transfer = easy.flatMap({ transfers[$0] }) else { return }
                let message = "cannot watch a socket: \(error)"
                loop.execute { self.end(transfer, .failure(HTTPClientError(.connectionFailed, message))) }
            }
        }
    }

    private func setTimer(_ milliseconds: Int) {
        if let timer { loop.cancel(timer) }
        timer = nil
        guard milliseconds >= 0 else { return }
        timer = loop.schedule(after: .milliseconds(milliseconds)) { [weak self] in
            self?.timer = nil
            self?.advance(ccurl_socket_timeout, 0)
        }
    }
}

/// One socket of libcurl's that the loop watches. Loop-confined.
private final class SocketWatch: ReadinessHandler {
    private let socket: Int32
    private let advance: (Int32, Int32) -> Void
    private var registered: Registration?

    var registration: Registration {
        guard let registered else { preconditionFailure("a watch is registered as long as it lives") }
        return registered
    }

    init(
        _ socket: Int32, _ interest: Readiness, on loop: Loop, advance: @escaping (Int32, Int32) -> Void
    ) throws {
        self.socket = socket
        self.advance = advance
        registered = try loop.register(socket, interest, self)
    }

    func ready(_ readiness: Readiness) {
        var events: Int32 = 0
        if readiness.contains(.readable) || readiness.contains(.hangup) { events |= CURL_CSELECT_IN }
        if readiness.contains(.writable) { events |= CURL_CSELECT_OUT }
        if readiness.contains(.error) { events |= CURL_CSELECT_ERR }
        advance(socket, events)
    }
}
