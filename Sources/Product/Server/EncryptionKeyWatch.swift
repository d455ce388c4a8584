// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
internal import Platform
internal import Primitives

/// Puts a project's master keys in force when their file changes, so that they are rotated without a restart.
struct EncryptionKeyWatch: Sendable {
    private static let interval: Duration = .seconds(2)

    private let project: Project
    private let log: Log

    init(_ project: Project, log: Log) {
        self.project = project
        self.log = log
        // What was sealed with a new key before this has looked at the file opens all the same.
        project.secrets.keyring.look { try? project.currentKeyring() }
    }

    /// Looks at the file until it is cancelled. One that cannot be used leaves the keys in force as they are.
    func run() async throws {
        guard let loop = Loop.current else { return }
        var seen = FileMark(project.secretsFile)
        while true {
            try await loop.sleep(for: Self.interval)
            let mark = FileMark(project.secretsFile)
            guard mark != seen else { continue }
            seen = mark
            do {
                let changed = try project.currentKeyring()
                project.secrets.keyring.replace(with: changed)
                log.info("master key changed", .field("key", changed.currentID))
            } catch {
                log.error("master key not changed", .field("error", "\(error)"))
            }
        }
    }
}
