// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Which uploads a request writes to at this moment: two may not write one file.
final class VersionLocks: Sendable {
    private let held = Mutex<Set<String>>([])

    /// Runs `body` while nobody else holds the version.
    ///
    /// - Throws: ``StorageError`` with `resourceLocked` when somebody does.
    func withLock<T>(_ version: String, _ body: () async throws -> T) async throws -> T {
        let isMine = held.withLock { $0.insert(version).inserted }
        guard isMine else { throw StorageError(.resourceLocked, "The resource is locked") }
        defer { held.withLock { _ = $0.remove(version) } }
        return try await body()
    }
}
