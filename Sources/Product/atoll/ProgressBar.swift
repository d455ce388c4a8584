// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// How far something has come that is made of many equal parts: a bar that moves on a terminal, a line every tenth elsewhere.
final class ProgressBar: Sendable {
    private struct State {
        var done = 0
        var failed = 0
        var shownAt: ContinuousClock.Instant?
        var tenth = 0
    }

    private let what: String
    private let total: Int
    private let descriptor: Int32
    private let isLive: Bool
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    private static let width = 24

    /// - Parameter what: the parts, such as `tenants`.
    init(_ what: String, total: Int, descriptor: Int32 = STDERR_FILENO) {
        self.what = what
        self.total = total
        self.descriptor = descriptor
        isLive = Output.isTerminal(descriptor)
    }

    /// Another part is done.
    func advance(failed: Bool) {
        let line: String? = state.withLock { state in
            state.done += 1
            if failed { state.failed += 1 }
            let now = ContinuousClock.now
            if isLive {
                // A terminal shows no more than a few of them a second.
                if let shown = state.shownAt, now - shown < .milliseconds(50), state.done < total { return nil }
                state.shownAt = now
                return "\u{1B}[2K  \(bar(state)) \(text(state, now))\r"
            }
            let tenth = state.done * 10 / max(total, 1)
            guard tenth > state.tenth else { return nil }
            state.tenth = tenth
            return text(state, now) + "\n"
        }
        if let line { Output.write(line, to: descriptor) }
    }

    /// Leaves the last state on a line of its own.
    func finish() {
        guard isLive, total > 0 else { return }
        Output.write("\n", to: descriptor)
    }

    private func bar(_ state: State) -> String {
        let filled = state.done * Self.width / max(total, 1)
        return "[" + String(repeating: "#", count: filled) + String(repeating: "·", count: Self.width - filled) + "]"
    }

    private func text(_ state: State, _ now: ContinuousClock.Instant) -> String {
        let elapsed = (now - start).components
        let seconds = Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
        let rate = seconds > 0 ? Int(Double(state.done) / seconds) : 0
        return "\(state.done) of \(total) \(what), \(rate) a second"
            + (state.failed > 0 ? ", \(state.failed) failed" : "")
    }
}
