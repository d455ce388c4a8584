// SPDX-License-Identifier: Apache-2.0
internal import Primitives
internal import Synchronization

/// Collections that requests found lately, by who asked for which name.
///
/// What is remembered may be old: every unit of work checks the revision in the database, and a stale entry is forgotten.
final class CollectionCatalog: Sendable {
    /// Who asked for which name. What one tenant sees, another must not find.
    struct Key: Hashable, Sendable {
        let isService: Bool
        let tenant: UUID?
        let name: String

        init(_ caller: Caller, _ name: String) {
            isService = caller.isService
            tenant = caller.tenant
            self.name = name
        }
    }

    /// Two generations: when the younger is full it becomes the older, and what that held unused is forgotten.
    private struct State {
        var younger: [Key: VectorCollection] = [:]
        var older: [Key: VectorCollection] = [:]
    }
    private let state = Mutex(State())
    private let maxEntries: Int

    init(maxEntries: Int) { self.maxEntries = max(2, maxEntries) }

    subscript(key: Key) -> VectorCollection? {
        get {
            state.withLock { state in
                if let found = state.younger[key] { return found }
                guard let found = state.older.removeValue(forKey: key) else { return nil }
                insert(found, key, &state)
                return found
            }
        }
        set {
            state.withLock { state in
                if let newValue {
                    insert(newValue, key, &state)
                } else {
                    state.younger[key] = nil
                    state.older[key] = nil
                }
            }
        }
    }

    private func insert(_ collection: VectorCollection, _ key: Key, _ state: inout State) {
        if state.younger.count >= maxEntries / 2 {
            state.older = state.younger
            state.younger = [:]
        }
        state.younger[key] = collection
    }
}

/// Numbers operations: microseconds since 1970, each later than the last.
///
/// A counter in the database would tell a tenant how much the others write.
final class OperationClock: Sendable {
    private let last = Mutex(0)

    func next() -> Int {
        let now = Int(Timestamp.now().unixMicroseconds)
        return last.withLock { last in
            last = max(last + 1, now)
            return last
        }
    }
}
