// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// Delivers signals to one loop as calls. Made before any other thread starts, so that all inherit the blocked mask;
/// programs that are spawned must reset the mask themselves.
// Loop-confined.
package final class SignalSource: ReadinessHandler {
    private let descriptor: Int32
    private let deliver: (Int32) -> Void
    private var registration: Registration?

    /// Blocks `signals` for this thread and its later children and calls `deliver` on `loop` for each that arrives.
    package init(_ signals: [Int32], on loop: Loop, deliver: @escaping (Int32) -> Void) throws {
        descriptor = try SystemError.check(clinux_signal_descriptor(signals, signals.count), "signalfd")
        self.deliver = deliver
        registration = try loop.register(descriptor, .readable, self)
    }

    package func ready(_ readiness: Readiness) {
        while true {
            let signal = clinux_next_signal(descriptor)
            guard signal != 0 else { return }
            deliver(signal)
        }
    }

    /// Stops delivery; the signals stay blocked.
    package func close(on loop: Loop) {
        guard let registration else { return }
        loop.deregister(registration)
        self.registration = nil
        Glibc.close(descriptor)
    }
}
