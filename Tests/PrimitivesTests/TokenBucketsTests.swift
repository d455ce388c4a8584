// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@Suite struct TokenBucketsTests {
    private let limit = TokenBucketLimit(count: 30, interval: .seconds(300), burst: 3)

    @Test func refusesBeyondTheBurstAndSaysHowLong() {
        var buckets = TokenBuckets(limit, maxKeys: 100)
        for _ in 0..<3 { #expect(buckets.take("a", now: .seconds(1)) == nil) }
        #expect(buckets.take("a", now: .seconds(1)) == .seconds(10))
        #expect(buckets.take("a", now: .seconds(6)) == .seconds(5))
        #expect(buckets.take("b", now: .seconds(6)) == nil)
        #expect(buckets.take("a", now: .seconds(11)) == nil)
        #expect(buckets.take("a", now: .seconds(11)) != nil)
    }

    @Test func refillsUpToTheBurstOnly() {
        var buckets = TokenBuckets(limit, maxKeys: 100)
        #expect(buckets.take("a", now: .zero) == nil)
        for _ in 0..<3 { #expect(buckets.take("a", now: .seconds(100_000)) == nil) }
        #expect(buckets.take("a", now: .seconds(100_000)) != nil)
    }

    @Test func boundsItsMemoryAndRemembersWhoCalledLately() {
        var buckets = TokenBuckets(limit, maxKeys: 100)
        for _ in 0..<3 { #expect(buckets.take("a", now: .zero) == nil) }
        for number in 0..<10_000 {
            _ = buckets.take("other-\(number)", now: .zero)
            #expect(buckets.take("a", now: .zero) != nil)
            #expect(buckets.keyCount <= 101)
        }
    }

    @Test func aLimitOfNothingRefusesEverything() {
        var buckets = TokenBuckets(TokenBucketLimit(count: 0, interval: .seconds(60), burst: 0), maxKeys: 10)
        #expect(buckets.take("a", now: .zero) == .seconds(60))
    }
}
