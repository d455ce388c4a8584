// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Processes
import Testing

@Suite struct ProcessTableTests {
    @Test func findsWhoListensOnAPort() throws {
        let listener = clinux_listen("127.0.0.1", 0, 1, 0)
        let port = Int(clinux_bound_port(listener))
        #expect(ProcessTable.listener(onPort: port)?.id == getpid())
        #expect(clinux_probe_port("127.0.0.1", UInt16(port)) == -EADDRINUSE)
        close(listener)
        #expect(ProcessTable.listener(onPort: port) == nil)
        #expect(clinux_probe_port("127.0.0.1", UInt16(port)) == 0)
        #expect(clinux_probe_port("no address", 1) == -EINVAL)
    }

    @Test func findsProcessesByTheirFolder() throws {
        let folder = "/tmp/atoll-table-\(getpid())"
        try FileSystem.makeFolder(folder, mode: 0o755)
        defer { try? FileSystem.remove(folder) }
        let child = try ChildProcess.start(ProgramInvocation("/bin/sleep", ["60"], folder: folder))
        #expect(ProcessTable.processes(inFolder: folder) == [child.id])
        #expect(ProcessTable.name(of: child.id) == "sleep")
        _ = child.stop([(SIGKILL, .seconds(5))])
        #expect(ProcessTable.processes(inFolder: folder).isEmpty)
        #expect(!ProcessTable.exists(child.id))
    }
}
