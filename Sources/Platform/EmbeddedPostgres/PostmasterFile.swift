// SPDX-License-Identifier: Apache-2.0
internal import Processes

/// What a server says of itself in `postmaster.pid` of its data folder.
struct PostmasterFile: Equatable {
    /// The server's process; a stale file names one that has ended, or a stranger that got its number.
    var process: Int32
    /// Whether it accepts connections. The eighth line says "ready" then; "starting", "stopping" and "standby" else.
    var isReady: Bool
    /// The port it was started for, which its Unix socket is named after; nil in a file that was cut short.
    var port: Int?

    /// Lines: process, data folder, start time, port, socket folder, listen address, shared memory, status.
    init?(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first, let process = Int32(first), process > 0 else { return nil }
        self.process = process
        port = lines.count > 3 ? Int(lines[3]) : nil
        isReady = lines.count > 7 && lines[7].hasPrefix("ready")
    }

    init?(inData folder: String) {
        guard let text = FileSystem.read("\(folder)/postmaster.pid", maxBytes: 4096) else { return nil }
        self.init(text)
    }
}
