// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Primitives

/// Writes the pieces of a response's head one behind the other, into room that is known to be enough.
struct HeadWriter {
    private let base: UnsafeMutableRawPointer
    private(set) var count = 0

    init(base: UnsafeMutableRawPointer) { self.base = base }

    @inline(__always)
    mutating func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            memcpy(base + count, start, source.count)
            count += source.count
        }
    }

    @inline(__always)
    mutating func put(_ text: StaticString) {
        memcpy(base + count, text.utf8Start, text.utf8CodeUnitCount)
        count += text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func put(_ text: String) {
        // Literals and what this process builds are contiguous; a bridged string would be walked.
        let copied: Void? = text.utf8.withContiguousStorageIfAvailable { source in
            guard let start = source.baseAddress else { return }
            memcpy(base + count, start, source.count)
            count += source.count
        }
        if copied == nil {
            for byte in text.utf8 {
                base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
                count += 1
            }
        }
    }

    mutating func put(decimal value: Int) {
        var divisor = 1
        while value / divisor >= 10 { divisor *= 10 }
        var rest = value
        while divisor > 0 {
            base.storeBytes(of: UInt8(48 + rest / divisor), toByteOffset: count, as: UInt8.self)
            count += 1
            rest %= divisor
            divisor /= 10
        }
    }
}

/// What a connection still has to send: a block of small writes, and behind it pieces that are sent from where they lie.
/// Its owner calls `release` before it goes. Loop-confined.
struct OutputQueue {
    private enum Piece {
        case bytes([UInt8], offset: Int)
        case lent(any BytesOwner, offset: Int)
        case file(OpenFile, offset: Int, end: Int)
    }
    private var block: UnsafeMutableRawPointer?
    private var start = 0
    private var end = 0
    private var pieces: [Piece] = []
    private var head = 0
    /// Bytes that wait in memory of ours; files and lent bytes do not count.
    private(set) var heldBytes = 0

    /// From this size on, bytes are sent from where they lie instead of being copied behind the head.
    static let copyLimit = 8 << 10
    /// File bytes sent before other connections get their turn.
    private static let fileTurnBytes = 1 << 20

    var isEmpty: Bool { start == end && head == pieces.count }
    private var hasPieces: Bool { head < pieces.count }

    mutating func append(_ bytes: UnsafeRawBufferPointer, _ pool: BlockPool) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        if !hasPieces, bytes.count <= BlockPool.blockBytes - end {
            let target = block ?? pool.take()
            block = target
            memcpy(target + end, source, bytes.count)
            end += bytes.count
        } else {
            pieces.append(.bytes([UInt8](bytes), offset: 0))
        }
        heldBytes += bytes.count
    }

    mutating func append(_ bytes: [UInt8], _ pool: BlockPool) {
        if bytes.count <= Self.copyLimit {
            bytes.withUnsafeBytes { append($0, pool) }
        } else {
            pieces.append(.bytes(bytes, offset: 0))
            heldBytes += bytes.count
        }
    }

    mutating func append(_ owner: any BytesOwner, _ pool: BlockPool) {
        if owner.byteCount <= Self.copyLimit {
            owner.withBytes { append($0, pool) }
        } else {
            pieces.append(.lent(owner, offset: 0))
        }
    }

    /// Writes up to `byteCount` bytes in place: `write` gets that much room and says how much it used.
    mutating func append(
        upTo byteCount: Int, _ pool: BlockPool, _ write: (inout HeadWriter) -> Void
    ) {
        if !hasPieces, byteCount <= BlockPool.blockBytes - end {
            let target = block ?? pool.take()
            block = target
            var writer = HeadWriter(base: target + end)
            write(&writer)
            end += writer.count
            heldBytes += writer.count
        } else {
            let bytes = [UInt8](unsafeUninitializedCapacity: byteCount) { room, count in
                guard let base = room.baseAddress else { return }
                var writer = HeadWriter(base: UnsafeMutableRawPointer(base))
                write(&writer)
                count = writer.count
            }
            pieces.append(.bytes(bytes, offset: 0))
            heldBytes += bytes.count
        }
    }

    mutating func append(_ slice: FileSlice) {
        guard !slice.range.isEmpty else { return }
        pieces.append(.file(slice.file, offset: slice.range.lowerBound, end: slice.range.upperBound))
    }

    mutating func append(_ text: String, _ pool: BlockPool) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0), pool) }
    }

    enum FlushResult {
        case drained
        case blocked
        /// Stopped to be fair; go on soon.
        case turnOver
        case failed
    }

    /// Sends what the kernel takes. `progress` is told of each piece that went.
    mutating func flush(_ socket: inout Socket, _ pool: BlockPool, progress: () -> Void) -> FlushResult {
        while start < end, let block {
            let waiting = UnsafeRawBufferPointer(start: block + start, count: end - start)
            switch socket.write(waiting, more: hasPieces) {
            case .bytes(let count):
                start += count
                heldBytes -= count
                progress()
            case .wouldBlock: return .blocked
            case .closed, .failed: return .failed
            }
        }
        if let block {
            pool.give(block)
            self.block = nil
            start = 0
            end = 0
        }
        var turn = 0
        while head < pieces.count {
            switch Self.send(&pieces[head], &socket, &turn) {
            case .sent(let count, let isDone):
                if case .bytes = pieces[head] { heldBytes -= count }
                progress()
                if isDone { dropFirstPiece() }
                if turn >= Self.fileTurnBytes, hasPieces { return .turnOver }
            case .blocked: return .blocked
            case .failed: return .failed
            }
        }
        return .drained
    }

    private mutating func dropFirstPiece() {
        head += 1
        if head == pieces.count {
            pieces.removeAll(keepingCapacity: false)
            head = 0
        }
    }

    private enum SendResult {
        case sent(Int, isDone: Bool)
        case blocked
        case failed
    }

    private static func send(_ piece: inout Piece, _ socket: inout Socket, _ turn: inout Int) -> SendResult {
        let result: Socket.IOResult
        switch piece {
        case .bytes(let bytes, let offset):
            result = bytes.withUnsafeBytes {
                socket.write(UnsafeRawBufferPointer(rebasing: $0[offset...]), more: false)
            }
            guard case .bytes(let count) = result else { break }
            piece = .bytes(bytes, offset: offset + count)
            return .sent(count, isDone: offset + count == bytes.count)
        case .lent(let owner, let offset):
            result = owner.withBytes { socket.write(UnsafeRawBufferPointer(rebasing: $0[offset...]), more: false) }
            guard case .bytes(let count) = result else { break }
            piece = .lent(owner, offset: offset + count)
            return .sent(count, isDone: offset + count == owner.byteCount)
        case .file(let file, let offset, let end):
            result = socket.send(file, from: offset, count: min(end - offset, fileTurnBytes))
            guard case .bytes(let count) = result else { break }
            turn += count
            piece = .file(file, offset: offset + count, end: end)
            return .sent(count, isDone: offset + count == end)
        }
        if case .wouldBlock = result { return .blocked }
        return .failed
    }

    mutating func release(to pool: BlockPool) {
        if let block { pool.give(block) }
        block = nil
        start = 0
        end = 0
        pieces = []
        head = 0
        heldBytes = 0
    }
}
