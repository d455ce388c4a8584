// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@Suite struct LogRingTests {
    @Test func keepsTheLatestEventsInOrder() {
        let ring = LogRing(capacity: 3)
        let log = Log(level: .info, fields: [.field("service", "auth")]).kept(in: ring)
        #expect(ring.latest().isEmpty)
        for number in 1...5 { log.with(.field("of", "ring")).info("event", .field("number", number)) }
        log.debug("below the level")
        let entries = ring.latest()
        #expect(entries.map(\.number) == [5, 4, 3])
        #expect(entries.first?.fields.map(\.key) == ["service", "of", "number"])
        #expect(entries.allSatisfy { $0.level == .info && $0.event == "event" })
    }

    @Test func holdsAtLeastOne() {
        let ring = LogRing(capacity: 0)
        let log = Log().kept(in: ring)
        log.warning("first")
        log.error("second")
        #expect(ring.latest().map(\.event) == ["second"])
    }
}
