// SPDX-License-Identifier: Apache-2.0

/// What a request turns out to be while it is answered, for whoever logs it.
package enum RESTObservation: Sendable {
    /// It runs as this role.
    case identified(RESTIdentity)
    /// It runs this statement; values are binds and not in it.
    case planned(sql: String)
}
