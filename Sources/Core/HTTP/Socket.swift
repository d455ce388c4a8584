// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// A connected socket, plain or under TLS. Owned by one connection, which closes it once. Loop-confined.
struct Socket {
    enum IOResult {
        case bytes(Int)
        case wouldBlock
        case closed
        case failed
    }

    let descriptor: Int32
    let tls: TLSSession?

    func read(into room: UnsafeMutableRawBufferPointer) -> IOResult {
        if let tls { return tls.read(into: room) }
        while true {
            let count = recv(descriptor, room.baseAddress, room.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .closed }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return .failed
            }
        }
    }

    /// - Parameter more: more follows at once, so that a short head and its body share a packet.
    func write(_ bytes: UnsafeRawBufferPointer, more: Bool) -> IOResult {
        if let tls { return tls.write(bytes) }
        while true {
            let count =
                more
                ? clinux_send_more(descriptor, bytes.baseAddress, bytes.count)
                : clinux_send(descriptor, bytes.baseAddress, bytes.count)
            if count >= 0 { return .bytes(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return .failed
            }
        }
    }

    /// Sends a stretch of a file: `sendfile` on a plain socket, through memory under TLS.
    func send(_ file: OpenFile, from offset: Int, count: Int) -> IOResult {
        if let tls { return sendThroughMemory(file, from: offset, count: count, tls) }
        var position = off_t(offset)
        while true {
            let sent = sendfile(descriptor, file.descriptor, &position, count)
            if sent > 0 { return .bytes(sent) }
            // A file that became shorter than it was cannot fill the length that was promised.
            if sent == 0 { return .failed }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return .failed
            }
        }
    }

    private func sendThroughMemory(_ file: OpenFile, from offset: Int, count: Int, _ tls: TLSSession) -> IOResult {
        withUnsafeTemporaryAllocation(byteCount: min(count, 16 << 10), alignment: 16) { buffer in
            let count = pread(file.descriptor, buffer.baseAddress, buffer.count, off_t(offset))
            guard count > 0 else { return .failed }
            return tls.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
