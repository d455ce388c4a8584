// SPDX-License-Identifier: Apache-2.0

/// When a server that crashed is started again: soon, later each time it crashes young, and not any more when it never gets
/// anywhere.
struct RestartPolicy: Sendable {
    /// A run at least this long counts as one that got somewhere.
    var healthyRun: Duration = .seconds(10)
    var firstDelay: Duration = .milliseconds(100)
    var maxDelay: Duration = .seconds(10)
    /// Young crashes in a row after which it is given up.
    var maxYoungCrashes = 8

    private var youngCrashes = 0

    init() {}

    /// - Parameter uptime: how long the run lasted that has just crashed.
    /// - Returns: how long to wait before the next run; nil to give up.
    mutating func delay(afterCrashOfRunLasting uptime: Duration) -> Duration? {
        if uptime >= healthyRun { youngCrashes = 0 }
        youngCrashes += 1
        guard youngCrashes <= maxYoungCrashes else { return nil }
        return min(maxDelay, firstDelay * (1 << (youngCrashes - 1)))
    }
}
