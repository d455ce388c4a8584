// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Questions about the machine's other processes, answered from `/proc`. What this user may not see is left out.
package enum ProcessTable {
    /// Whether a process with this id exists (a zombie counts).
    package static func exists(_ id: Int32) -> Bool {
        kill(id, 0) == 0 || errno == EPERM
    }

    /// The program's short name, at most 15 bytes, or nil when there is no such process.
    package static func name(of id: Int32) -> String? {
        FileSystem.read("/proc/\(id)/comm", maxBytes: 64).map { String($0.prefix { $0 != "\n" }) }
    }

    /// The processes whose working folder is `folder`, which must be a real path.
    package static func processes(inFolder folder: String) -> [Int32] {
        all().filter { FileSystem.readLink("/proc/\($0)/cwd") == folder }
    }

    /// The processor time that processes, and children they have waited for, have taken; zero for those that are gone.
    package static func processorTime(of processes: [Int32]) -> Duration {
        let ticks = processes.reduce(0) { $0 + processorTicks(of: $1) }
        return .milliseconds(ticks * 1000 / max(1, sysconf(Int32(_SC_CLK_TCK))))
    }

    /// Fields 14 to 17 of `/proc/<id>/stat`; the second one, the name in parentheses, may contain anything.
    private static func processorTicks(of id: Int32) -> Int {
        guard let text = FileSystem.read("/proc/\(id)/stat", maxBytes: 4096), let end = text.lastIndex(of: ")") else {
            return 0
        }
        return text[end...].split(separator: " ").dropFirst(12).prefix(4).reduce(0) { $0 + (Int($1) ?? 0) }
    }

    /// Who listens on a TCP port of this machine, on any address.
    package static func listener(onPort port: Int) -> (id: Int32, name: String)? {
        let sockets = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { listeningSockets(table: $0, port: port) }
        guard !sockets.isEmpty else { return nil }
        let targets = Set(sockets.map { "socket:[\($0)]" })
        for id in all() {
            let folder = "/proc/\(id)/fd"
            for entry in FileSystem.entries(of: folder) {
                guard let target = FileSystem.readLink("\(folder)/\(entry)"), targets.contains(target) else { continue }
                return (id, name(of: id) ?? "unknown")
            }
        }
        return nil
    }

    private static func all() -> [Int32] {
        FileSystem.entries(of: "/proc").compactMap { Int32($0) }
    }

    /// The inodes of sockets in state LISTEN (0A) on `port`. Columns: slot, local address:port, remote, state, ..., inode (10th).
    private static func listeningSockets(table: String, port: Int) -> [String] {
        guard let text = FileSystem.read(table, maxBytes: 8 << 20) else { return [] }
        let wanted = String(port, radix: 16, uppercase: true)
        let suffix = ":" + String(repeating: "0", count: max(4 - wanted.count, 0)) + wanted
        return text.split(separator: "\n").dropFirst().compactMap { line in
            let columns = line.split(separator: " ", omittingEmptySubsequences: true)
            guard columns.count > 9, columns[1].hasSuffix(suffix), columns[3] == "0A" else { return nil }
            return String(columns[9])
        }
    }
}
