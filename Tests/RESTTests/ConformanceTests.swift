// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Foundation
import HTTP
import Postgres
import Primitives
import Processes
import TestSupport
import Testing

/// The black-box cases of `../shared/conformance/rest`, where they are and a database with their fixtures is named: a server built
/// with libxml, which the embedded one is not, so `make test` alone cannot make it. `docs/rest.md` says how to run them.
struct ConformanceTests {
    private static let folder = "../shared/conformance/rest"
    private static let address = ProcessInfo.processInfo.environment["REST_CONFORMANCE_DATABASE"]
    /// What passes of each configuration; raised with each step, never lowered. Of the default's, three compare the planner's estimates
    /// and two the order of equal rows: which of them pass is the database's statistics' to say.
    private static let expected = [
        ("default", 894),
        ("jwt-secret=4864fb77", 0),
        ("jwt-audience=youraudience", 2),
        ("jwt-cache-max-entries=86400", 2),
        ("jwt-cache-max-entries=86400,server-timing-enabled=false", 2),
        ("db-anon-role=none", 1),
        ("jwt-secret=none", 1),
        ("server-cors-allowed-origins=http_example.com+http_example2.com", 1),
        ("openapi-mode=disabled", 1),
        ("openapi-server-proxy-uri=https_postgrest.com_openapi.json", 2),
        ("db-root-spec=root", 1),
        ("db-aggregates=true", 23),
        ("client-error-verbosity=minimal", 1),
        ("db-plan-enabled=true", 29),
        ("db-prepared-statements=false", 1),
        ("db-max-rows=2", 5),
        ("url-use-legacy-target-names=false", 1),
        ("db-pre-request=custom_headers", 8),
        ("db-schemas=test+v1,openapi-mode=ignore-privileges", 6),
        ("db-extra-search-path=public+extensions+EXTRA__-", 2),
        ("db-extra-search-path=public+extensions", 0),
        ("db-schemas=v1+v2+SPECIAL__-", 14),
        ("db-tx-end=commit", 45),
        ("db-tx-end=rollback", 31),
        ("db-pre-request=test.load_safeupdate", 0),
    ]

    @Test(
        .enabled(
            if: address != nil && FileManager.default.fileExists(atPath: "\(folder)/run.py"),
            "REST_CONFORMANCE_DATABASE names no database, or the cases are not there"),
        .serialized, arguments: expected)
    func passesTheCasesItPassedBefore(name: String, expected: Int) async throws {
        let address = try PostgresAddress(url: try #require(Self.address))
        let folder = Self.folder
        let document = try JSON(parsing: Array(Data(contentsOf: URL(filePath: "\(folder)/cases.json"))))
        let settings = try #require(document["configs"]?[name]?["settings"])
        // Named by hand where the failures are to be read.
        let report = ProcessInfo.processInfo.environment["REST_CONFORMANCE_REPORTS"].map {
            ["--json", "\($0)/\(name).json"]
        }
        let output = try await Loop.withLoop { loop in
            let conformance = try ConformanceServer(address, settings: settings, loop: loop)
            async let serving: Void = conformance.server.run()
            let port = conformance.server.port
            let run = ProgramInvocation(
                "/usr/bin/python3",
                [
                    "\(folder)/run.py", "--cases", "\(folder)/cases.json", "--base", "http://127.0.0.1:\(port)",
                    "--config", name, "--without", "postgis", "--without", "safeupdate",
                ] + (report ?? []), environment: [:])
            let output = try await onThread { try run.capture(timeout: .seconds(180), maxOutputBytes: 4 << 20).output }
            conformance.server.stop()
            await serving
            await conformance.database.shutdown(grace: .seconds(1))
            return output
        }
        let summary = output.split(separator: "\n").last ?? ""
        let passed = summary.split(separator: " ").first.flatMap { Int($0) } ?? 0
        #expect(passed >= expected, "\(name): \(summary)")
    }
}
