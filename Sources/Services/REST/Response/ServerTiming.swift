// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// How long each step of an answer took, for `Server-Timing`. Does nothing, not even look at the clock, unless it is on.
struct ServerTiming {
    private var steps: [(name: String, duration: Duration)] = []
    private var last: ContinuousClock.Instant?

    init(isOn: Bool) {
        last = isOn ? .now : nil
    }

    /// Ends the step that began at the mark before.
    mutating func mark(_ name: String) {
        guard let start = last else { return }
        let now = ContinuousClock.now
        steps.append((name, now - start))
        last = now
    }

    /// Ends the last step and adds the field, in milliseconds.
    mutating func add(to response: inout HTTPResponse) {
        guard last != nil else { return }
        mark("response")
        let entries = steps.map { step in
            let microseconds =
                step.duration.components.attoseconds / 1_000_000_000_000 + step.duration.components.seconds * 1_000_000
            let fraction = String(microseconds % 1000)
            return
                "\(step.name);dur=\(microseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
        }
        response.headers.append("Server-Timing", entries.joined(separator: ", "))
    }
}
