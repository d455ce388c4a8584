// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Glibc
internal import Primitives

/// One connection of the server: reads heads, starts a task a request, writes the responses in order.
///
/// A request is handled at a time; what the client pipelines behind it waits in the input buffer and in the kernel.
// @unchecked Sendable: confined to the loop of its `LoopServer`; tasks that touch it run on that loop.
final class HTTPConnection: ReadinessHandler, BatchEndHandler, @unchecked Sendable {
    private enum Phase {
        /// Waiting for a request or its head.
        case reading
        /// A task makes the response.
        case handling
        /// The response is complete but too much of it waits to go on with the next request.
        case writing
        /// The last response is sent; input is discarded until the client closes.
        case lingering
        case closed
    }

    /// The request in hand.
    private struct Current {
        var request: HTTPRequest
        var route: Route?
        var origin: String?
        var startedAt: UInt64
        var isVersion10: Bool
    }

    // Unsafe is safe here: the server keeps each connection in its table until the connection has closed, and a task that
    // outlives its connection finds it closed before it looks at the server. Counting cost 2 % of a small request.
    private unowned(unsafe) let server: LoopServer
    private var socket: Socket
    private let remoteAddress: String
    let slot: Int
    var registration: Registration?

    private var phase = Phase.reading
    private var input = InputBuffer()
    private var parser: RequestParser
    private var output = OutputQueue()
    private var decoder = BodyDecoder(contentLength: nil)
    private var current: Current?
    private var task: Task<Void, Never>?
    private var requestNumber = 0

    private var canRead = true
    private var sawHangup = false
    private var isProcessing = false
    private var closesAfter = false
    private var owesContinue = false
    private var willFlushAtBatchEnd = false

    // Times in monotonic nanoseconds; 0 is "not running".
    private var headDeadline: UInt64 = 0
    private var idleDeadline: UInt64
    private var bodyDeadline: UInt64 = 0
    private var writeDeadline: UInt64 = 0
    private var lingerDeadline: UInt64 = 0
    private var goneDeadline: UInt64 = 0

    private var bodyWaiter: UnsafeContinuation<Void, Never>?
    private var bodyTimedOut = false
    private var writeWaiter: UnsafeContinuation<Void, Never>?

    /// Below this many unsent bytes the next request is taken up.
    private static let pipelineUnsentBytes = 64 << 10
    private static let inlineBodyBytes = 16 << 10
    private static let streamPieceBytes = 64 << 10
    private static let lingerBytes = 1 << 20

    init(_ server: LoopServer, socket: Socket, remoteAddress: String, slot: Int) {
        self.server = server
        self.socket = socket
        self.remoteAddress = remoteAddress
        self.slot = slot
        parser = RequestParser(limits: server.limits)
        idleDeadline = server.deadline(server.configuration.idleTimeout)
    }

    /// Whether no request is in hand and nothing waits to be sent.
    var isIdle: Bool { phase == .reading && input.isEmpty && output.isEmpty }

    // MARK: Readiness

    func ready(_ readiness: Readiness) {
        guard phase != .closed else { return }
        if readiness.contains(.error) || (readiness.contains(.closed) && phase != .reading) {
            abort()
            return
        }
        if readiness.contains(.hangup) { sawHangup = true }
        if readiness.contains(.readable) || readiness.contains(.hangup) || socket.tls != nil { canRead = true }
        if !output.isEmpty, readiness.contains(.writable) || socket.tls != nil { flush() }
        inputArrived()
    }

    private func inputArrived() {
        switch phase {
        case .reading: processInput()
        case .handling:
            if let waiter = bodyWaiter {
                bodyWaiter = nil
                waiter.resume()
            } else if sawHangup, decoder.isDone, goneDeadline == 0 {
                goneDeadline = server.deadline(server.configuration.halfCloseGrace)
            }
        case .lingering: discardInput()
        case .writing, .closed: break
        }
    }

    func batchEnded() {
        willFlushAtBatchEnd = false
        guard phase != .closed else { return }
        flush()
    }

    /// Looks at the deadlines; called a few times a second at most.
    func checkDeadlines(_ now: UInt64) {
        func isOver(_ deadline: UInt64) -> Bool { deadline != 0 && deadline <= now }
        if isOver(writeDeadline) || isOver(goneDeadline) {
            abort()
            return
        }
        switch phase {
        case .reading:
            if isOver(headDeadline) {
                refuse(RequestParser.Refusal(status: .requestTimeout, reason: "the request's head took too long"))
            } else if headDeadline == 0, isOver(idleDeadline), output.isEmpty {
                close()
            }
        case .handling:
            guard isOver(bodyDeadline), let waiter = bodyWaiter else { return }
            bodyTimedOut = true
            bodyWaiter = nil
            waiter.resume()
        case .lingering:
            if isOver(lingerDeadline) { close() }
        case .writing, .closed: break
        }
    }

    /// The server stops: no further request is taken.
    func drain() {
        closesAfter = true
        if isIdle { close() }
    }

    // MARK: Input

    /// Takes requests as long as they are there and the one before is answered. Not re-entrant: a response made without a
    /// task comes back here through `phase`.
    private func processInput() {
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        while phase == .reading {
            if !input.isEmpty {
                switch parser.parse(input.bytes) {
                case .complete(let byteCount):
                    begin(headBytes: byteCount)
                    continue
                case .refused(let refusal):
                    refuse(refusal)
                    return
                case .needMore: break
                }
            }
            guard canRead else { break }
            guard fill() else { return }
        }
        guard phase == .reading else { return }
        if input.isEmpty {
            input.releaseIfEmpty(to: server.pool)
        } else if headDeadline == 0 {
            headDeadline = server.deadline(server.configuration.headerTimeout)
        }
    }

    /// Receives once; false when the connection is gone.
    private func fill() -> Bool {
        let room = input.room(from: server.pool)
        switch socket.read(into: room) {
        case .bytes(let count):
            input.filled(count)
            // A short read means that the kernel has no more; what comes next is announced. TLS may hold records back.
            canRead = count == room.count || sawHangup || socket.tls != nil
            return true
        case .wouldBlock:
            canRead = false
            return true
        case .closed:
            canRead = false
            peerClosed()
            return false
        case .failed:
            abort()
            return false
        }
    }

    /// The client will send nothing more.
    private func peerClosed() {
        sawHangup = true
        switch phase {
        case .reading: output.isEmpty ? close() : (closesAfter = true)
        case .handling: goneDeadline = server.deadline(server.configuration.halfCloseGrace)
        case .lingering: close()
        case .writing: closesAfter = true
        case .closed: break
        }
    }

    private func begin(headBytes: Int) {
        let parsed = parser.parsed
        let head = RequestHead(
            bytes: [UInt8](UnsafeRawBufferPointer(rebasing: input.bytes[..<headBytes])),
            path: parsed.path, query: parsed.query, fields: parsed.fields)
        input.consume(headBytes)
        headDeadline = 0
        phase = .handling
        requestNumber += 1
        decoder = parsed.isChunked ? BodyDecoder(chunked: ()) : BodyDecoder(contentLength: parsed.contentLength)
        owesContinue = parsed.expectsContinue && !decoder.isDone
        if !parsed.keepsAlive { closesAfter = true }

        let method = HTTPMethod(rawValue: head.string(parsed.method))
        let match = head.bytes.withUnsafeBytes {
            server.router.match(method, UnsafeRawBufferPointer(rebasing: $0[parsed.path.range]))
        }
        var route: Route?
        var parameters = PathParameters()
        if case .route(let found, let captured) = match {
            route = found
            parameters = captured
        }
        let limit = route?.maxBodyBytes ?? server.configuration.maxBodyBytes
        let isTooLarge = (parsed.contentLength ?? 0) > limit
        var request = HTTPRequest(
            method: method, head: head, body: isTooLarge ? RequestBody(bytes: []) : body(parsed, limit: limit),
            remoteAddress: clientAddress(head), id: requestID(head), loop: server.loop, isSecure: socket.tls != nil)
        request.parameters = parameters
        current = Current(
            request: request, route: route, origin: server.router.cors == nil ? nil : request.headers["origin"],
            startedAt: server.loop.monotonicNanoseconds, isVersion10: parsed.isVersion10)

        if let preflight = preflight(request) {
            respond(preflight)
        } else if let route {
            isTooLarge ? respond(route.errors(HTTPError(.contentTooLarge), request)) : start(route, request)
        } else {
            respond(refusal(of: match, request))
        }
    }

    private func preflight(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.method == .options, let cors = server.router.cors else { return nil }
        let methods = request.withPathBytes { server.router.methods(for: $0) }
        return cors.preflight(request, methods: methods)
    }

    private func refusal(of match: Router.Match, _ request: HTTPRequest) -> HTTPResponse {
        switch match {
        case .route(let route, _): route.errors(HTTPError(.internalServerError), request)
        case .unknown(let errors): errors(HTTPError(.notFound), request)
        case .wrongMethod(let allowed, let errors):
            if request.method == .options {
                HTTPResponse(.noContent, headers: ["Allow": allowed.map(\.rawValue).joined(separator: ", ")])
            } else {
                errors(
                    HTTPError(
                        .methodNotAllowed,
                        headers: ["Allow": allowed.map(\.rawValue).joined(separator: ", ")]), request)
            }
        }
    }

    /// The body as the handler gets it: at hand when it has arrived whole and is small, else a stream.
    private func body(_ parsed: RequestParser.Parsed, limit: Int) -> RequestBody {
        if decoder.isDone { return RequestBody(bytes: [], maxBytes: limit) }
        if let length = parsed.contentLength, length <= Self.inlineBodyBytes, length <= input.count {
            let bytes = [UInt8](UnsafeRawBufferPointer(rebasing: input.bytes[..<length]))
            input.consume(length)
            decoder.skip(length)
            owesContinue = false
            return RequestBody(bytes: bytes, maxBytes: limit)
        }
        let stream = ConnectionBody(self, number: requestNumber, announced: parsed.contentLength)
        return RequestBody(stream: stream, maxBytes: limit)
    }

    private func clientAddress(_ head: RequestHead) -> String {
        guard let trust = server.configuration.proxyTrust else { return remoteAddress }
        return trust.client(peer: remoteAddress, forwardedFor: head.values(named: "x-forwarded-for"))
    }

    /// The client's own `X-Request-Id` where it is harmless, so that a caller's log and ours can be joined; else a new one.
    private func requestID(_ head: RequestHead) -> String {
        if let given = head.values(named: "x-request-id").first, given.utf8.count <= 64, !given.isEmpty,
            given.utf8.allSatisfy({ ASCII.isTokenByte($0) })
        {
            return given
        }
        return server.nextRequestID()
    }

    private func start(_ route: Route, _ request: HTTPRequest) {
        let number = requestNumber
        task = server.loop.spawn { [self] in
            var response: HTTPResponse
            do {
                response = try await route.handler(request)
            } catch {
                guard isCurrent(number) else { return }
                response = route.errors(error, request)
            }
            guard isCurrent(number) else { return }
            guard case .stream(let byteCount, let produce) = response.body else {
                respond(response)
                return
            }
            let sink = StreamSink(
                self, number: number, byteCount: byteCount, isChunked: beginStream(response, byteCount))
            do {
                if !sink.isBodyless { try await produce(ResponseWriter(sink: sink)) }
                sink.finish()
            } catch {
                // The head is out, so only a broken connection can tell the client that the body is not whole.
                if isCurrent(number) { abort() }
            }
        }
    }

    func isCurrent(_ number: Int) -> Bool { phase == .handling && requestNumber == number }

    // MARK: Request body

    /// The next piece of the current request's body; see `RequestBody`.
    func nextBodyPiece(_ number: Int) async throws -> [UInt8]? {
        while true {
            guard isCurrent(number) else { throw CancellationError() }
            server.loop.assertOnLoop()
            if decoder.isDone { return nil }
            if let piece = try takeBufferedPiece() { return piece }
            if decoder.isDone { return nil }
            if owesContinue {
                owesContinue = false
                output.append("HTTP/1.1 100 Continue\r\n\r\n", server.pool)
                flush()
                continue
            }
            if canRead {
                if let piece = try receivePiece() { return piece }
                continue
            }
            if sawHangup { throw bodyBroken("the body ended early") }
            bodyDeadline = server.deadline(server.configuration.bodyTimeout)
            await withUnsafeContinuation { bodyWaiter = $0 }
            bodyDeadline = 0
            if bodyTimedOut {
                bodyTimedOut = false
                closesAfter = true
                throw HTTPError(.requestTimeout, "the request's body took too long")
            }
            if Task.isCancelled { throw CancellationError() }
        }
    }

    private func takeBufferedPiece() throws -> [UInt8]? {
        while !input.isEmpty {
            owesContinue = false
            switch decoder.next(input.bytes) {
            case .data(let range, let consumed):
                let piece = [UInt8](UnsafeRawBufferPointer(rebasing: input.bytes[range]))
                input.consume(consumed)
                return piece
            case .needMore(let consumed):
                input.consume(consumed)
            case .end(let consumed):
                input.consume(consumed)
                return nil
            case .broken(let problem):
                throw bodyBroken(problem)
            }
        }
        return nil
    }

    /// Reads from the socket: straight into the piece where the framing is a length, else by way of the input buffer.
    private func receivePiece() throws -> [UInt8]? {
        guard let remaining = decoder.knownRemaining, remaining > 0 else {
            guard fill() else { throw bodyBroken("the body ended early") }
            return nil
        }
        var result = Socket.IOResult.wouldBlock
        let wanted = min(remaining, Self.streamPieceBytes)
        let piece = [UInt8](unsafeUninitializedCapacity: wanted) { room, count in
            result = socket.read(into: UnsafeMutableRawBufferPointer(room))
            if case .bytes(let received) = result { count = received } else { count = 0 }
        }
        switch result {
        case .bytes(let count):
            canRead = count == wanted || sawHangup || socket.tls != nil
            decoder.skip(count)
            return piece
        case .wouldBlock:
            canRead = false
            return nil
        case .closed:
            canRead = false
            sawHangup = true
            throw bodyBroken("the body ended early")
        case .failed:
            abort()
            throw CancellationError()
        }
    }

    private func bodyBroken(_ problem: String) -> HTTPError {
        closesAfter = true
        return HTTPError(.badRequest, problem)
    }

    /// Passes over what of the body is here already; whether the body is then done with.
    private func skipRestOfBody() -> Bool {
        while !decoder.isDone {
            guard !input.isEmpty else { return false }
            switch decoder.next(input.bytes) {
            case .data(_, let consumed), .needMore(let consumed), .end(let consumed): input.consume(consumed)
            case .broken: return false
            }
        }
        return true
    }

    // MARK: Response

    private func respond(_ response: HTTPResponse) {
        guard phase == .handling else { return }
        let bodyBytes =
            switch response.body {
            case .empty, .stream: 0
            case .bytes(let bytes): bytes.count
            case .lent(let owner): owner.byteCount
            case .file(let slice): slice.range.count
            }
        // How long an answer to GET would be is not known of one to HEAD that was made without a body.
        let isUnknown = bodyBytes == 0 && !sendsBody(response.status)
        putHead(response, response.status.forbidsBody || isUnknown ? .none : .bytes(bodyBytes))
        if sendsBody(response.status) {
            switch response.body {
            case .empty, .stream: break
            case .bytes(let bytes): output.append(bytes, server.pool)
            case .lent(let owner): output.append(owner, server.pool)
            case .file(let slice): output.append(slice)
            }
        }
        finishResponse(response.status, bodyBytes: bodyBytes)
    }

    private func sendsBody(_ status: HTTPStatus) -> Bool {
        current?.request.method != .head && !status.forbidsBody
    }

    /// Writes a response's head. The server's own fields come behind the handler's.
    private func putHead(_ response: HTTPResponse, _ length: Length) {
        // Whether the connection goes on has to be known before the head is written.
        if !skipRestOfBody() { closesAfter = true }
        if server.isDraining || sawHangup { closesAfter = true }
        var response = response
        if let origin = current?.origin { server.router.cors?.apply(to: &response, origin: origin) }
        let statusLine = server.statusLine(response.status, response.reason)
        let date = server.dateField
        let id = current?.request.id ?? ""
        let persistence: StaticString =
            closesAfter
            ? "Connection: close\r\n" : current?.isVersion10 == true ? "Connection: keep-alive\r\n" : ""
        var fields = response.headers.addedFields
        fields.removeAll { !HTTPHeaders.mayBeWritten($0.name, response.status) }
        var byteCount = statusLine.count + date.count + id.utf8.count + Self.fixedHeadBytes
        for field in fields { byteCount += field.name.utf8.count + field.value.utf8.count + 4 }
        output.append(upTo: byteCount, server.pool) { head in
            head.put(statusLine)
            for field in fields {
                head.put(field.name)
                head.put(": ")
                head.put(field.value)
                head.put("\r\n")
            }
            if !id.isEmpty {
                head.put("X-Request-Id: ")
                head.put(id)
                head.put("\r\n")
            }
            head.put(date)
            head.put(persistence)
            switch length {
            case .none: head.put("\r\n")
            case .chunked: head.put("Transfer-Encoding: chunked\r\n\r\n")
            case .bytes(let count):
                head.put("Content-Length: ")
                head.put(decimal: count)
                head.put("\r\n\r\n")
            }
        }
    }

    /// Room for the fields whose text is fixed: `X-Request-Id: `, `Connection`, the length and the empty line.
    private static let fixedHeadBytes = 128

    /// How the end of a body is told.
    private enum Length {
        /// Not at all: no body, or one that ends with the connection.
        case none
        case bytes(Int)
        case chunked
    }

    /// Writes the head of a streamed response; whether its body is chunked.
    private func beginStream(_ response: HTTPResponse, _ byteCount: Int?) -> Bool {
        // Without a length, HTTP/1.0 knows no other end than the connection's.
        if byteCount == nil, current?.isVersion10 == true { closesAfter = true }
        streamStatus = response.status
        let isChunked = byteCount == nil && current?.isVersion10 == false && !response.status.forbidsBody
        let length: Length =
            if isChunked {
                .chunked
            } else if let byteCount, !response.status.forbidsBody {
                .bytes(byteCount)
            } else {
                .none
            }
        putHead(response, length)
        return isChunked
    }

    private var streamStatus: HTTPStatus = .ok

    /// Whether the streamed response in hand is to have no body.
    var isStreamBodyless: Bool { !sendsBody(streamStatus) }

    /// Queues bytes of a streamed response and waits while too many are unsent.
    func writeStream(_ number: Int, _ parts: [[UInt8]]) async throws {
        guard isCurrent(number) else { throw CancellationError() }
        server.loop.assertOnLoop()
        for part in parts { output.append(part, server.pool) }
        flush()
        while isCurrent(number), output.heldBytes > server.configuration.maxUnsentBytes {
            await withUnsafeContinuation { writeWaiter = $0 }
        }
        guard isCurrent(number), !Task.isCancelled else { throw CancellationError() }
    }

    /// Ends a streamed response.
    func finishStream(_ number: Int, bodyBytes: Int, isWhole: Bool, ending: StaticString) {
        guard isCurrent(number) else { return }
        guard isWhole else {
            abort()
            return
        }
        output.append(UnsafeRawBufferPointer(start: ending.utf8Start, count: ending.utf8CodeUnitCount), server.pool)
        finishResponse(streamStatus, bodyBytes: bodyBytes)
    }

    private func finishResponse(_ status: HTTPStatus, bodyBytes: Int) {
        if let current {
            server.observe(
                HTTPExchange(
                    request: current.request, route: current.route?.pattern, status: status, bodyBytes: bodyBytes,
                    duration: .nanoseconds(Int64(server.loop.monotonicNanoseconds &- current.startedAt))))
        }
        current = nil
        task = nil
        goneDeadline = 0
        phase = .writing
        // With the next request at hand already, its response may share a packet with this one.
        if closesAfter || input.isEmpty {
            flush()
        } else {
            if !willFlushAtBatchEnd {
                willFlushAtBatchEnd = true
                server.loop.atBatchEnd(self)
            }
            takeNextRequest()
        }
    }

    /// Goes on to the next request when little enough of the last response waits.
    private func takeNextRequest() {
        guard phase == .writing, !closesAfter, output.heldBytes < Self.pipelineUnsentBytes,
            output.isEmpty || !input.isEmpty
        else { return }
        phase = .reading
        parser.reset()
        headDeadline = 0
        idleDeadline = server.deadline(server.configuration.idleTimeout)
        processInput()
    }

    private func flush() {
        guard !output.isEmpty else {
            outputDrained()
            return
        }
        var moved = false
        let result = output.flush(&socket, server.pool) { moved = true }
        switch result {
        case .drained:
            writeDeadline = 0
            outputDrained()
        case .blocked:
            if moved || writeDeadline == 0 { writeDeadline = server.deadline(server.configuration.writeTimeout) }
            wakeWriter()
            takeNextRequest()
        case .turnOver:
            server.loop.execute { [self] in
                if phase != .closed { flush() }
            }
        case .failed:
            abort()
        }
    }

    private func outputDrained() {
        wakeWriter()
        guard phase == .writing else { return }
        if closesAfter { linger() } else { takeNextRequest() }
    }

    private func wakeWriter() {
        guard let waiter = writeWaiter, output.heldBytes <= server.configuration.maxUnsentBytes / 2 else { return }
        writeWaiter = nil
        waiter.resume()
    }

    /// Answers a head that cannot be parsed, and closes: where the next request begins is unknown.
    private func refuse(_ refusal: RequestParser.Refusal) {
        closesAfter = true
        phase = .writing
        let body = JSON.object(["message": .string(refusal.reason)]).encoded()
        putHead(
            HTTPResponse(refusal.status, headers: ["Content-Type": "application/json; charset=utf-8"]),
            .bytes(body.count))
        output.append(body, server.pool)
        server.observe(
            HTTPRefusal(status: refusal.status, reason: refusal.reason, remoteAddress: remoteAddress))
        flush()
    }

    // MARK: End

    /// Closes the sending side and waits for the client to do the same: bytes that arrive after a plain close would make
    /// the kernel answer with a reset, which can destroy the response before the client has read it.
    private func linger() {
        guard phase != .closed else { return }
        if sawHangup {
            close()
            return
        }
        phase = .lingering
        socket.tls?.shutdown()
        shutdown(socket.descriptor, Int32(SHUT_WR))
        lingerDeadline = server.deadline(server.configuration.lingerTimeout)
        discardInput()
    }

    private func discardInput() {
        var budget = Self.lingerBytes
        while phase == .lingering, canRead {
            input.discard()
            let before = input.count
            guard fill() else { return }
            budget -= input.count - before
            if budget <= 0 {
                close()
                return
            }
        }
        input.discard()
        input.releaseIfEmpty(to: server.pool)
    }

    /// The client is gone, or must go: the task in hand is cancelled and nothing more is sent.
    func abort() {
        guard phase != .closed else { return }
        task?.cancel()
        close()
    }

    private func close() {
        guard phase != .closed else { return }
        phase = .closed
        input.release(to: server.pool)
        output.release(to: server.pool)
        current = nil
        task = nil
        if let waiter = bodyWaiter {
            bodyWaiter = nil
            waiter.resume()
        }
        if let waiter = writeWaiter {
            writeWaiter = nil
            waiter.resume()
        }
        if let registration { server.loop.deregister(registration) }
        Glibc.close(socket.descriptor)
        server.closed(self)
    }
}

/// The body of one request of a connection. Of no use once the request is answered.
// @unchecked Sendable: confined to the connection's loop.
private final class ConnectionBody: RequestBodyStream, @unchecked Sendable {
    private let connection: HTTPConnection
    private let number: Int
    let announcedByteCount: Int?

    init(_ connection: HTTPConnection, number: Int, announced: Int?) {
        self.connection = connection
        self.number = number
        announcedByteCount = announced
    }

    func next() async throws -> [UInt8]? { try await connection.nextBodyPiece(number) }
}

/// Frames the bytes of one streamed response.
// @unchecked Sendable: confined to the connection's loop.
private final class StreamSink: ResponseSink, @unchecked Sendable {
    private let connection: HTTPConnection
    private let number: Int
    private let byteCount: Int?
    private let isChunked: Bool
    private var written = 0
    let isBodyless: Bool

    init(_ connection: HTTPConnection, number: Int, byteCount: Int?, isChunked: Bool) {
        self.connection = connection
        self.number = number
        self.byteCount = byteCount
        self.isChunked = isChunked
        isBodyless = connection.isStreamBodyless
    }

    func write(_ bytes: [UInt8]) async throws {
        // An empty chunk would end the body.
        guard !bytes.isEmpty else { return }
        written += bytes.count
        if let byteCount, written > byteCount { throw HTTPError(.internalServerError, "more bytes than announced") }
        guard isChunked else {
            try await connection.writeStream(number, [bytes])
            return
        }
        let size = Array((String(bytes.count, radix: 16) + "\r\n").utf8)
        try await connection.writeStream(number, [size, bytes, [0x0D, 0x0A]])
    }

    func finish() {
        let isWhole = isBodyless || byteCount == nil || byteCount == written
        connection.finishStream(
            number, bodyBytes: written, isWhole: isWhole, ending: isChunked && !isBodyless ? "0\r\n\r\n" : "")
    }
}
