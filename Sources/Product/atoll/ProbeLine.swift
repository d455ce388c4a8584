// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// How far a check of isolation is: one line that changes on a terminal, a line a channel elsewhere.
final class ProbeLine: Sendable {
    private let isLive = Output.isTerminal(STDERR_FILENO)
    private let state = Mutex((channel: "", isStopping: false))

    var isStopping: Bool { state.withLock(\.isStopping) }

    func show(_ channel: String, _ done: Int, of total: Int) {
        let isNew = state.withLock { state in
            defer { state.channel = channel }
            return state.channel != channel
        }
        if isLive {
            let count = total > 0 ? " \(done) of \(total)" : ""
            Output.write("\u{1B}[2K  … \(channel)\(count)\r", to: STDERR_FILENO)
        } else if isNew {
            Output.write("\(channel)\n", to: STDERR_FILENO)
        }
    }

    func stop() {
        state.withLock { $0.isStopping = true }
        Output.write(
            "\(isLive ? "\u{1B}[2K  … " : "")taking away what was made; once more to leave it\n", to: STDERR_FILENO)
    }

    func end() { if isLive { Output.write("\u{1B}[2K", to: STDERR_FILENO) } }
}
