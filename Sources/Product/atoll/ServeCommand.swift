// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Glibc
internal import Platform
internal import Primitives
internal import Server

/// `atoll serve`
enum ServeCommand {
    /// The last line a server in the background prints for `atoll start`, which waits for it.
    static let readyMark = "READY"
    private static let maxOverrideBytes = 1 << 20

    static func run(_ invocation: Invocation) throws -> Int32 {
        let isBackground = invocation.has("background")
        let overrides =
            isBackground
            ? ServerFlags.overrides(try? JSON(parsing: standardInput())) : try ServerFlags.overrides(invocation)
        let project = try Project.open(workdir: invocation.workdir, overrides: overrides)
        let log = Log(
            level: project.configuration.atoll.logLevel, format: format(project.configuration.atoll.logFormat))
        let release = try ServerProcess.claim(project, overrides: overrides, isKept: isBackground)
        defer {
            log.flush()
            release()
        }
        let server = ServerRun(project: project, log: log) { step in
            if isBackground { Output.print(step) } else { log.info("starting", .field("step", step)) }
        }
        let addresses = StatusValues(project).text(.pretty, names: [:])
        let isTerminal = Output.isTerminal(STDOUT_FILENO)
        try Loop.runMain { _ in
            try await server.run { _ in
                if isBackground {
                    Output.print(readyMark)
                    // `atoll start` goes away now; nothing may be written where it listened.
                    detachOutput()
                } else if isTerminal {
                    Output.print("\n\(addresses)\n\nCtrl-C stops it.\n")
                }
            }
        }
        return 0
    }

    private static func format(_ configured: ProjectConfiguration.Atoll.LogFormat) -> Log.Format {
        switch configured {
        case .automatic: isatty(STDERR_FILENO) == 1 ? .text : .json
        case .text: .text
        case .json: .json
        }
    }

    static func standardInput() -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count < maxOverrideBytes {
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        return bytes
    }

    static func detachOutput() {
        let nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC)
        guard nowhere >= 0 else { return }
        dup2(nowhere, STDOUT_FILENO)
        close(nowhere)
    }
}
