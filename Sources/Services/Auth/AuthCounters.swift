// SPDX-License-Identifier: Apache-2.0
import Primitives

/// What the Auth service counts.
struct AuthCounters: Sendable {
    private let metrics: Metrics
    let signUps: Counter
    let signIns: Counter
    let refreshes: Counter
    let passwordHashes: Counter

    init(_ metrics: Metrics) {
        self.metrics = metrics
        signUps = metrics.counter("atoll_auth_sign_ups_total", "Accounts made.")
        signIns = metrics.counter("atoll_auth_sign_ins_total", "Sessions made for existing accounts.")
        refreshes = metrics.counter("atoll_auth_refreshes_total", "Sessions refreshed.")
        passwordHashes = metrics.counter("atoll_auth_password_hashes_total", "Passwords hashed or verified.")
    }

    func refused(_ code: AuthError.Code) {
        metrics.counter("atoll_auth_refusals_total", "Requests refused, by error code.", ["code": code.rawValue])
            .increment()
    }
}
