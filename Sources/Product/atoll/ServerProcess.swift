// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Platform
internal import Primitives
internal import Processes

/// The server of a project as other processes find it: `.atoll/atoll.pid`, a JSON object.
struct ServerProcess: Sendable {
    let identity: ProcessIdentity
    /// The process that starts the server again when it crashes; nil for one in the foreground.
    let keeper: ProcessIdentity?
    let apiURL: String
    /// The numeric address and port of the API, for the health check.
    let host: String
    let port: Int
    let usesTLS: Bool
    /// What the command line said when it was started.
    let overrides: [ProjectConfiguration.Override]

    /// What this process would be, for a project.
    private init(serving project: Project, _ overrides: [ProjectConfiguration.Override], isKept: Bool) throws {
        guard let identity = ProcessIdentity(of: getpid()) else { throw CommandFailure("cannot read /proc/self/stat") }
        self.identity = identity
        keeper = isKept ? ProcessIdentity(of: getppid()) : nil
        apiURL = project.apiURL
        host = project.configuration.atoll.host
        port = project.configuration.api.port
        usesTLS = project.configuration.api.tls.enabled
        self.overrides = overrides
    }

    var id: Int32 { identity.id }

    /// The server of a project, if one runs.
    static func running(in folder: ProjectFolder) -> ServerProcess? {
        recorded(in: folder).flatMap { $0.identity.isRunning ? $0 : nil }
    }

    /// What to stop so that the project's server ends and stays so: its keeper where there is one, else itself.
    static func stoppable(in folder: ProjectFolder) -> [ProcessIdentity] {
        guard let process = recorded(in: folder) else { return [] }
        return [process.keeper, process.identity].compactMap { $0 }.filter(\.isRunning)
    }

    private static func recorded(in folder: ProjectFolder) -> ServerProcess? {
        guard let text = FileSystem.read(folder.processFile, maxBytes: 1 << 20), let json = try? JSON(parsing: text)
        else { return nil }
        return ServerProcess(json)
    }

    private init?(_ json: JSON) {
        guard let identity = ProcessIdentity(json), let url = json["api_url"]?.stringValue,
            let host = json["host"]?.stringValue, let port = json["port"]?.intValue,
            let usesTLS = json["tls"]?.boolValue
        else { return nil }
        self.identity = identity
        keeper = ProcessIdentity(json["keeper"])
        apiURL = url
        self.host = host
        self.port = port
        self.usesTLS = usesTLS
        overrides = ServerFlags.overrides(json["overrides"])
    }

    private var json: JSON {
        [
            "pid": JSON(identity.id), "start_ticks": JSON(identity.startTicks), "keeper": keeper?.json ?? .null,
            "api_url": .string(apiURL), "host": .string(host),
            "port": JSON(port), "tls": .bool(usesTLS),
            "overrides": ServerFlags.json(overrides),
        ]
    }

    // MARK: The server's side

    /// Claims the project for this process until it ends, and says so in the file.
    ///
    /// - Parameter isKept: whether the parent process is a keeper (see ``KeepCommand``).
    /// - Returns: what to call at the end.
    /// - Throws: ``CommandFailure`` when another server has the project.
    static func claim(
        _ project: Project, overrides: [ProjectConfiguration.Override], isKept: Bool
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
        let process = try ServerProcess(serving: project, overrides, isKept: isKept)
        try FileSystem.write(process.json.text + "\n", to: file, mode: 0o600)
        return {
            unlink(file)
            close(lock)
        }
    }

    // MARK: The others' side

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
