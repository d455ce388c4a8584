// SPDX-License-Identifier: Apache-2.0

/// Exponential delays with jitter between attempts to connect.
struct Backoff {
    let minimum: Duration
    let maximum: Duration
    private(set) var failures = 0

    init(minimum: Duration, maximum: Duration) {
        self.minimum = minimum
        self.maximum = maximum
    }

    /// The delay after one more failure: between half and all of `minimum * 2^failures`, at most `maximum`.
    mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        // 2^20 times any useful minimum is beyond any useful maximum; the bound keeps the product from overflowing.
        let full = min(minimum * (1 << min(failures, 20)), maximum)
        failures += 1
        return full * Double.random(in: 0.5...1, using: &generator)
    }

    mutating func reset() { failures = 0 }
}
