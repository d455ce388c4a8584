// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The extended query protocol of PostgreSQL (version 3.0, chapter 54 of its manual) on a socket that libpq has connected and
/// authenticated, for connections that units share.
///
/// libpq 15 sends at every Sync and has each execution described. Here what the units of one turn of the loop ask goes out by one system
/// call, and a prepared statement is described once, which takes a fifth of what Atoll and PostgreSQL spend on a read by key. There is no
/// COPY, no cancelling and no TLS: connections that need one of them stay with libpq.
///
/// Loop-confined. What comes in is checked before it is used: a message that is cut short or does not add up is a broken connection.
final class Wire {
    /// One message of the server: its type, and what follows its length. Valid until the next is taken.
    struct Message {
        let type: UInt8
        let payload: UnsafeRawBufferPointer
    }

    /// What the socket said.
    enum Progress {
        case done
        /// More when it is ready again.
        case again
        case failed
    }

    /// What the next message is.
    enum Arrival {
        case message(Message)
        /// It is not complete yet.
        case incomplete
        /// Its length is none that a message can have.
        case malformed
    }

    private let descriptor: Int32
    private var output = WireBuffer()
    private var input = WireBuffer()
    /// `I` outside of a transaction, `T` in one, `E` in one that has failed: as the last ReadyForQuery had it.
    private(set) var transactionStatus = UInt8(ascii: "I")
    /// What describes the rows that come now, for a statement without a name.
    var columns = WireColumns.none
    /// The rows of the command whose messages come now.
    var rows: WireRows?

    /// A message this long is no answer that anybody could use; PostgreSQL itself makes no longer values.
    private static let maxMessageBytes = 1 << 30
    private static let receiveBytes = 16 << 10

    /// - Parameter descriptor: a connected socket that does not block; it stays its owner's.
    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    // MARK: Sending

    /// Asks the server to keep a statement under a name and to say what it returns.
    func prepare(_ name: String, _ sql: String, types: [UInt32]) {
        parse(name, sql, types)
        message("D") { output in
            output.append(UInt8(ascii: "S"))
            output.append(terminated: name)
        }
    }

    /// Runs a statement that was prepared before.
    func execute(_ name: String, _ parameters: ParameterBuffer) {
        bind(name, parameters)
        message("E") { output in
            output.append(UInt8(0))
            output.append(Int32(0))
        }
    }

    /// Parses, describes and runs a statement once.
    func execute(sql: String, types: [UInt32], _ parameters: ParameterBuffer) {
        parse("", sql, types)
        bind("", parameters)
        message("D") { output in
            output.append(UInt8(ascii: "P"))
            output.append(UInt8(0))
        }
        message("E") { output in
            output.append(UInt8(0))
            output.append(Int32(0))
        }
    }

    /// Ends what is one transaction.
    func sync() {
        message("S") { _ in }
    }

    private func parse(_ name: String, _ sql: String, _ types: [UInt32]) {
        message("P") { output in
            output.append(terminated: name)
            output.append(terminated: sql)
            output.append(Int16(truncatingIfNeeded: types.count))
            for type in types { output.append(Int32(bitPattern: type)) }
        }
    }

    private func bind(_ name: String, _ parameters: ParameterBuffer) {
        message("B") { output in
            output.append(UInt8(0))
            output.append(terminated: name)
            let count = parameters.count
            output.append(Int16(truncatingIfNeeded: parameters.hasBinary ? count : 0))
            if parameters.hasBinary {
                for index in 0..<count { output.append(Int16(truncatingIfNeeded: parameters.formats[index])) }
            }
            output.append(Int16(truncatingIfNeeded: count))
            for index in 0..<count {
                guard let value = parameters.values[index] else {
                    output.append(Int32(-1))
                    continue
                }
                output.append(parameters.lengths[index])
                output.append(UnsafeRawBufferPointer(start: value, count: Int(parameters.lengths[index])))
            }
            output.append(Int16(0))
        }
    }

    @inline(__always)
    private func message(_ type: Unicode.Scalar, _ body: (inout WireBuffer) -> Void) {
        output.append(UInt8(ascii: type))
        let before = output.count
        output.append(Int32(0))
        body(&output)
        output.store(Int32(truncatingIfNeeded: output.count - before), at: before)
    }

    /// Sends as much as the socket takes.
    func flush() -> Progress {
        while !output.isEmpty {
            let sent = send(descriptor, output.bytes.baseAddress, output.count, Int32(MSG_NOSIGNAL))
            if sent > 0 {
                output.consume(sent)
            } else if sent < 0, errno == EAGAIN {
                return .again
            } else if sent == 0 || errno != EINTR {
                return .failed
            }
        }
        output.trim()
        return .done
    }

    // MARK: Receiving

    /// Takes what the socket has.
    func receive() -> Progress {
        while true {
            let room = input.room(Self.receiveBytes)
            let received = recv(descriptor, room.baseAddress, room.count, 0)
            if received > 0 {
                input.filled(received)
                // Less than was asked for: there is no more, which the next call would only confirm.
                if received < room.count { return .done }
            } else if received < 0, errno == EAGAIN {
                return .done
            } else if received == 0 || errno != EINTR {
                return .failed
            }
        }
    }

    /// The next complete message.
    func next() -> Arrival {
        let bytes = input.bytes
        guard bytes.count >= 5 else {
            input.trim()
            return .incomplete
        }
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
        guard length >= 4, length <= Self.maxMessageBytes else { return .malformed }
        guard bytes.count > length else {
            input.expect(length + 1)
            return .incomplete
        }
        input.consume(length + 1)
        let message = Message(type: bytes[0], payload: UnsafeRawBufferPointer(rebasing: bytes[5..<(length + 1)]))
        if message.type == UInt8(ascii: "Z"), let status = message.payload.first { transactionStatus = status }
        return .message(message)
    }
}

/// Bytes on their way in or out; grows to what it has to hold and gives back what was unusual.
struct WireBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private var start = 0
    private var end = 0

    private static let usualBytes = 16 << 10
    private static let maxKeptBytes = 256 << 10

    init() {
        capacity = Self.usualBytes
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    var isEmpty: Bool { start == end }
    var count: Int { end - start }
    /// What is in it; valid until something is added.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + start, count: end - start) }

    mutating func consume(_ count: Int) {
        start += count
        if start == end {
            start = 0
            end = 0
        }
    }

    mutating func filled(_ count: Int) { end += count }

    /// Room behind what is in it, at least so many bytes.
    mutating func room(_ count: Int) -> UnsafeMutableRawBufferPointer {
        reserve(count)
        return UnsafeMutableRawBufferPointer(start: base + end, count: capacity - end)
    }

    /// Makes room for so many bytes in all, counted from the first that is in it.
    mutating func expect(_ total: Int) {
        if total > count { reserve(total - count) }
    }

    /// Gives back what something unusual took, when nothing is in it.
    mutating func trim() {
        guard isEmpty, capacity > Self.maxKeptBytes else { return }
        base.deallocate()
        capacity = Self.usualBytes
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    mutating func append(_ byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: end, as: UInt8.self)
        end += 1
    }

    /// An integer, highest byte first.
    mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
        let size = MemoryLayout<Number>.size
        reserve(size)
        base.storeBytes(of: number.bigEndian, toByteOffset: end, as: Number.self)
        end += size
    }

    mutating func append(_ source: UnsafeRawBufferPointer) {
        guard let address = source.baseAddress, !source.isEmpty else { return }
        reserve(source.count)
        memcpy(base + end, address, source.count)
        end += source.count
    }

    /// A text and the NUL byte that ends it.
    mutating func append(terminated text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
        append(UInt8(0))
    }

    /// Replaces what stands behind the first `offset` bytes that are in it.
    mutating func store(_ number: Int32, at offset: Int) {
        base.storeBytes(of: number.bigEndian, toByteOffset: start + offset, as: Int32.self)
    }

    private mutating func reserve(_ count: Int) {
        guard capacity - end < count else { return }
        let held = end - start
        if start > 0, capacity - held >= count, start >= held {
            memcpy(base, base + start, held)
        } else {
            capacity = max(capacity * 2, held + count)
            let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
            memcpy(larger, base + start, held)
            base.deallocate()
            base = larger
        }
        start = 0
        end = held
    }
}
