// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What tells prepared statements apart.
struct StatementKey: Hashable {
    let sql: String
    /// A plan under row level security belongs to a role; one statement for two roles would be planned anew at each change.
    let role: String?
    /// Types given with binary parameters; empty when the server infers all.
    let types: [UInt32]
    private let sqlHash: Int

    /// - Parameter sqlHash: that of `sql`, where it is known already.
    init(sql: String, role: String?, types: [UInt32], sqlHash: Int? = nil) {
        self.sql = sql
        self.role = role
        self.types = types
        self.sqlHash = sqlHash ?? QuickHash.of(sql)
    }

    static func == (left: StatementKey, right: StatementKey) -> Bool {
        left.sqlHash == right.sqlHash && left.role == right.role && left.types == right.types && left.sql == right.sql
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(sqlHash)
        hasher.combine(role)
    }
}

/// A statement prepared, or being prepared, on one connection.
final class PreparedStatement {
    enum State {
        /// Its Parse is on the way, sent for the operation with this number.
        case parsing(operation: UInt64)
        case ready
    }

    let key: StatementKey
    /// What the server knows it by.
    let name: String
    var state: State
    /// What its rows are like, where a ``Wire`` has prepared it.
    var columns = WireColumns.none
    fileprivate var lastUse: UInt64 = 0

    init(key: StatementKey, name: String, state: State) {
        self.key = key
        self.name = name
        self.state = state
    }
}

/// The prepared statements of one connection by text; at the bound the one unused for longest makes room.
///
/// A statement enters when its Parse is sent and leaves when that fails. Only a finished one is used by other operations, as
/// a failing Parse would take theirs down with it.
struct StatementCache {
    private let capacity: Int
    private let nameEnding: String
    private var statements: [StatementKey: PreparedStatement] = [:]
    private var lastNumber: UInt64 = 0
    private var uses: UInt64 = 0
    /// Names the server still holds and the cache does not; deallocated with the next operation.
    private(set) var evictedNames: [String] = []

    /// - Parameter nameEnding: of the names by which the server knows the statements.
    init(capacity: Int, nameEnding: String = "") {
        self.capacity = max(capacity, 1)
        self.nameEnding = nameEnding
    }

    var count: Int { statements.count }

    /// What an operation does with a statement.
    enum Use {
        /// Execute it: the server knows it by then.
        case execute(PreparedStatement)
        /// Prepare it under its name, then execute it.
        case prepare(PreparedStatement)
        /// Parse it for this one execution: another operation's Parse of it is on the way.
        case unnamed
    }

    /// Looks a statement up for the operation numbered `operation`.
    mutating func use(_ key: StatementKey, operation: UInt64) -> Use {
        uses += 1
        if let found = statements[key] {
            found.lastUse = uses
            switch found.state {
            case .ready: return .execute(found)
            case .parsing(let owner): return owner == operation ? .execute(found) : .unnamed
            }
        }
        lastNumber += 1
        let statement = PreparedStatement(
            key: key, name: "a\(lastNumber)\(nameEnding)", state: .parsing(operation: operation))
        statement.lastUse = uses
        statements[key] = statement
        return .prepare(statement)
    }

    /// The Parse succeeded; what is beyond the bound is evicted.
    mutating func parsed(_ statement: PreparedStatement) {
        statement.state = .ready
        // A search through all is cheap beside the Parse that made it necessary.
        while statements.count > capacity, let victim = leastRecentlyUsed() {
            discard(victim)
        }
    }

    /// The Parse failed or never ran: the server does not know the name.
    mutating func failed(_ statement: PreparedStatement) {
        remove(statement)
    }

    /// The statement is not to be used any more, though the server knows it.
    mutating func discard(_ statement: PreparedStatement) {
        if remove(statement) { evictedNames.append(statement.name) }
    }

    /// The server holds none of the statements any more.
    mutating func forgetAll() {
        statements.removeAll()
        evictedNames.removeAll()
    }

    /// Hands over the evicted names.
    mutating func takeEvictedNames() -> [String] {
        defer { evictedNames.removeAll(keepingCapacity: true) }
        return evictedNames
    }

    private func leastRecentlyUsed() -> PreparedStatement? {
        var oldest: PreparedStatement?
        for statement in statements.values {
            guard case .ready = statement.state else { continue }
            if statement.lastUse < oldest?.lastUse ?? .max { oldest = statement }
        }
        return oldest
    }

    @discardableResult
    private mutating func remove(_ statement: PreparedStatement) -> Bool {
        guard statements[statement.key] === statement else { return false }
        statements[statement.key] = nil
        return true
    }
}
