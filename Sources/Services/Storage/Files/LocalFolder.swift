// SPDX-License-Identifier: Apache-2.0
internal import CLinux
package import EventLoop
internal import Glibc
internal import HTTP
internal import Primitives

/// A server's own folder: what is being received, what local stores keep, what was rendered. Calls that touch the disk run on
/// threads of their own.
package struct LocalFolder: Sendable {
    let path: String
    let workers: WorkerPool
    /// Names this folder in the journal of uploads, so that servers that share a database clean up after themselves alone.
    let node: UUID

    /// Opens the folder and makes what is missing in it. Blocks.
    ///
    /// - Throws: `SystemError` when it cannot be made or written.
    package init(path: String, workers: WorkerPool) throws {
        self.path = path
        self.workers = workers
        for folder in [path, "\(path)/incoming", "\(path)/objects", "\(path)/rendered"] { try Self.make(folder) }
        for number in 0..<256 { try Self.make("\(path)/objects/\(Hex.encode([UInt8(number)]))") }
        node = try Self.node(in: path)
    }

    /// Where a version is received; `part` for the parts it is put together from.
    func incomingPath(_ version: String, part: String? = nil) -> String {
        "\(path)/incoming/\(version)" + (part.map { ".\($0)" } ?? "")
    }

    /// The names of what is being received.
    func incomingNames() async throws -> [String] {
        let folder = "\(path)/incoming"
        return try await workers.run { try Self.names(in: folder) }
    }

    /// The files of one upload: its own and its parts'.
    func incomingPaths(of version: String) async throws -> [String] {
        let folder = "\(path)/incoming"
        return try await workers.run {
            try Self.names(in: folder)
                .filter { $0 == version || $0.hasPrefix("\(version).") }
                .map { "\(folder)/\($0)" }
        }
    }

    func remove(_ paths: [String]) async throws {
        try await workers.run {
            for path in paths where unlink(path) != 0 && clinux_errno() != ENOENT { throw SystemError("unlink") }
        }
    }

    /// The size of a file; nil when there is none.
    func byteCount(of path: String) async throws -> Int? {
        try await workers.run {
            var facts = stat()
            guard stat(path, &facts) == 0 else {
                if clinux_errno() == ENOENT { return nil }
                throw SystemError("stat")
            }
            return Int(facts.st_size)
        }
    }

    /// A file from elsewhere.
    ///
    /// - Throws: `ObjectStoreError` when it is larger than `maxBytes`.
    package func contents(of path: String, upTo maxBytes: Int) async throws -> [UInt8] {
        try await workers.run {
            let file = try OpenFile(path: path)
            guard file.byteCount <= maxBytes else { throw ObjectStoreError.failed("larger than \(maxBytes) bytes") }
            return try file.contents(0..<file.byteCount)
        }
    }

    // MARK: Rendered images

    func renderedPath(_ name: String) -> String { "\(path)/rendered/\(name)" }

    /// A kept image; nil when there is none. That it was used keeps it longer.
    func openRendered(_ name: String) async throws -> OpenFile? {
        let path = renderedPath(name)
        return try await workers.run {
            do {
                let file = try OpenFile(path: path)
                futimens(file.descriptor, nil)
                return file
            } catch let error as SystemError where error.code == ENOENT { return nil }
        }
    }

    /// The name of a version's rendered image, but for what says its format.
    static func renderedName(_ version: String, _ transform: String) -> String {
        "\(version.filter { $0 != "/" })_\(transform)"
    }

    /// The version that a finished image was rendered from; nil for what is still being made, under names of its own, the library's too.
    private static func version(ofRendered name: String) -> String? {
        name.firstIndex(of: "_").map { String(name[..<$0]) }
    }

    /// The versions that something rendered is kept of.
    func renderedVersions() async throws -> [String] {
        let folder = "\(path)/rendered"
        return try await workers.run {
            Array(Set(try Self.names(in: folder).compactMap(Self.version(ofRendered:))))
        }
    }

    /// Forgets everything rendered of some versions.
    func removeRendered(of versions: [String]) async throws {
        let folder = "\(path)/rendered"
        let wanted = Set(versions)
        try await workers.run {
            for name in try Self.names(in: folder)
            where Self.version(ofRendered: name).map(wanted.contains) ?? false {
                guard unlink("\(folder)/\(name)") == 0 || clinux_errno() == ENOENT else { throw SystemError("unlink") }
            }
        }
    }

    func keepRendered(_ made: String, as name: String) async throws {
        let path = renderedPath(name)
        try await workers.run { _ = try SystemError.check(rename(made, path), "rename") }
    }

    /// The file to render from: the store's own, or a copy of what is elsewhere.
    func source(
        of facts: ObjectFacts, in store: any ObjectStore
    ) async throws -> (path: String, isTemporary: Bool) {
        if let path = try (store as? LocalStore)?.path(of: facts.version) { return (path, false) }
        let copy = renderedPath("\(UUID.random()).source")
        let file = IncomingFile(
            path: copy, folder: self, writeBytes: 256 << 10, digests: try ContentDigests())
        try await store.read(facts.version, 0..<facts.byteCount) { try await file.write($0) }
        try await file.finish()
        return (copy, true)
    }

    /// Removes the rendered images that were not used for longest, until what is left takes no more than `maxBytes`, and what an
    /// earlier run left half-made.
    func trimRendered(to maxBytes: Int) async throws {
        let folder = "\(path)/rendered"
        try await workers.run {
            var files: [(path: String, byteCount: Int, usedAt: Int)] = []
            for name in try Self.names(in: folder) {
                var facts = stat()
                guard stat("\(folder)/\(name)", &facts) == 0 else { continue }
                let isHalfMade = Self.version(ofRendered: name) == nil
                if isHalfMade, facts.st_mtim.tv_sec < time(nil) - 3600 {
                    unlink("\(folder)/\(name)")
                } else if !isHalfMade {
                    files.append(("\(folder)/\(name)", Int(facts.st_size), facts.st_mtim.tv_sec))
                }
            }
            var total = files.reduce(0) { $0 + $1.byteCount }
            for file in files.sorted(by: { $0.usedAt < $1.usedAt }) where total > maxBytes {
                unlink(file.path)
                total -= file.byteCount
            }
        }
    }

    /// The entity tag of a file, and its first bytes.
    func digest(_ path: String) async throws -> (entityTag: String, start: [UInt8]) {
        try await workers.run {
            let descriptor = try SystemError.check(open(path, O_RDONLY | O_CLOEXEC), "open")
            defer { close(descriptor) }
            let digests = try ContentDigests()
            var start: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, clinux_errno() == EINTR { continue }
                if count < 0 { throw SystemError("read") }
                if count == 0 { return (digests.entityTag, start) }
                if start.isEmpty { start = Array(buffer.prefix(min(count, 64))) }
                buffer.withUnsafeBytes { digests.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            }
        }
    }

    // MARK: Calls that block

    static func names(in folder: String) throws -> [String] {
        guard let stream = opendir(folder) else { throw SystemError("opendir") }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.first != "." { names.append(name) }
        }
        return names
    }

    /// Makes what happened to a folder's entries durable.
    static func synchronise(folder: String) throws {
        let descriptor = try SystemError.check(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
        defer { close(descriptor) }
        _ = try SystemError.check(fsync(descriptor), "fsync")
    }

    private static func make(_ folder: String) throws {
        if mkdir(folder, 0o700) != 0, clinux_errno() != EEXIST { throw SystemError("mkdir") }
    }

    private static func node(in folder: String) throws -> UUID {
        let file = "\(folder)/node"
        if let node = try? String(decoding: OpenFile(path: file).contents(0..<64), as: UTF8.self),
            let known = UUID(node.prefix(36))
        {
            return known
        }
        let node = UUID.random()
        let text = Array("\(node)\n".utf8)
        let descriptor = try SystemError.check(
            open("\(file).new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600), "open")
        let isWritten = write(descriptor, text, text.count) == text.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename("\(file).new", file) == 0 else { throw SystemError("write") }
        try synchronise(folder: folder)
        return node
    }
}

extension OpenFile {
    /// A stretch of the content, shorter where the file ends. Blocks.
    func contents(_ range: Range<Int>) throws -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            while count < range.count {
                let got = pread(
                    descriptor, buffer.baseAddress?.advanced(by: count), range.count - count,
                    off_t(range.lowerBound + count))
                if got < 0, clinux_errno() == EINTR { continue }
                if got < 0 { failure = SystemError("pread") }
                guard got > 0 else { break }
                count += got
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
