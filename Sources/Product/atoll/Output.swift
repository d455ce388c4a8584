// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Writing to the user: results on standard output, everything else on standard error.
enum Output {
    enum Style: String {
        case red = "31"
        case green = "32"
        case bold = "1"
        case dim = "2"
    }

    static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
    static func printError(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// The text with a terminal's colours, when the descriptor is one and NO_COLOR is not set.
    static func style(_ text: String, _ style: Style, on descriptor: Int32 = STDOUT_FILENO) -> String {
        isTerminal(descriptor) && getenv("NO_COLOR") == nil ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    static func isTerminal(_ descriptor: Int32) -> Bool {
        isatty(descriptor) == 1 && getenv("TERM").map { String(cString: $0) } != "dumb"
    }

    /// A reader that is gone ends it: there is nobody left to tell.
    static func write(_ text: String, to descriptor: Int32) {
        var bytes = ArraySlice(text.utf8)
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

/// The steps of something that takes a while: one line that changes on a terminal, a line each elsewhere.
final class ProgressLine {
    private let descriptor: Int32
    private let isLive: Bool
    private var current: (text: String, since: ContinuousClock.Instant)?

    init(descriptor: Int32 = STDERR_FILENO) {
        self.descriptor = descriptor
        isLive = Output.isTerminal(descriptor)
    }

    /// Ends the step before and begins another.
    func begin(_ text: String) {
        finish()
        current = (text, .now)
        Output.write(isLive ? "\u{1B}[2K  … \(text)\r" : "\(text)\n", to: descriptor)
    }

    /// Ends the current step well.
    func finish() { settle(mark: Output.style("✓", .green, on: descriptor)) }

    /// Ends the current step badly.
    func fail() { settle(mark: Output.style("✗", .red, on: descriptor)) }

    private func settle(mark: String) {
        guard let step = current else { return }
        current = nil
        guard isLive else { return }
        let elapsed = step.since.duration(to: .now).components
        let tenths = elapsed.seconds * 10 + elapsed.attoseconds / 100_000_000_000_000_000
        let time = Output.style("\(tenths / 10).\(tenths % 10) s", .dim, on: descriptor)
        Output.write("\u{1B}[2K  \(mark) \(step.text) \(time)\n", to: descriptor)
    }
}
