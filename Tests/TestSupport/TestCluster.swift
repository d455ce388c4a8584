// SPDX-License-Identifier: Apache-2.0
package import EmbeddedPostgres
internal import Glibc
internal import Primitives
package import Processes
internal import Synchronization

/// A PostgreSQL cluster for the tests of this process: started with the first use, ended with the process however that ends.
///
/// It is the product's own ``EmbeddedPostgres``, less durable so that tests are fast: a test of durability makes a cluster of its own.
package final class TestCluster: Sendable {
    /// The one cluster of this process. The first call starts it, about a second.
    package static var shared: TestCluster {
        get async throws { try await starting.value }
    }

    /// The folder of the Unix socket.
    package let socketFolder: String
    /// The TCP port on 127.0.0.1.
    package let port: Int
    /// The superuser.
    package let user: String
    package let password: String
    private let installation: PostgresInstallation
    private let postgres: EmbeddedPostgres
    private let folder: String
    private let templates = TestTemplates()
    private let lastDatabase = Atomic<Int>(0)

    private static let starting = Task.detached { try await onThread { try TestCluster() } }
    /// The started cluster, for the exit handler, which can capture nothing.
    private static let running = Mutex<TestCluster?>(nil)

    private init() throws {
        Self.removeLeftovers()
        let owner = try ClusterFolder.serverOwner()
        installation = try TestInstallation.find(owner: owner)
        folder = "\(Self.prefix)\(getpid())"
        try FileSystem.remove(folder)
        user = "supabase_admin"
        password = "test-\(getpid())"
        (postgres, port) = try Self.start(
            installation: installation, owner: owner, folder: folder, user: user, password: password)
        socketFolder = postgres.socketFolder
        Self.running.withLock { $0 = self }
        atexit { TestCluster.running.withLock { $0 }?.end() }
    }

    /// A new database, a copy of `template`.
    package func makeDatabase(template: String = "template1") async throws -> TestDatabase {
        let number = lastDatabase.add(1, ordering: .relaxed).newValue
        let name = "test_\(number)"
        try await database("postgres").exec("create database \(name) template \(template)")
        return database(name)
    }

    /// The name of a template that `make` fills once in this process; later calls with the name wait for it and get the same.
    /// Templates are made one after the other, because what they make may belong to the whole cluster (roles).
    package func template(
        named name: String, _ make: @escaping @Sendable (TestDatabase) async throws -> Void
    ) async throws -> String {
        try await templates.template(named: name) { [self] in
            try await database("postgres").exec("create database \(name)")
            try await make(database(name))
            try await database("postgres").exec("alter database \(name) with is_template true allow_connections false")
        }
        return name
    }

    /// An existing database of the cluster, as the superuser.
    package func database(_ name: String) -> TestDatabase {
        TestDatabase(
            name: name, socketFolder: socketFolder, port: port, user: user, password: password,
            installation: installation)
    }

    private static let prefix = "/tmp/atoll-test-"

    private static func start(
        installation: PostgresInstallation, owner: ProcessOwner?, folder: String, user: String, password: String
    ) throws -> (EmbeddedPostgres, Int) {
        // Another program can take the free port between asking and using it.
        for attempt in 1... {
            let port = try freePorts(1)[0]
            var settings = try ClusterSettings(
                machine: .init(memoryBytes: 1 << 30), installation: installation, overrides: ["max_connections": "200"])
            try settings.allow("fsync", "off", reason: "the cluster lives as long as the tests")
            try settings.allow("full_page_writes", "off", reason: "as above")
            var configuration = EmbeddedPostgresConfiguration(
                installation: installation, folder: ClusterFolder(path: folder, owner: owner),
                superuserPassword: SecretString(password),
                port: port, settings: settings)
            configuration.superuser = user
            let postgres = try EmbeddedPostgres(configuration)
            do {
                try postgres.startBlocking()
                return (postgres, port)
            } catch let error as EmbeddedPostgresError where error.code == .portInUse && attempt < 5 {
                continue
            }
        }
        throw EmbeddedPostgresError(.portInUse, "no free port found")
    }

    private func end() {
        do {
            try postgres.stopBlocking()
            try FileSystem.remove(folder)
        } catch {
            print("the test cluster in \(folder): \(error)")
        }
    }

    /// Clusters of test runs that were killed: their servers ended with them, their folders did not.
    private static func removeLeftovers() {
        for name in FileSystem.entries(of: "/tmp") where name.hasPrefix("atoll-test-") {
            guard let process = Int32(name.dropFirst("atoll-test-".count)), !ProcessTable.exists(process),
                let data = FileSystem.realPath("/tmp/\(name)/data"), ProcessTable.processes(inFolder: data).isEmpty
            else { continue }
            try? FileSystem.remove("/tmp/\(name)")
        }
    }
}

/// The templates of one cluster, each made once.
private actor TestTemplates {
    private var templates: [String: Task<Void, any Error>] = [:]
    private var last: Task<Void, any Error>?

    func template(named name: String, _ make: @escaping @Sendable () async throws -> Void) async throws {
        if let known = templates[name] { return try await known.value }
        let before = last
        let task = Task {
            _ = await before?.result
            try await make()
        }
        templates[name] = task
        last = task
        try await task.value
    }
}

/// Finds the PostgreSQL that the tests use.
package enum TestInstallation {
    package static func find(owner: ProcessOwner?) throws -> PostgresInstallation {
        let executable = FileSystem.readLink("/proc/self/exe") ?? "."
        return try PostgresInstallation.find(near: [".", executable], owner: owner)
    }
}
