// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Isolation
import Postgres
import Synchronization
import Testing

@testable import Console

@Suite struct IsolationCheckTests {
    private struct Broken: Error, CustomStringConvertible {
        let description = "the server is gone"
    }

    /// Has a check carried out while `body` looks on.
    private static func with(
        _ check: IsolationCheck, _ body: @escaping @Sendable (Loop) async throws -> Void
    ) async throws {
        try await Loop.withLoop { loop in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: loop) { await check.run() }
                try await body(loop)
                group.cancelAll()
            }
        }
    }

    private static func ended(_ check: IsolationCheck, _ loop: Loop) async throws -> IsolationCheck.Ended.Outcome {
        for _ in 0..<2000 {
            if case .ended(let ended) = check.state { return ended.outcome }
            try await loop.sleep(for: .milliseconds(5))
        }
        throw Broken()
    }

    @Test func oneRunsAtATimeAndItsResultStays() async throws {
        let gate = Gate()
        let count = Mutex(0)
        let check = IsolationCheck { _ in
            count.withLock { $0 += 1 }
            await gate.wait()
            return IsolationReport(findings: [], crossings: [], notes: ["kept"])
        }
        try await Self.with(check) { loop in
            check.begin()
            check.begin()
            guard case .running = check.state else { throw Broken() }
            gate.open()
            guard case .report(let report) = try await Self.ended(check, loop) else { throw Broken() }
            #expect(report.notes == ["kept"] && count.withLock { $0 } == 1)
            check.begin()
            #expect(count.withLock { $0 } <= 2)
        }
    }

    @Test func whatGoesWrongIsToldAndTheNextRunIsFree() async throws {
        let check = IsolationCheck { _ in throw Broken() }
        try await Self.with(check) { loop in
            check.stop()
            for _ in 0..<2 {
                check.begin()
                guard case .failed(let cause) = try await Self.ended(check, loop) else { throw Broken() }
                #expect(cause == "the server is gone")
            }
        }
    }
}
