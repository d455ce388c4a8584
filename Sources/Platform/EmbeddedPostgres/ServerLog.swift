// SPDX-License-Identifier: Apache-2.0

/// Turns the server's standard error into lines and remembers the last ones for error messages.
struct ServerLog {
    /// How many lines an error message can quote.
    static let maxRemembered = 20
    /// A longer line is cut: a bound for what an endless line could cost.
    static let maxLineBytes = 8192

    private(set) var remembered: [String] = []
    private var unfinished: [UInt8] = []

    /// Takes what was read and returns the lines it completes.
    mutating func append(_ bytes: some Collection<UInt8>) -> [ServerLogLine] {
        var lines: [ServerLogLine] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                lines.append(finishLine())
            } else if unfinished.count < Self.maxLineBytes {
                unfinished.append(byte)
            }
        }
        return lines
    }

    /// Forgets what was remembered: the next server's lines alone count.
    mutating func reset() {
        remembered = []
        unfinished = []
    }

    private mutating func finishLine() -> ServerLogLine {
        let text = String(decoding: unfinished, as: UTF8.self)
        unfinished.removeAll(keepingCapacity: true)
        if remembered.count == Self.maxRemembered { remembered.removeFirst() }
        remembered.append(text)
        return ServerLogLine(text)
    }
}

/// One line of the server's log.
package struct ServerLogLine: Sendable, Hashable {
    /// How bad it is for whoever runs the server. ERROR ends a statement and FATAL a session (a wrong password, or each client
    /// at a shutdown): both are their client's business. A server that cannot start says FATAL too; the failed start quotes it.
    package enum Severity: Sendable, Hashable {
        case routine
        case warning
        case severe
    }

    package var severity: Severity
    package var text: String
    /// Whether the server says what it is at, as it does every ten seconds of a recovery (`log_startup_progress_interval`). What
    /// refused clients cause is FATAL, and no progress.
    var isProgress: Bool { text.hasPrefix("LOG:") }
    /// What a recovery that takes longer is at, such as `redo in progress, elapsed time: 20.00 s, current LSN: 0/3D4F3C8`.
    package var recoveryStep: String? {
        guard isProgress, text.contains("elapsed time:") else { return nil }
        return String(text.dropFirst("LOG:".count).drop { $0 == " " })
    }

    init(_ text: String) {
        self.text = text
        // "LOG:  database system is ready": the severity is the word before the first colon.
        severity =
            switch text.prefix(while: { $0 != ":" }) {
            case "WARNING": .warning
            case "PANIC": .severe
            default: .routine
            }
    }
}
