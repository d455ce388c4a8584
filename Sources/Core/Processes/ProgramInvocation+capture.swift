// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc

/// What a short program printed, and how it ended.
package struct ProgramResult: Sendable {
    /// nil when it was ended for running out of time.
    package var status: ExitStatus?
    /// Standard output and standard error as they came, cut at the limit.
    package var output: String

    package var isSuccess: Bool { status?.isSuccess ?? false }
}

extension ProgramInvocation {
    /// Runs the program to its end and collects what it prints. Blocks this thread: not for a loop's.
    ///
    /// - Parameters:
    ///   - timeout: after this it is killed.
    ///   - maxOutputBytes: what it prints beyond is read and dropped.
    ///   - input: the text of its standard input; nil for the invocation's own stream.
    /// - Throws: ``SpawnError`` when it does not start.
    package func capture(timeout: Duration, maxOutputBytes: Int = 1 << 20, input: String? = nil) throws -> ProgramResult
    {
        var content: Int32 = -1
        defer { if content >= 0 { close(content) } }
        if var input {
            content = input.withUTF8 { clinux_memory_file($0.baseAddress, $0.count) }
            guard content >= 0 else { throw SystemError("memfd_create", code: -content) }
        }
        var pipe: [Int32] = [-1, -1]
        try SystemError.check(clinux_pipe(&pipe), "pipe2")
        defer { close(pipe[0]) }
        var invocation = self
        if content >= 0 { invocation.input = .descriptor(content) }
        invocation.output = .descriptor(pipe[1])
        invocation.errors = .descriptor(pipe[1])
        let child: ChildProcess
        do {
            child = try ChildProcess.start(invocation)
        } catch {
            close(pipe[1])
            throw error
        }
        close(pipe[1])

        let deadline = ContinuousClock.now + timeout
        var collected: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        // Ends at the end of the output, not of the process: what the process left in the pipe still counts.
        while true {
            let remaining = deadline - ContinuousClock.now
            guard remaining > .zero else { break }
            var entry = pollfd(fd: pipe[0], events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, remaining.pollMilliseconds) > 0 else { continue }
            let count = read(pipe[0], &chunk, chunk.count)
            guard count > 0 else { break }
            collected.append(contentsOf: chunk.prefix(min(count, maxOutputBytes - collected.count)))
        }
        let remaining = max(deadline - ContinuousClock.now, .zero)
        let status = child.wait(timeout: remaining)
        if status == nil { _ = child.stop([(SIGKILL, .seconds(10))]) }
        return ProgramResult(status: status, output: String(decoding: collected, as: UTF8.self))
    }
}
