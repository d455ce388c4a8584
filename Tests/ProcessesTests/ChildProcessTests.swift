// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import Processes
import Testing

@Suite struct ChildProcessTests {
    private let shell = "/bin/sh"

    // MARK: Refusals

    @Test func namesTheStepThatFailed() throws {
        let cases: [(ProgramInvocation, String)] = [
            (ProgramInvocation("/no/such/program"), "cannot be run: No such file or directory"),
            (ProgramInvocation("/etc/passwd"), "cannot be run: Permission denied"),
            (ProgramInvocation(shell, folder: "/no/such/folder"), "cannot enter the folder /no/such/folder"),
        ]
        for (invocation, words) in cases {
            let error = #expect(throws: SpawnError.self) { try ChildProcess.start(invocation) }
            #expect(error?.description.contains(words) == true)
        }
    }

    @Test func endsAProgramThatRunsOutOfTime() throws {
        let result = try ProgramInvocation("/bin/sleep", ["60"]).capture(timeout: .milliseconds(50))
        #expect(result.status == nil)
    }

    @Test func cutsEndlessOutput() throws {
        let result = try ProgramInvocation(
            shell, ["-c", "yes | head -c 1000000"], environment: ["PATH": "/usr/bin:/bin"]
        )
        .capture(timeout: .seconds(10), maxOutputBytes: 100)
        #expect(result.isSuccess)
        #expect(result.output.utf8.count == 100)
    }

    // MARK: What a child gets

    @Test func givesArgumentsEnvironmentFolderAndInput() throws {
        let result = try ProgramInvocation(
            shell, ["-c", "echo \"$1|$COLOUR|$(pwd)|$(cat)\"", "name", "it's $x"],
            environment: ["COLOUR": "blue", "PATH": "/usr/bin:/bin"],
            folder: "/usr"
        ).capture(timeout: .seconds(10), input: "text")
        #expect(result.output == "it's $x|blue|/usr|text\n")
    }

    @Test func inheritsNoEnvironmentNoDescriptorsNoBlockedSignals() throws {
        let descriptor = open("/dev/null", O_RDONLY)
        defer { close(descriptor) }
        let result = try ProgramInvocation(
            "/bin/sh", ["-c", "ls /proc/$$/fd; /usr/bin/env; exec grep SigBlk /proc/self/status"]
        )
        .capture(timeout: .seconds(10))
        let lines = result.output.split(separator: "\n")
        #expect(!lines.contains("\(descriptor)"))
        #expect(!lines.contains { $0.hasPrefix("HOME=") })
        #expect(lines.contains { $0.hasPrefix("SigBlk:") && $0.hasSuffix("0000000000000000") })
    }

    @Test func reportsHowItEnded() throws {
        #expect(try ProgramInvocation(shell, ["-c", "exit 7"]).capture(timeout: .seconds(10)).status == .exited(7))
        let child = try ChildProcess.start(ProgramInvocation("/bin/sleep", ["60"]))
        #expect(child.reap() == nil)
        #expect(child.wait(timeout: .milliseconds(1)) == nil)
        child.signal(SIGTERM)
        #expect(child.wait(timeout: .seconds(10)) == .signalled(SIGTERM))
        // Later signals find nobody, whoever has the number by then.
        child.signal(SIGKILL)
        #expect(child.reap() == .signalled(SIGTERM))
    }

    @Test func escalatesUntilItEnds() throws {
        var pipe: [Int32] = [-1, -1]
        #expect(clinux_pipe(&pipe) == 0)
        defer { close(pipe[0]) }
        var invocation = ProgramInvocation(shell, ["-c", "trap '' TERM; echo ready; while :; do :; done"])
        invocation.output = .descriptor(pipe[1])
        let child = try ChildProcess.start(invocation)
        close(pipe[1])
        var byte: UInt8 = 0
        #expect(read(pipe[0], &byte, 1) == 1)
        #expect(child.stop([(SIGTERM, .milliseconds(50)), (SIGKILL, .seconds(10))]) == .signalled(SIGKILL))
    }

    @Test func becomesAnotherUserWithoutRootsGroups() throws {
        guard ProcessOwner.isRoot, let nobody = ProcessOwner(named: "nobody") else { return }
        let result = try ProgramInvocation("/usr/bin/id", [], owner: nobody).capture(timeout: .seconds(10))
        #expect(result.output.contains("uid=\(nobody.user)"))
        #expect(!result.output.contains("root"))
    }

    @Test func diesWithTheProcessThatStartedIt() async throws {
        let file = "/tmp/atoll-processes-\(getpid())"
        defer { unlink(file) }
        await #expect(processExitsWith: .signal(SIGKILL)) { [file = file as String] in
            // Started on a thread that ends at once: the signal must wait for the process all the same.
            let thread = try WorkerThread(name: "short-lived") {
                guard let child = try? ChildProcess.start(ProgramInvocation("/bin/sleep", ["60"])) else { return }
                try? FileSystem.write("\(child.id)\n", to: file, mode: 0o600)
            }
            thread.join()
            let id = Int32(FileSystem.read(file, maxBytes: 32)?.dropLast() ?? "") ?? 0
            precondition(id > 0 && FileSystem.read("/proc/\(id)/comm", maxBytes: 32) == "sleep\n")
            kill(getpid(), SIGKILL)
        }
        let id = try #require(Int32(FileSystem.read(file, maxBytes: 32)?.dropLast() ?? ""))
        let deadline = ContinuousClock.now + .seconds(10)
        // Gone, or a zombie that nobody has collected.
        func runs() -> Bool {
            let status = FileSystem.read("/proc/\(id)/status", maxBytes: 4096) ?? ""
            return status.contains("Name:\tsleep") && !status.contains("State:\tZ")
        }
        while runs(), ContinuousClock.now < deadline { usleep(5_000) }
        #expect(!runs())
    }
}
