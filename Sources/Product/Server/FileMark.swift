// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What tells one state of a file from another: it is replaced, not written over.
struct FileMark: Equatable {
    private let inode: UInt64
    private let byteCount: Int64
    private let modified: Int64

    /// Nil when it is not there.
    init?(_ path: String) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        inode = UInt64(facts.st_ino)
        byteCount = Int64(facts.st_size)
        modified = Int64(facts.st_mtim.tv_sec) * 1_000_000_000 + Int64(facts.st_mtim.tv_nsec)
    }
}
