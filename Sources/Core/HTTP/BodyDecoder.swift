// SPDX-License-Identifier: Apache-2.0

/// Finds a request body's bytes and its end in what the connection received (RFC 9112 sections 6 and 7), without I/O.
struct BodyDecoder {
    enum Step: Equatable {
        /// `data` is a stretch of the body, in the bytes given; the first `consumed` bytes are done with.
        case data(Range<Int>, consumed: Int)
        /// Framing alone: `consumed` bytes are done with and more are needed.
        case needMore(consumed: Int)
        /// The body is over after `consumed` bytes.
        case end(consumed: Int)
        /// The framing is broken; the connection cannot go on.
        case broken(String)
    }

    private enum State: Equatable {
        case length(remaining: Int)
        case chunkSize(value: Int, digits: Int)
        case chunkExtension(bytes: Int)
        case chunkSizeLineFeed
        case chunkData(remaining: Int)
        case chunkDataCarriageReturn
        case chunkDataLineFeed
        case trailerLine(lineBytes: Int, total: Int)
        case trailerLineFeed(isEmptyLine: Bool, total: Int)
        case done
    }
    private var state: State
    private var chunkBytes = 0

    private static let maxExtensionBytes = 1 << 10
    private static let maxTrailerBytes = 8 << 10

    /// A body of known length; nil means none.
    init(contentLength: Int?) { state = (contentLength ?? 0) == 0 ? .done : .length(remaining: contentLength ?? 0) }

    /// A chunked body.
    init(chunked: Void) { state = .chunkSize(value: 0, digits: 0) }

    /// Whether the whole body was handed out.
    var isDone: Bool { state == .done }

    /// Bytes that are known to be still missing; nil when the framing does not tell.
    var knownRemaining: Int? {
        switch state {
        case .length(let remaining): remaining
        case .done: 0
        default: nil
        }
    }

    /// Tells that `count` bytes of a body of known length were read past this decoder.
    mutating func skip(_ count: Int) {
        guard case .length(let remaining) = state else { return }
        state = remaining > count ? .length(remaining: remaining - count) : .done
    }

    /// Looks at the next bytes. Call again with the rest after `.data`.
    mutating func next(_ bytes: UnsafeRawBufferPointer) -> Step {
        var position = 0
        while true {
            switch state {
            case .done:
                return .end(consumed: position)
            case .length(let remaining), .chunkData(let remaining):
                guard position < bytes.count else { return .needMore(consumed: position) }
                let count = min(remaining, bytes.count - position)
                advance(by: count, of: remaining)
                return .data(position..<position + count, consumed: position + count)
            default:
                guard position < bytes.count else { return .needMore(consumed: position) }
                if let problem = takeFraming(bytes[position]) { return .broken(problem) }
                position += 1
            }
        }
    }

    private mutating func advance(by count: Int, of remaining: Int) {
        if case .length = state {
            state = count == remaining ? .done : .length(remaining: remaining - count)
        } else {
            state = count == remaining ? .chunkDataCarriageReturn : .chunkData(remaining: remaining - count)
        }
    }

    /// Takes one byte of chunk framing; returns what is wrong with it.
    private mutating func takeFraming(_ byte: UInt8) -> String? {
        switch state {
        case .chunkSize(let value, let digits):
            return takeSizeByte(byte, value, digits)
        case .chunkExtension(let count):
            // Extensions are dropped, within a bound: they are no use here and a known way to make a server work.
            if byte == 0x0D {
                state = .chunkSizeLineFeed
            } else if !ASCII.isFieldByte(byte) {
                return "control character in chunk extension"
            } else if count >= Self.maxExtensionBytes {
                return "chunk extension too long"
            } else {
                state = .chunkExtension(bytes: count + 1)
            }
        case .chunkSizeLineFeed:
            guard byte == 0x0A else { return "malformed chunk size" }
            state = chunkBytes == 0 ? .trailerLine(lineBytes: 0, total: 0) : .chunkData(remaining: chunkBytes)
        case .chunkDataCarriageReturn:
            guard byte == 0x0D else { return "chunk longer than its size" }
            state = .chunkDataLineFeed
        case .chunkDataLineFeed:
            guard byte == 0x0A else { return "chunk longer than its size" }
            state = .chunkSize(value: 0, digits: 0)
        case .trailerLine(let lineBytes, let total):
            if byte == 0x0D {
                state = .trailerLineFeed(isEmptyLine: lineBytes == 0, total: total)
            } else if !ASCII.isFieldByte(byte) {
                return "control character in trailer"
            } else if total >= Self.maxTrailerBytes {
                return "trailer too large"
            } else {
                state = .trailerLine(lineBytes: lineBytes + 1, total: total + 1)
            }
        case .trailerLineFeed(let isEmptyLine, let total):
            guard byte == 0x0A else { return "malformed trailer" }
            state = isEmptyLine ? .done : .trailerLine(lineBytes: 0, total: total)
        case .length, .chunkData, .done:
            break
        }
        return nil
    }

    private mutating func takeSizeByte(_ byte: UInt8, _ value: Int, _ digits: Int) -> String? {
        if let digit = hexValue(byte) {
            guard digits < 15 else { return "chunk size too large" }
            state = .chunkSize(value: value << 4 | Int(digit), digits: digits + 1)
            return nil
        }
        guard digits > 0 else { return "malformed chunk size" }
        chunkBytes = value
        switch byte {
        case 0x0D: state = .chunkSizeLineFeed
        case UInt8(ascii: ";"): state = .chunkExtension(bytes: 0)
        default: return "malformed chunk size"
        }
        return nil
    }
}
