// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
internal import Glibc
internal import Platform
internal import Primitives

/// Puts a project's signing keys in force when their file changes, so that keys are rotated without a restart.
struct SigningKeyWatch: Sendable {
    private static let interval: Duration = .seconds(2)

    private let project: Project
    private let keys: TokenKeys
    private let log: Log

    init(_ project: Project, _ keys: TokenKeys, log: Log) {
        self.project = project
        self.keys = keys
        self.log = log
    }

    /// What tells one state of a file from another: it is replaced, not written over.
    private struct Mark: Equatable {
        var inode: UInt64
        var byteCount: Int64
        var modified: Int64

        init?(_ path: String) {
            var facts = stat()
            guard stat(path, &facts) == 0 else { return nil }
            inode = UInt64(facts.st_ino)
            byteCount = Int64(facts.st_size)
            modified = Int64(facts.st_mtim.tv_sec) * 1_000_000_000 + Int64(facts.st_mtim.tv_nsec)
        }
    }

    /// Looks at the file until it is cancelled. A file that cannot be used leaves the keys in force as they are.
    func run() async throws {
        guard let path = project.signingKeysPath, let loop = Loop.current else { return }
        var seen = Mark(path)
        while true {
            try await loop.sleep(for: Self.interval)
            let mark = Mark(path)
            guard mark != seen else { continue }
            seen = mark
            do {
                let changed = try project.tokenKeys()
                keys.replace(changed)
                log.info("signing keys changed", .field("kid", changed.signingKey.id ?? ""))
            } catch {
                log.error("signing keys not changed", .field("error", "\(error)"))
            }
        }
    }
}
