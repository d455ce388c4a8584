// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Primitives
internal import Processes

/// Names one process for as long as the machine runs: its id, and the time at which the kernel started it.
///
/// The id alone would name a stranger once the process has ended and its id was given away.
struct ProcessIdentity: Sendable, Equatable {
    let id: Int32
    /// Clock ticks after the machine's start (proc(5), `starttime`).
    let startTicks: UInt64

    /// The identity of the process that has this id now; nil when there is none.
    init?(of id: Int32) {
        guard id > 1, let ticks = Self.startTicks(of: id) else { return nil }
        self.id = id
        startTicks = ticks
    }

    /// As ``json`` was; nil for anything else.
    init?(_ json: JSON?) {
        guard let id = json?["pid"]?.intValue.flatMap({ Int32(exactly: $0) }), id > 1,
            let ticks = json?["start_ticks"]?.intValue, ticks >= 0
        else { return nil }
        self.id = id
        startTicks = UInt64(ticks)
    }

    var json: JSON { ["pid": JSON(id), "start_ticks": JSON(startTicks)] }

    /// Whether that process still runs.
    var isRunning: Bool { Self.startTicks(of: id) == startTicks }

    private static func startTicks(of id: Int32) -> UInt64? {
        // "pid (name) state ..."; the name may hold anything, so the fields are counted from its last parenthesis.
        guard let text = FileSystem.read("/proc/\(id)/stat", maxBytes: 4096), let close = text.lastIndex(of: ")") else {
            return nil
        }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z" else { return nil }
        return UInt64(fields[19])
    }

    /// Asks the process to end and waits until it has.
    ///
    /// - Returns: whether it has ended.
    func stop(signal: Int32, timeout: Duration) -> Bool {
        let descriptor = clinux_process_descriptor(id)
        guard descriptor >= 0 else { return !isRunning }
        defer { close(descriptor) }
        // The descriptor holds whoever has the id now; only then is the start time asked.
        guard isRunning else { return true }
        guard clinux_process_signal(descriptor, signal) == 0 else { return !isRunning }
        let deadline = ContinuousClock.now + timeout
        while true {
            let remaining = deadline - ContinuousClock.now
            guard remaining > .zero else { return false }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, remaining.pollMilliseconds) > 0 { return true }
        }
    }
}
