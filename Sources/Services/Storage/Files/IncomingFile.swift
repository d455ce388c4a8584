// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc

/// A file that is being received. Bytes are gathered and written in large pieces, off the loop; what a small file needs of the
/// disk is one piece of work.
// @unchecked Sendable: one task uses it, and awaits each piece of work before it begins the next.
final class IncomingFile: @unchecked Sendable {
    let path: String
    let digests: ContentDigests
    /// Bytes received, written or not.
    private(set) var byteCount: Int
    private let workers: WorkerPool
    private let writeBytes: Int
    private var gathered: [UInt8] = []
    private var descriptor: Int32 = -1
    private let startsAt: Int
    private var isFinished = false

    /// - Parameter offset: how much of the file is there already; it is cut off behind that.
    init(path: String, folder: LocalFolder, writeBytes: Int, digests: ContentDigests, offset: Int = 0) {
        self.path = path
        self.workers = folder.workers
        self.writeBytes = writeBytes
        self.digests = digests
        startsAt = offset
        byteCount = offset
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Takes bytes.
    func write(_ bytes: [UInt8]) async throws {
        byteCount += bytes.count
        if gathered.isEmpty, bytes.count >= writeBytes {
            try await workers.run { [self] in try append(bytes) }
            return
        }
        gathered.append(contentsOf: bytes)
        guard gathered.count >= writeBytes else { return }
        let piece = gathered
        gathered = []
        try await workers.run { [self] in try append(piece) }
    }

    /// Writes what was gathered and closes the file; the sums are those of the whole then. Further calls do nothing.
    ///
    /// - Parameter durably: whether it survives a power cut, too.
    func finish(durably: Bool = false) async throws {
        guard !isFinished else { return }
        isFinished = true
        let piece = gathered
        gathered = []
        try await workers.run { [self] in
            try append(piece)
            if durably { _ = try SystemError.check(fsync(descriptor), "fsync") }
            Glibc.close(descriptor)
            descriptor = -1
        }
    }

    /// Adds the content of another file. The kernel copies, or shares, where the file system can.
    func append(contentsOf other: String, digesting: Bool) async throws {
        try await workers.run { [self] in
            try append([])
            let source = try SystemError.check(open(other, O_RDONLY | O_CLOEXEC), "open")
            defer { Glibc.close(source) }
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = read(source, &buffer, buffer.count)
                if count < 0, clinux_errno() == EINTR { continue }
                if count < 0 { throw SystemError("read") }
                if count == 0 { return }
                byteCount += count
                try buffer.withUnsafeBytes {
                    let piece = UnsafeRawBufferPointer(rebasing: $0[..<count])
                    if digesting { digests.update(piece) }
                    try put(piece)
                }
            }
        }
    }

    private func append(_ bytes: [UInt8]) throws {
        if descriptor < 0 {
            descriptor = try SystemError.check(open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600), "open")
            _ = try SystemError.check(ftruncate(descriptor, off_t(startsAt)), "ftruncate")
            guard lseek(descriptor, off_t(startsAt), SEEK_SET) >= 0 else { throw SystemError("lseek") }
        }
        try bytes.withUnsafeBytes {
            digests.update($0)
            try put($0)
        }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws {
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
            if count < 0, clinux_errno() == EINTR { continue }
            if count < 0 { throw SystemError("write") }
            written += count
        }
    }
}
