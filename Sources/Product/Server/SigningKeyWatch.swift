// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
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

    /// Looks at the file until it is cancelled. A file that cannot be used leaves the keys in force as they are.
    func run() async throws {
        guard let path = project.signingKeysPath, let loop = Loop.current else { return }
        var seen = FileMark(path)
        while true {
            try await loop.sleep(for: Self.interval)
            let mark = FileMark(path)
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
