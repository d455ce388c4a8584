// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Platform
internal import Primitives
internal import Processes

/// The server of a project as other processes find it: `.atoll/atoll.pid`, a JSON object.
///
/// The id alone would name a stranger once the server has ended and its id was given away, so the file also has the time at
/// which the kernel started the process.
struct ServerProcess: Sendable {
    let id: Int32
    /// Clock ticks after the machine's start (proc(5), `starttime`).
    let startTicks: UInt64
    let apiURL: String
    /// The numeric address and port of the API, for the health check.
    let host: String
    let port: Int
    let usesTLS: Bool
    /// What the command line said when it was started.
    let overrides: [ProjectConfiguration.Override]

    /// What this process would be, for a project.
    private init(serving project: Project, _ overrides: [ProjectConfiguration.Override]) throws {
        let id = getpid()
        guard let ticks = Self.startTicks(of: id) else { throw CommandFailure("cannot read /proc/\(id)/stat") }
        self.id = id
        startTicks = ticks
        apiURL = project.apiURL
        host = project.configuration.atoll.host
        port = project.configuration.api.port
        usesTLS = project.configuration.api.tls.enabled
        self.overrides = overrides
    }

    /// The server of a project, if one runs.
    static func running(in folder: ProjectFolder) -> ServerProcess? {
        guard let text = FileSystem.read(folder.processFile, maxBytes: 1 << 20), let json = try? JSON(parsing: text),
            let process = ServerProcess(json), startTicks(of: process.id) == process.startTicks
        else { return nil }
        return process
    }

    private init?(_ json: JSON) {
        guard let id = json["pid"]?.intValue, let ticks = json["start_ticks"]?.intValue,
            let url = json["api_url"]?.stringValue, let host = json["host"]?.stringValue,
            let port = json["port"]?.intValue, let usesTLS = json["tls"]?.boolValue
        else { return nil }
        guard let id = Int32(exactly: id), id > 1, ticks >= 0 else { return nil }
        self.id = id
        startTicks = UInt64(ticks)
        apiURL = url
        self.host = host
        self.port = port
        self.usesTLS = usesTLS
        overrides = ServerFlags.overrides(json["overrides"])
    }

    private var json: JSON {
        [
            "pid": JSON(id), "start_ticks": JSON(startTicks), "api_url": .string(apiURL), "host": .string(host),
            "port": JSON(port), "tls": .bool(usesTLS),
            "overrides": ServerFlags.json(overrides),
        ]
    }

    private static func startTicks(of id: Int32) -> UInt64? {
        // "pid (name) state ..."; the name may hold anything, so the fields are counted from its last parenthesis.
        guard let text = FileSystem.read("/proc/\(id)/stat", maxBytes: 4096), let close = text.lastIndex(of: ")") else {
            return nil
        }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z" else { return nil }
        return UInt64(fields[19])
    }

    // MARK: The server's side

    /// Claims the project for this process until it ends, and says so in the file.
    ///
    /// - Returns: what to call at the end.
    /// - Throws: ``CommandFailure`` when another server has the project.
    static func claim(
        _ project: Project, overrides: [ProjectConfiguration.Override]
    ) throws -> () -> Void {
        let file = project.location.processFile
        let lock = clinux_lock_file("\(project.stateFolder)/lock")
        guard lock >= 0 else {
            guard -lock == EWOULDBLOCK else {
                throw FileSystemError("cannot lock", "\(project.stateFolder)/lock", code: -lock)
            }
            let who = running(in: project.location).map { " (process \($0.id))" } ?? ""
            throw CommandFailure(
                "a server already runs for \(project.folder)\(who)",
                next: "stop it with `atoll stop`, or leave it running")
        }
        let process = try ServerProcess(serving: project, overrides)
        try FileSystem.write(process.json.text + "\n", to: file, mode: 0o600)
        return {
            unlink(file)
            close(lock)
        }
    }

    // MARK: The others' side

    /// Asks the process to end and waits until it has.
    ///
    /// - Returns: whether it has ended.
    func stop(signal: Int32, timeout: Duration) -> Bool {
        let descriptor = clinux_process_descriptor(id)
        guard descriptor >= 0 else { return Self.startTicks(of: id) != startTicks }
        defer { close(descriptor) }
        // The descriptor holds whoever has the id now; only then is the start time asked.
        guard Self.startTicks(of: id) == startTicks else { return true }
        guard clinux_process_signal(descriptor, signal) == 0 else { return Self.startTicks(of: id) != startTicks }
        let deadline = ContinuousClock.now + timeout
        while true {
            let remaining = deadline - ContinuousClock.now
            guard remaining > .zero else { return false }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, remaining.pollMilliseconds) > 0 { return true }
        }
    }

    /// Whether `GET /health` is answered with 200. A server with TLS counts as healthy when it takes the connection.
    func isHealthy(timeout: Duration = .seconds(2)) -> Bool {
        let address = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
        let isVersion6 = address.contains(":")
        let descriptor = socket(isVersion6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let components = timeout.components
        var limit = timeval(tv_sec: Int(components.seconds), tv_usec: 1)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        guard Self.connect(descriptor, address, port, isVersion6: isVersion6) else { return false }
        if usesTLS { return true }
        Output.write(
            "GET /health HTTP/1.1\r\nHost: \(address.contains(":") ? "[\(address)]" : address)\r\nConnection: close\r\n\r\n",
            to: descriptor)
        var answer = [UInt8](repeating: 0, count: 16)
        let count = read(descriptor, &answer, answer.count)
        return count > 12 && String(decoding: answer.prefix(12), as: UTF8.self) == "HTTP/1.1 200"
    }

    private static func connect(_ descriptor: Int32, _ address: String, _ port: Int, isVersion6: Bool) -> Bool {
        if isVersion6 {
            var target = sockaddr_in6()
            target.sin6_family = sa_family_t(AF_INET6)
            target.sin6_port = in_port_t(UInt16(port).bigEndian)
            guard inet_pton(AF_INET6, address, &target.sin6_addr) == 1 else { return false }
            return withUnsafePointer(to: &target) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
                }
            }
        }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = in_port_t(UInt16(port).bigEndian)
        guard inet_pton(AF_INET, address, &target.sin_addr) == 1 else { return false }
        return withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
