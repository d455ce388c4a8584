// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc
package import HTTP

/// Content on the server's own disk: `objects/ab/<version>`, spread over 256 folders by the version's first two characters.
package struct LocalStore: ObjectStore {
    private let folder: LocalFolder

    package init(_ folder: LocalFolder) { self.folder = folder }

    package func adopt(_ path: String, as version: String, byteCount: Int) async throws {
        let (shelf, target) = (shelf(of: version), try self.path(of: version))
        try await folder.workers.run {
            let descriptor = try SystemError.check(open(path, O_RDONLY | O_CLOEXEC), "open")
            defer { close(descriptor) }
            _ = try SystemError.check(fsync(descriptor), "fsync")
            _ = try SystemError.check(rename(path, target), "rename")
            try LocalFolder.synchronise(folder: shelf)
        }
    }

    package func body(of version: String, _ range: Range<Int>) async throws -> HTTPResponse.Body {
        .file(FileSlice(try await file(of: version), range))
    }

    package func read(
        _ version: String, _ range: Range<Int>, _ take: ([UInt8]) async throws -> Void
    ) async throws {
        let file = try await file(of: version)
        var position = range.lowerBound
        while position < range.upperBound {
            let wanted = position..<min(position + 1 << 20, range.upperBound)
            let piece = try await folder.workers.run { try file.contents(wanted) }
            guard !piece.isEmpty else { throw ObjectStoreError.failed("the file is shorter than its row says") }
            try await take(piece)
            position += piece.count
        }
    }

    /// Versions are never changed, so two may share one file of the disk.
    package func copy(_ version: String, to newVersion: String) async throws {
        let (source, target, shelf) = (try path(of: version), try path(of: newVersion), shelf(of: newVersion))
        try await folder.workers.run {
            if link(source, target) != 0 {
                if clinux_errno() == ENOENT { throw ObjectStoreError.missing }
                throw SystemError("link")
            }
            try LocalFolder.synchronise(folder: shelf)
        }
    }

    package func remove(_ versions: [String]) async throws {
        try await folder.remove(try versions.map { try path(of: $0) })
    }

    package func byteCount(of version: String) async throws -> Int? {
        guard let path = try? path(of: version) else { return nil }
        return try await folder.byteCount(of: path)
    }

    package func list(after: String?, limit: Int) async throws -> [StoredFile] {
        let root = "\(folder.path)/objects"
        return try await folder.workers.run {
            var found: [StoredFile] = []
            for shelf in try LocalFolder.names(in: root).sorted() where shelf >= (after?.prefix(2) ?? "") {
                for name in try LocalFolder.names(in: "\(root)/\(shelf)").sorted() where name > after ?? "" {
                    var facts = stat()
                    guard stat("\(root)/\(shelf)/\(name)", &facts) == 0 else { continue }
                    found.append(
                        StoredFile(
                            version: name, byteCount: Int(facts.st_size), modifiedAt: facts.st_mtim.tv_sec))
                    if found.count == limit { return found }
                }
            }
            return found
        }
    }

    private func file(of version: String) async throws -> OpenFile {
        let path = try path(of: version)
        return try await folder.workers.run {
            do { return try OpenFile(path: path) } catch let error as SystemError where error.code == ENOENT {
                throw ObjectStoreError.missing
            }
        }
    }

    private func shelf(of version: String) -> String { "\(folder.path)/objects/\(version.prefix(2))" }

    /// - Throws: ``ObjectStoreError/missing`` for what is no version of ours: a row written by hand may hold anything.
    func path(of version: String) throws -> String {
        guard (8...64).contains(version.utf8.count),
            version.utf8.allSatisfy({
                (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
            })
        else { throw ObjectStoreError.missing }
        return "\(shelf(of: version))/\(version)"
    }
}
