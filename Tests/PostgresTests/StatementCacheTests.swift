// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Postgres

@Suite struct StatementCacheTests {
    private func key(_ sql: String, role: String? = nil) -> StatementKey {
        StatementKey(sql: sql, role: role, types: [])
    }

    /// Prepares a statement as a whole; nil when it was known.
    private func prepare(_ cache: inout StatementCache, _ sql: String, operation: UInt64 = 1) -> PreparedStatement? {
        guard case .prepare(let statement) = cache.use(key(sql), operation: operation) else { return nil }
        cache.parsed(statement)
        return statement
    }

    @Test func aFailedParseIsNotRemembered() throws {
        var cache = StatementCache(capacity: 4)
        guard case .prepare(let first) = cache.use(key("a"), operation: 1) else { throw Unexpected() }
        cache.failed(first)
        guard case .prepare(let second) = cache.use(key("a"), operation: 2) else { throw Unexpected() }
        #expect(first.name != second.name)
        #expect(cache.evictedNames.isEmpty)
    }

    @Test func othersDoNotRelyOnAParseUnderWay() throws {
        var cache = StatementCache(capacity: 4)
        guard case .prepare(let first) = cache.use(key("a"), operation: 1) else { throw Unexpected() }
        guard case .execute(let again) = cache.use(key("a"), operation: 1) else { throw Unexpected() }
        #expect(first === again)
        guard case .unnamed = cache.use(key("a"), operation: 2) else { throw Unexpected() }
        cache.parsed(first)
        guard case .execute = cache.use(key("a"), operation: 2) else { throw Unexpected() }
    }

    @Test func theOneUnusedForLongestMakesRoom() {
        var cache = StatementCache(capacity: 2)
        _ = prepare(&cache, "a")
        let b = prepare(&cache, "b")
        _ = cache.use(key("a"), operation: 2)
        _ = prepare(&cache, "c")
        #expect(cache.count == 2)
        #expect(cache.takeEvictedNames() == [b?.name])
        #expect(cache.takeEvictedNames().isEmpty)
        #expect(prepare(&cache, "a") == nil)
        #expect(prepare(&cache, "b") != nil)
    }

    @Test func rolesAndTypesTellStatementsApart() throws {
        var cache = StatementCache(capacity: 8)
        for key in [
            key("a"), key("a", role: "anon"), key("a", role: "authenticated"),
            StatementKey(sql: "a", role: nil, types: [17]),
        ] {
            guard case .prepare = cache.use(key, operation: 1) else { throw Unexpected() }
        }
    }

    @Test func discardingDeallocates() {
        var cache = StatementCache(capacity: 2)
        let a = prepare(&cache, "a")
        if let a { cache.discard(a) }
        #expect(cache.takeEvictedNames() == [a?.name])
        if let a { cache.discard(a) }
        #expect(cache.evictedNames.isEmpty)
    }

    struct Unexpected: Error {}
}
