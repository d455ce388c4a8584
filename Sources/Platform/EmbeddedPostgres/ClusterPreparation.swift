// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Primitives
internal import Processes

/// Everything between "start" and the server's process: folders, leftovers of earlier runs, `initdb`, settings, the port.
struct ClusterPreparation {
    let configuration: EmbeddedPostgresConfiguration
    let report: (EmbeddedPostgresEvent) -> Void

    private var folder: ClusterFolder { configuration.folder }

    /// - Returns: the descriptor of the lock on the cluster, to be closed when it is no longer supervised.
    func prepare() throws -> Int32 {
        try folder.prepare()
        let lock = try takeLock()
        do {
            try stopLeftovers()
            try checkPort()
            if let major = folder.clusterMajor {
                try check(major: major)
            } else {
                try initialise()
            }
            try writeFiles()
        } catch {
            close(lock)
            throw error
        }
        return lock
    }

    /// Waits for the sessions of a server that is gone to notice, which they do at once; ends those that do not.
    func endSessionsOfCrashedServer() {
        for signal in [nil, SIGQUIT, SIGKILL] {
            let sessions = folder.processes
            if sessions.isEmpty { return }
            if let signal { for session in sessions { kill(session, signal) } }
            if waitForAll(sessions, timeout: .seconds(2)) { return }
        }
    }

    // MARK: Other supervisors and leftover servers

    private func takeLock() throws -> Int32 {
        let lock = clinux_lock_file(folder.lockFile)
        if lock == -EWOULDBLOCK {
            let holder = FileSystem.read(folder.lockFile, maxBytes: 32).map { $0.prefix { $0.isNumber } } ?? ""
            throw EmbeddedPostgresError(
                .alreadyRunning,
                "another Atoll\(holder.isEmpty ? "" : " (process \(holder))") runs the database in \(folder.path); stop it first"
            )
        }
        guard lock >= 0 else {
            throw EmbeddedPostgresError(
                .folderUnusable, "\(FileSystemError("cannot lock", folder.lockFile, code: -lock))")
        }
        let text = Array("\(getpid())\n".utf8)
        ftruncate(lock, 0)
        _ = pwrite(lock, text, text.count, 0)
        return lock
    }

    /// A server that still runs on the data although no Atoll supervises it: its Atoll was killed a moment ago and it is shutting
    /// down, or it missed the signal. It is stopped, since one can be supervised only by the process that started it.
    private func stopLeftovers() throws {
        guard let file = PostmasterFile(inData: folder.data) else { return }
        let processes = folder.processes
        if processes.isEmpty {
            // The server is gone. Should a stranger have its number now, PostgreSQL would refuse to start because of these files.
            if ProcessTable.exists(file.process) {
                for path in ["\(folder.data)/postmaster.pid", folder.socketLockFile(port: file.port)] {
                    if let path, FileSystem.exists(path) { try FileSystem.remove(path) }
                }
            }
            return
        }
        if processes.contains(file.process) {
            report(.stoppingLeftover(process: file.process))
            for (signal, timeout) in [
                (SIGINT, configuration.stopTimeout), (SIGQUIT, .seconds(5)), (SIGKILL, .seconds(5)),
            ] {
                kill(file.process, signal)
                if waitForAll([file.process], timeout: timeout) { break }
            }
        }
        endSessionsOfCrashedServer()
        let remaining = folder.processes
        guard remaining.isEmpty else {
            throw EmbeddedPostgresError(
                .stopFailed,
                "the processes \(remaining.map(String.init).joined(separator: ", ")) of an earlier PostgreSQL in "
                    + "\(folder.data) do not end")
        }
    }

    private func waitForAll(_ processes: [Int32], timeout: Duration) -> Bool {
        let deadline = ContinuousClock.now + timeout
        while !folder.processes.allSatisfy({ !processes.contains($0) }) {
            if ContinuousClock.now >= deadline { return false }
            usleep(10_000)
        }
        return true
    }

    // MARK: Port

    private func checkPort() throws {
        for address in configuration.listenAddresses {
            let code = clinux_probe_port(address, UInt16(clamping: configuration.port))
            if code == 0 { continue }
            guard code == -EADDRINUSE else {
                throw EmbeddedPostgresError(
                    .portInUse,
                    "cannot listen on \(address) port \(configuration.port): \(String(cString: strerror(-code)))")
            }
            let holder =
                ProcessTable.listener(onPort: configuration.port).map { " by \($0.name) (process \($0.id))" } ?? ""
            throw EmbeddedPostgresError(
                .portInUse,
                "port \(configuration.port), meant for PostgreSQL, is in use\(holder): stop that, or set another port in "
                    + "[db] of supabase/config.toml")
        }
    }

    // MARK: Cluster

    private func check(major: Int) throws {
        guard major != configuration.installation.major else { return }
        throw EmbeddedPostgresError(
            .versionMismatch,
            "the database in \(folder.data) was made by PostgreSQL \(major), and \(configuration.installation.binFolder) is "
                + "version \(configuration.installation.version); docs/postgres.md says how to upgrade it")
    }

    private func initialise() throws {
        report(.initialising(version: configuration.installation.version, folder: folder.data))
        let unfinished = folder.unfinishedData
        let passwordFile = "\(folder.path)/password"
        try FileSystem.remove(unfinished)
        try FileSystem.makeFolder(unfinished, mode: 0o700, owner: folder.owner)
        // A file and not an argument: arguments are everyone's to read.
        try FileSystem.write(
            configuration.superuserPassword.reveal(), to: passwordFile, mode: 0o600, owner: folder.owner)
        defer { unlink(passwordFile) }
        // The builtin C.UTF-8 provider (17 and later) sorts alike on every machine, so indexes survive a move; before that libc's.
        let locale = configuration.installation.major >= 17 ? ["--locale-provider=builtin"] : []
        let result = try ProgramInvocation(
            configuration.installation.program("initdb"),
            [
                "--pgdata=\(unfinished)", "--username=\(configuration.superuser)", "--pwfile=\(passwordFile)",
                "--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums", "--locale=C.UTF-8", "--lc-messages=C",
                "--no-instructions",
            ] + locale,
            environment: ["PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"], folder: "/", owner: folder.owner
        ).capture(timeout: .seconds(120), maxOutputBytes: 65536)
        guard result.isSuccess else {
            let how = result.status.map { "\($0)" } ?? "no end within 120 s"
            throw EmbeddedPostgresError(.initialisationFailed, "initdb failed with \(how):\n\(result.output)")
        }
        try FileSystem.rename(unfinished, to: folder.data)
    }

    /// The settings and the access rules, outside the data folder: the server's user reads them and cannot change them.
    private func writeFiles() throws {
        var settings = configuration.settings
        for (name, value) in [
            ("port", String(configuration.port)),
            ("listen_addresses", configuration.listenAddresses.joined(separator: ",")),
            ("unix_socket_directories", folder.socketFolder),
            ("hba_file", folder.accessFile),
            ("ident_file", "/dev/null"),
        ] {
            try settings.allow(name, value, reason: "where this cluster is")
        }
        if let kind = sharedMemoryKind {
            try settings.allow("dynamic_shared_memory_type", kind, reason: "what initdb found to work on this machine")
        }
        let mode: UInt32 = folder.owner == nil ? 0o600 : 0o644
        try FileSystem.write(settings.fileText, to: folder.settingsFile, mode: mode)
        try FileSystem.write(accessRules, to: folder.accessFile, mode: mode)
    }

    /// `initdb` tries which kind of shared memory works (`/dev/shm` is closed in some containers) and leaves its finding in a file
    /// that the server does not read, since ours takes its place.
    private var sharedMemoryKind: String? {
        let text = FileSystem.read("\(folder.data)/postgresql.conf", maxBytes: 1 << 20) ?? ""
        let name = "dynamic_shared_memory_type = "
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        return String(line.dropFirst(name.count).prefix { $0.isLetter })
    }

    /// A password for everyone, over the socket and from the addresses we listen on.
    private var accessRules: String {
        let onLoopback = configuration.listenAddresses.allSatisfy { $0.hasPrefix("127.") || $0 == "::1" }
        let from = onLoopback ? ["127.0.0.1/32", "::1/128"] : ["all"]
        let local = ["local all all scram-sha-256", "local replication all scram-sha-256"]
        let remote = from.flatMap { ["host all all \($0) scram-sha-256", "host replication all \($0) scram-sha-256"] }
        return (["# Written by Atoll at each start."] + local + remote).joined(separator: "\n") + "\n"
    }
}
