// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Which collections lately had points written over.
///
/// Most large upserts bring new points, and a plain insert of these costs PostgreSQL a third less than one that is ready for
/// points that are there already. Where one has failed for such a point, the next upserts of the collection do not begin with it.
final class CollisionMemory: Sendable {
    /// Upserts that are still to pass before the next plain insert, by collection.
    private let pauses = Mutex<[Int: Int]>([:])
    private let maxEntries: Int

    /// So many that one insert in vain is nothing beside them.
    private static let pause = 1000

    init(maxEntries: Int) { self.maxEntries = max(1, maxEntries) }

    /// Whether a plain insert is worth a try; counts as an upsert.
    func expectsNone(in collection: Int) -> Bool {
        pauses.withLock { pauses in
            guard let left = pauses[collection] else { return true }
            pauses[collection] = left > 1 ? left - 1 : nil
            return false
        }
    }

    /// Notes that points were there already. At the bound everything is forgotten, which costs each collection one insert in vain.
    func note(in collection: Int) {
        pauses.withLock { pauses in
            if pauses.count >= maxEntries { pauses.removeAll() }
            pauses[collection] = Self.pause
        }
    }
}
