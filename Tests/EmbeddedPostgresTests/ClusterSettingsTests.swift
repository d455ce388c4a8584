// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import EmbeddedPostgres

@Suite struct ClusterSettingsTests {
    private let installation = PostgresInstallation(
        binFolder: "/nowhere", version: "18.6", major: 18, shareFolder: "/nowhere")

    private func settings(gigabytes: Int = 8, _ overrides: [String: String] = [:]) throws -> [String: String] {
        let settings = try ClusterSettings(
            machine: .init(memoryBytes: gigabytes << 30), installation: installation, overrides: overrides)
        return Dictionary(uniqueKeysWithValues: settings.settings.map { ($0.name, $0.value) })
    }

    @Test(arguments: [
        "fsync", "port", "full_page_writes", "data_directory", "hba_file", "wal_level", "unix_socket_directories",
    ])
    func refusesWhatAtollDecides(name: String) {
        let error = #expect(throws: EmbeddedPostgresError.self) { try settings([name: "off"]) }
        #expect(error?.code == .invalidSetting)
        #expect(error?.message.contains("db.settings.\(name)") == true)
    }

    @Test(arguments: [("work mem", "1MB"), ("", "1"), ("a='x'\nfsync", "off"), ("work_mem", "1MB\nfsync = off")])
    func refusesWhatCouldSmuggleAnotherSetting(name: String, value: String) {
        #expect(throws: EmbeddedPostgresError.self) { try settings([name: value]) }
    }

    @Test func theProjectsValueWins() throws {
        #expect(try settings(["work_mem": "123MB"])["work_mem"] == "123MB")
        #expect(try settings(["auto_explain.log_min_duration": "1s"])["auto_explain.log_min_duration"] == "1s")
    }

    @Test(arguments: [(1, "128MB"), (8, "1024MB"), (24, "3072MB"), (512, "8192MB")])
    func sharedBuffersFollowTheMachine(gigabytes: Int, expected: String) throws {
        #expect(try settings(gigabytes: gigabytes)["shared_buffers"] == expected)
    }

    @Test(arguments: [(1, "100"), (2, "120"), (16, "960")])
    func thereAreConnectionsForAllLoops(processors: Int, expected: String) throws {
        let settings = try ClusterSettings(
            machine: .init(memoryBytes: 8 << 30, processors: processors), installation: installation, overrides: [:])
        #expect(settings.settings.first { $0.name == "max_connections" }?.value == expected)
    }

    @Test(arguments: [
        ("6.1.0-18-amd64", true), ("5.8.0", true), ("5.10.0", true), ("5.7.19-generic", false), ("4.19.0", false),
        ("", false),
        ("6", false),
    ])
    func syncsAtOnceWhereTheKernelTellsOfFailures(release: String, expected: Bool) {
        #expect(ClusterSettings.Machine.hasReliableSync(release: release) == expected)
    }

    @Test func keepsWhatWasAcknowledgedAndQuotesNobodysRows() throws {
        let settings = try settings()
        #expect(settings["fsync"] == "on")
        #expect(settings["full_page_writes"] == "on")
        #expect(settings["log_min_error_statement"] == "panic")
        #expect(settings["log_error_verbosity"] == "terse")
    }

    @Test func quotesValuesInTheFile() throws {
        let text = try ClusterSettings(
            machine: .init(memoryBytes: 1 << 30), installation: installation,
            overrides: ["application_name": #"it's \ok"#]
        ).fileText
        #expect(text.contains(#"application_name = 'it''s \\ok'"#))
    }
}
