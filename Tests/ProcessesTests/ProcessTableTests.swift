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

    @Test func addsUpProcessorTime() throws {
        // A name with what separates the fields.
        let folder = "/tmp/atoll-time-\(getpid())"
        try FileSystem.makeFolder(folder, mode: 0o755)
        defer { try? FileSystem.remove(folder) }
        let program = "\(folder)/a ) 1 2"
        symlink("/bin/sh", program)
        let busy = try ChildProcess.start(ProgramInvocation(program, ["-c", "while :; do :; done"]))
        defer { _ = busy.stop([(SIGKILL, .seconds(5))]) }
        let idle = try ChildProcess.start(ProgramInvocation("/bin/sleep", ["60"]))
        defer { _ = idle.stop([(SIGKILL, .seconds(5))]) }
        let deadline = ContinuousClock.now + .seconds(30)
        while ProcessTable.processorTime(of: [busy.id, idle.id]) < .milliseconds(200), .now < deadline {
            usleep(10_000)
        }
        #expect(ProcessTable.processorTime(of: [busy.id]) >= .milliseconds(200))
        #expect(ProcessTable.processorTime(of: [idle.id]) < .milliseconds(100))
        #expect(ProcessTable.processorTime(of: []) == .zero)
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
