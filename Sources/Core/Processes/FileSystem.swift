// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc

/// The few file operations that supervising programs takes. All block, so none belongs on a loop's thread.
package enum FileSystem {
    /// The facts of a file that decide who may use it.
    package struct Attributes: Sendable {
        package var isFolder: Bool
        package var user: UInt32
        package var group: UInt32
        /// The permission bits.
        package var mode: UInt32
    }

    /// A plain file's text, or nil when it cannot be read; at most `maxBytes` of it. A pipe in its place is not waited for.
    package static func read(_ path: String, maxBytes: Int) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { return nil }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while content.count < maxBytes {
            let count = Glibc.read(descriptor, &chunk, min(chunk.count, maxBytes - content.count))
            guard count > 0 else { break }
            content.append(contentsOf: chunk.prefix(count))
        }
        return String(decoding: content, as: UTF8.self)
    }

    /// Replaces a file's content in one step: readers see the old text or the new, also after a crash.
    package static func write(_ text: String, to path: String, mode: UInt32, owner: ProcessOwner? = nil) throws {
        let temporary = "\(path).new"
        unlink(temporary)
        // O_EXCL and O_NOFOLLOW: whoever can write into the folder cannot make this follow a link of theirs.
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileSystemError("cannot write", path) }
        defer { close(descriptor) }
        do {
            if let owner, fchown(descriptor, owner.user, owner.group) != 0 {
                throw FileSystemError("cannot give away", path)
            }
            guard fchmod(descriptor, mode) == 0 else { throw FileSystemError("cannot set the mode of", path) }
            var bytes = ArraySlice(text.utf8)
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                guard count > 0 else { throw FileSystemError("cannot write", path) }
                bytes = bytes.dropFirst(count)
            }
            guard fsync(descriptor) == 0 else { throw FileSystemError("cannot write", path) }
            guard Glibc.rename(temporary, path) == 0 else { throw FileSystemError("cannot write", path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Makes a folder and those above it that are missing; `mode` and `owner` are for the last one alone and are set also when
    /// it was there.
    package static func makeFolder(_ path: String, mode: UInt32, owner: ProcessOwner? = nil) throws {
        var above = path.startIndex
        while let slash = path[path.index(after: above)...].firstIndex(of: "/") {
            above = slash
            if mkdir(String(path[..<slash]), 0o755) != 0, errno != EEXIST { throw FileSystemError("cannot make", path) }
        }
        if mkdir(path, mode) != 0, errno != EEXIST { throw FileSystemError("cannot make", path) }
        guard let found = attributes(path, followLinks: false), found.isFolder else {
            throw FileSystemError("is not a folder:", path, code: ENOTDIR)
        }
        if let owner, found.user != owner.user || found.group != owner.group, lchown(path, owner.user, owner.group) != 0
        {
            throw FileSystemError("cannot give away", path)
        }
        if found.mode != mode, chmod(path, mode) != 0 { throw FileSystemError("cannot set the mode of", path) }
    }

    /// The attributes, or nil when there is nothing (or nothing this user may see) at the path.
    package static func attributes(_ path: String, followLinks: Bool = true) -> Attributes? {
        var facts = stat()
        guard (followLinks ? stat(path, &facts) : lstat(path, &facts)) == 0 else { return nil }
        return Attributes(
            isFolder: facts.st_mode & S_IFMT == S_IFDIR, user: facts.st_uid, group: facts.st_gid,
            mode: facts.st_mode & 0o7777)
    }

    /// Whether something stands at the path.
    package static func exists(_ path: String) -> Bool { attributes(path) != nil }

    /// The path without links, `.` and `..`, or nil when it does not exist.
    package static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Where a symbolic link points, or nil.
    package static func readLink(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink(path, $0, bytes.count) } ?? -1
        }
        return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// The names in a folder without `.` and `..`, in no order; none when it cannot be read.
    package static func entries(of folder: String) -> [String] {
        guard let handle = opendir(folder) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a file or a folder with all in it; links are removed, never followed. Nothing there is no error.
    package static func remove(_ path: String) throws {
        guard let found = attributes(path, followLinks: false) else { return }
        if found.isFolder {
            for name in entries(of: path) { try remove("\(path)/\(name)") }
            if rmdir(path) != 0 { throw FileSystemError("cannot remove", path) }
        } else if unlink(path) != 0, errno != ENOENT {
            throw FileSystemError("cannot remove", path)
        }
    }

    /// Gives `from` the name `to`, which must be free or an empty folder.
    package static func rename(_ from: String, to: String) throws {
        if Glibc.rename(from, to) != 0 { throw FileSystemError("cannot rename \(from) to", to) }
    }

    /// Whether a user who is not root and no member of special groups can pass through every folder above `path`.
    package static func isReachable(_ path: String, by owner: ProcessOwner) -> Bool {
        var folder = path
        while let slash = folder.lastIndex(of: "/") {
            folder = String(folder[..<slash])
            guard let found = attributes(folder.isEmpty ? "/" : folder) else { continue }
            let bit: UInt32 = found.user == owner.user ? 0o100 : found.group == owner.group ? 0o010 : 0o001
            if found.mode & bit == 0 { return false }
        }
        return true
    }
}

/// A file operation that failed.
package struct FileSystemError: Error, Sendable, CustomStringConvertible {
    /// What could not be done, before the path.
    package var action: String
    package var path: String
    /// The value of `errno`.
    package var code: Int32

    package init(_ action: String, _ path: String, code: Int32 = clinux_errno()) {
        self.action = action
        self.path = path
        self.code = code
    }

    package var description: String { "\(action) \(path): \(String(cString: strerror(code)))" }
}
