// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Glibc

/// An open file, closed with its last user.
package final class OpenFile: Sendable {
    /// The descriptor, owned by this object.
    package let descriptor: Int32
    /// In bytes, when it was opened.
    package let byteCount: Int
    /// Seconds since 1970, when it was opened.
    package let modifiedAt: Int

    /// Opens a regular file for reading. Blocks, so it belongs on a worker pool.
    ///
    /// - Throws: ``SystemError``; a folder or device is `EISDIR` or `EINVAL`.
    package init(path: String) throws {
        descriptor = try SystemError.check(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), "open")
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else {
            let error = SystemError("fstat")
            close(descriptor)
            throw error
        }
        guard facts.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw SystemError("open", code: facts.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
        }
        byteCount = Int(facts.st_size)
        modifiedAt = facts.st_mtim.tv_sec
    }

    deinit { close(descriptor) }
}

/// A stretch of an open file.
package struct FileSlice: Sendable {
    /// The file, kept open until the slice is sent.
    package let file: OpenFile
    /// Where it begins and ends, in bytes.
    package let range: Range<Int>

    package init(_ file: OpenFile, _ range: Range<Int>? = nil) {
        self.file = file
        self.range = range ?? 0..<file.byteCount
    }
}
