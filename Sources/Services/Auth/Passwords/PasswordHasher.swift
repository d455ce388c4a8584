// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import Primitives

/// Hashes passwords by bcrypt, and verifies those hashes and others', on the worker pool, so that no loop waits for it.
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

    /// Verifies in the time of one hash, whether there is a stored one or not. A right password whose hash is of another cost or
    /// came from elsewhere in another form is hashed anew.
    func verify(_ password: String, against stored: String?) async throws -> Verdict {
        counter.increment()
        return try await workers.run { [cost, decoy] in
            guard let stored = stored.flatMap(StoredPassword.init) else {
                _ = Bcrypt.verify(password, against: decoy)
                return .wrong
            }
            guard stored.isHash(of: password) else { return .wrong }
            if case .bcrypt(_, cost) = stored { return .right }
            // What bcrypt would cut, from a hash made elsewhere, cannot be hashed again and keeps its hash.
            return (try? Bcrypt.hash(password, cost: cost)).map(Verdict.rightWithNewHash) ?? .right
        }
    }
}

/// What `encrypted_password` of an account may hold: the forms GoTrue takes.
enum StoredPassword: Sendable {
    case bcrypt(String, cost: Int)
    case argon2(Argon2Hash)
    case firebaseScrypt(FirebaseScryptHash)

    /// The column's length.
    private static let maxBytes = 255

    /// Nil for what is no hash, or one that would take more time or memory than any should.
    init?(_ text: String) {
        guard text.utf8.count <= Self.maxBytes else { return nil }
        if let cost = Bcrypt.cost(of: text) {
            self = .bcrypt(text, cost: cost)
        } else if let hash = Argon2Hash(text) {
            self = .argon2(hash)
        } else if let hash = FirebaseScryptHash(text) {
            self = .firebaseScrypt(hash)
        } else {
            return nil
        }
    }

    /// Works for as long as the hash wants: to be called off the loop.
    func isHash(of password: String) -> Bool {
        switch self {
        case .bcrypt(let hash, _): Bcrypt.verify(password, against: hash)
        case .argon2(let hash): hash.isHash(of: password)
        case .firebaseScrypt(let hash): hash.isHash(of: password)
        }
    }
}
