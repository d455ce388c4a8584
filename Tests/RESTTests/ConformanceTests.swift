// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Foundation
import HTTP
import Postgres
import Processes
import TestSupport
import Testing

/// The black-box cases of `../shared/conformance/rest`, where they are and a database with their fixtures is named: a server built
/// with libxml, which the embedded one is not, so `make test` alone cannot make it. `docs/rest.md` says how to run them.
struct ConformanceTests {
    private static let folder = "../shared/conformance/rest"
    private static let address = ProcessInfo.processInfo.environment["REST_CONFORMANCE_DATABASE"]
    /// What passes of the default configuration; raised with each step, never lowered.
    private static let expected = 720

    @Test(
        .enabled(
            if: address != nil && FileManager.default.fileExists(atPath: "\(folder)/run.py"),
            "REST_CONFORMANCE_DATABASE names no database, or the cases are not there"))
    func passesTheCasesItPassedBefore() async throws {
        let address = try PostgresAddress(url: try #require(Self.address))
        let folder = Self.folder
        let output = try await Loop.withLoop { loop in
            let conformance = try ConformanceServer(address, loop: loop)
            async let serving: Void = conformance.server.run()
            let port = conformance.server.port
            let run = ProgramInvocation(
                "/usr/bin/python3",
                [
                    "\(folder)/run.py", "--cases", "\(folder)/cases.json", "--base", "http://127.0.0.1:\(port)",
                    "--without", "postgis", "--without", "safeupdate",
                ], environment: [:])
            let output = try await onThread { try run.capture(timeout: .seconds(180), maxOutputBytes: 4 << 20).output }
            conformance.server.stop()
            await serving
            await conformance.database.shutdown(grace: .seconds(1))
            return output
        }
        let summary = output.split(separator: "\n").last ?? ""
        let passed = summary.split(separator: " ").first.flatMap { Int($0) } ?? 0
        #expect(passed >= Self.expected, "\(summary)")
    }
}
