// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Platform

/// `atoll stop`
enum StopCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        let folder = try ProjectFolder.find(from: invocation.workdir)
        let processes = ServerProcess.stoppable(in: folder)
        guard let process = processes.last else {
            Output.print("No server runs for \(folder.path).")
            return 0
        }
        // A configuration broken meanwhile must not keep anyone from stopping the server.
        let timeout =
            (try? folder.loadConfiguration().configuration.atoll.stopTimeout)
            ?? ProjectConfiguration().atoll.stopTimeout
        let progress = ProgressLine()
        progress.begin("stopping the server (process \(process.id))")
        // The keeper first: it hands the signal on and ends with the server.
        if processes.allSatisfy({ $0.stop(signal: SIGTERM, timeout: timeout) }) {
            progress.finish()
            Output.print("Stopped.")
            return 0
        }
        if invocation.has("force"), processes.allSatisfy({ $0.stop(signal: SIGKILL, timeout: .seconds(10)) }) {
            progress.finish()
            Output.print("Killed.")
            return 0
        }
        progress.fail()
        throw CommandFailure(
            "the server (process \(process.id)) still runs after \(timeout)",
            next: "see \(folder.logFile), or kill it with `atoll stop --force`")
    }
}
