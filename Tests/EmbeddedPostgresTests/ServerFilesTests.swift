// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import EmbeddedPostgres

/// What the server writes: its log and `postmaster.pid`.
@Suite struct ServerFilesTests {
    struct StatusCase: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var text: String
        var expected: (process: Int32, isReady: Bool)?
    }

    static let statuses = [
        StatusCase(testDescription: "empty", text: "", expected: nil),
        StatusCase(testDescription: "no number", text: "hello\n", expected: nil),
        StatusCase(testDescription: "a stand-alone backend's negative number", text: "-17\n/data\n", expected: nil),
        StatusCase(testDescription: "written half", text: "17\n/data\n", expected: (17, false)),
        StatusCase(
            testDescription: "starting", text: "17\n/d\n1\n5432\n/s\n127.0.0.1\n 1 2\nstarting\n", expected: (17, false)
        ),
        StatusCase(
            testDescription: "ready", text: "17\n/d\n1\n5432\n/s\n127.0.0.1\n 1 2\nready   \n", expected: (17, true)),
        StatusCase(
            testDescription: "ready without TCP", text: "17\n/d\n1\n5432\n/s\n\n 1 2\nready   \n", expected: (17, true)),
        StatusCase(
            testDescription: "stopping", text: "17\n/d\n1\n5432\n/s\n*\n 1 2\nstopping\n", expected: (17, false)),
    ]

    @Test(arguments: statuses)
    func readsTheStatusOutOfPostmasterPid(_ test: StatusCase) {
        let file = PostmasterFile(test.text)
        #expect(file?.process == test.expected?.process)
        #expect(file?.isReady == test.expected?.isReady)
    }

    @Test func cutsTheLogIntoLinesAcrossReads() {
        var log = ServerLog()
        #expect(log.append("LOG:  star".utf8).isEmpty)
        let lines = log.append("ting\nPANIC:  no\nWARN".utf8)
        #expect(lines.map(\.text) == ["LOG:  starting", "PANIC:  no"])
        #expect(lines.map(\.severity) == [.routine, .severe])
        #expect(
            log.append("ING:  low\nERROR:  a client's\nFATAL:  too\n".utf8).map(\.severity) == [
                .warning, .routine, .routine,
            ])
    }

    /// Clients that are refused while it starts make it say something, too.
    @Test(arguments: [
        ("LOG:  redo in progress, elapsed time: 20.00 s, current LSN: 0/3D4F3C8", true, true),
        ("LOG:  database system was interrupted; last known up at 2026-11-21 17:21:52 UTC", true, false),
        ("FATAL:  the database system is starting up", false, false), ("elapsed time: 1 s", false, false),
    ])
    func knowsWhatTellsOfProgress(text: String, isProgress: Bool, isStep: Bool) {
        let line = ServerLogLine(text)
        #expect(line.isProgress == isProgress)
        #expect((line.recoveryStep != nil) == isStep)
        if let step = line.recoveryStep { #expect(step.hasPrefix("redo")) }
    }

    @Test func remembersABoundedTailOfTheLog() {
        var log = ServerLog()
        for number in 0..<100 { _ = log.append("LOG:  \(number)\n".utf8) }
        #expect(log.remembered.count == ServerLog.maxRemembered)
        #expect(log.remembered.last == "LOG:  99")
        let long = log.append([UInt8](repeating: UInt8(ascii: "x"), count: 3 * ServerLog.maxLineBytes) + [10])
        #expect(long.first?.text.utf8.count == ServerLog.maxLineBytes)
        log.reset()
        #expect(log.remembered.isEmpty)
    }
}
