// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import Primitives

/// bcrypt on the worker pool, so that no loop waits for it.
struct PasswordHasher: Sendable {
    let workers: WorkerPool
    let cost: Int
    /// Counts the work done, which must not depend on whether an account exists.
    let counter: Counter
    /// Verified against when there is no user, so that the answer takes as long as with one.
    private let decoy: String

    init(workers: WorkerPool, cost: Int, counter: Counter) {
        self.workers = workers
        self.cost = cost
        self.counter = counter
        decoy = Bcrypt.unguessableHash(cost: cost)
    }

    func hash(_ password: String) async throws -> String {
        counter.increment()
        return try await workers.run { [cost] in try Bcrypt.hash(password, cost: cost) }
    }

    /// How a password fits a stored hash.
    enum Verdict: Sendable, Equatable {
        case wrong
        case right
        /// Right, and hashed anew at the cost now configured.
        case rightWithNewHash(String)
    }

    /// Verifies in the time of one hash, whether there is a stored one or not.
    func verify(_ password: String, against stored: String?) async throws -> Verdict {
        counter.increment()
        return try await workers.run { [cost, decoy] in
            guard let stored, let storedCost = Bcrypt.cost(of: stored) else {
                _ = Bcrypt.verify(password, against: decoy)
                return .wrong
            }
            guard Bcrypt.verify(password, against: stored) else { return .wrong }
            if storedCost == cost { return .right }
            // A password above 72 bytes, from a hash made elsewhere, cannot be hashed again and keeps its hash.
            return (try? Bcrypt.hash(password, cost: cost)).map(Verdict.rightWithNewHash) ?? .right
        }
    }
}
