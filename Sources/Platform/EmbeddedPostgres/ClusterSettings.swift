// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Processes

/// The server's settings: what suits this machine, each with its reason, then what the project asks for.
package struct ClusterSettings: Sendable {
    /// One line of the file.
    package struct Setting: Sendable {
        package var name: String
        package var value: String
        /// Why it has this value; a comment above the line.
        package var reason: String
    }

    package private(set) var settings: [Setting] = []

    /// What decides about the values.
    package struct Machine: Sendable {
        /// Memory that this process may use, in bytes: the machine's, or its control group's limit.
        package var memoryBytes: Int
        /// How many processors there are, of which each but one may have a loop.
        package var processors: Int
        /// Whether the kernel's `syncfs` tells of writes that failed, as it does from Linux 5.8 on.
        package var hasReliableSync: Bool

        package init(memoryBytes: Int, processors: Int = 1, hasReliableSync: Bool = true) {
            self.memoryBytes = memoryBytes
            self.processors = processors
            self.hasReliableSync = hasReliableSync
        }

        /// This machine.
        package static var current: Machine {
            let physical = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
            let limit = FileSystem.read("/sys/fs/cgroup/memory.max", maxBytes: 64)
                .flatMap { Int($0.prefix { $0.isNumber }) }
            return Machine(
                memoryBytes: min(physical, limit ?? physical), processors: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
                hasReliableSync: hasReliableSync(
                    release: FileSystem.read("/proc/sys/kernel/osrelease", maxBytes: 128) ?? ""))
        }

        /// - Parameter release: a kernel's, such as `6.1.0-18-amd64`.
        static func hasReliableSync(release: String) -> Bool {
            let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
            return numbers.count == 2 && (numbers[0], numbers[1]) >= (5, 8)
        }
    }

    /// Names that the supervisor decides, or that would break the promise that an acknowledged write is kept.
    package static let reserved: Set<String> = [
        "config_file", "data_directory", "external_pid_file", "fsync", "full_page_writes", "hba_file",
        "listen_addresses",
        "log_destination", "logging_collector", "password_encryption", "port", "ssl", "unix_socket_directories",
        "wal_level",
    ]

    /// - Parameters:
    ///   - overrides: `[db.settings]` of the project, and Atoll's own configuration.
    /// - Throws: ``EmbeddedPostgresError`` with `invalidSetting` for a name that is reserved or no setting's, or a value with a line break.
    package init(
        machine: Machine, installation: PostgresInstallation, overrides: [String: String] = [:]
    ) throws(EmbeddedPostgresError) {
        tune(for: machine)
        if installation.hasExtension("pg_stat_statements") {
            set("shared_preload_libraries", "pg_stat_statements", "which statements cost most, for `atoll inspect db`")
        }
        for (name, value) in overrides.sorted(by: { $0.key < $1.key }) {
            guard !Self.reserved.contains(name) else {
                throw EmbeddedPostgresError(.invalidSetting, "db.settings.\(name): Atoll sets this itself; remove it")
            }
            try allow(name, value, reason: "asked for by the configuration")
        }
    }

    /// Adds or replaces a setting, a reserved one too: for the supervisor, and for clusters that need not be durable.
    package mutating func allow(_ name: String, _ value: String, reason: String) throws(EmbeddedPostgresError) {
        guard !name.isEmpty, name.utf8.allSatisfy({ Self.isNameByte($0) }) else {
            throw EmbeddedPostgresError(.invalidSetting, "db.settings.\(name): this is no name of a PostgreSQL setting")
        }
        guard !value.contains(where: { $0.isNewline || $0 == "\0" }) else {
            throw EmbeddedPostgresError(.invalidSetting, "db.settings.\(name): the value has a line break")
        }
        set(name, value, reason)
    }

    /// The text of the configuration file.
    package var fileText: String {
        settings.reduce("# Written by Atoll at each start. Change [db.settings] in supabase/config.toml instead.\n") {
            $0 + "\n# \($1.reason)\n\($1.name) = '\(Self.escape($1.value))'\n"
        }
    }

    private mutating func set(_ name: String, _ value: String, _ reason: String) {
        settings.removeAll { $0.name == name }
        settings.append(Setting(name: name, value: value, reason: reason))
    }

    /// What the pools of one loop open together at their default sizes.
    private static let connectionsPerProcessor = 60

    private mutating func tune(for machine: Machine) {
        let megabyte = 1 << 20
        let memory = machine.memoryBytes / megabyte
        func megabytes(_ share: Int, between low: Int, and high: Int) -> String {
            "\(min(max(memory / share, low), high))MB"
        }
        let connections = max(100, Self.connectionsPerProcessor * machine.processors)

        set(
            "shared_buffers", megabytes(8, between: 64, and: 8192),
            "an eighth of memory: Atoll and the page cache share it")
        set(
            "effective_cache_size", megabytes(2, between: 256, and: 1 << 20),
            "what the planner may expect in the page cache")
        set(
            "work_mem", megabytes(8 * connections, between: 4, and: 64),
            "so that all connections sorting at once still fit")
        set(
            "maintenance_work_mem", megabytes(32, between: 64, and: 1024),
            "index builds, HNSW above all, slow down a lot below")
        set("max_connections", "\(connections)", "the services' pools on every loop, and people with psql")
        set("huge_pages", "try", "fewer page-table misses where the machine has them, no failure where not")
        set("jit", "off", "compiling costs more than the short statements of an API take")
        set("random_page_cost", "1.1", "solid-state disks: a random read costs about what a sequential one does")
        set("wal_level", "logical", "Realtime reads changes from the log; switching it on later needs a restart")
        set("max_wal_size", "2GB", "fewer forced checkpoints under a load of writes")
        set("max_slot_wal_keep_size", "4GB", "a forgotten replication slot must not fill the disk")
        set("checkpoint_timeout", "10min", "fewer full-page images; recovery after a crash still takes seconds")
        set("fsync", "on", "a write that was acknowledged survives a power cut")
        set("full_page_writes", "on", "a torn page after a power cut can be repaired")
        if machine.hasReliableSync {
            set(
                "recovery_init_sync_method", "syncfs",
                "recovery begins with one call instead of one for each file, of which thousands of tenants have hundreds of thousands"
            )
        }
        set("max_locks_per_transaction", "128", "dumps and migrations touch every table of many schemas at once")
        set("client_connection_check_interval", "5s", "a long query ends soon after its client is gone")
        set("tcp_keepalives_idle", "60", "dead clients give their connection back within minutes")
        set("password_encryption", "scram-sha-256", "the password itself is never stored or sent")
        set("timezone", "UTC", "times mean the same on every machine")
        set("log_timezone", "UTC", "as above, for the log")
        set("lc_messages", "C", "the supervisor reads severities")
        set("default_text_search_config", "pg_catalog.english", "what initdb chooses for most, on every machine alike")
        set("cluster_name", "atoll", "tells our processes from others in a process list")
        set("log_destination", "stderr", "the supervisor reads it")
        set("logging_collector", "off", "as above")
        set("log_line_prefix", "", "the supervisor adds time and place")
        set("log_error_verbosity", "terse", "details quote rows: they may hold what users keep to themselves")
        set("log_min_error_statement", "panic", "statements may hold passwords and keys")
        set("log_statement", "none", "as above")
        set("log_checkpoints", "off", "nothing that anyone has to act on")
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func escape(_ value: String) -> String {
        value.reduce(into: "") { text, character in
            if character == "'" || character == "\\" { text.append(character == "'" ? "'" : "\\") }
            text.append(character)
        }
    }
}
