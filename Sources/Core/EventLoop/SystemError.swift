// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// A system call that failed: which, and with what `errno`.
package struct SystemError: Error, Sendable, CustomStringConvertible {
    /// The call's name as in its manual page.
    package var call: String
    /// The value of `errno`.
    package var code: Int32

    package init(_ call: String, code: Int32 = clinux_errno()) {
        self.call = call
        self.code = code
    }

    package var description: String { "\(call): \(String(cString: strerror(code)))" }

    /// The result of a call that answers -1 on failure.
    @discardableResult
    package static func check(_ result: Int32, _ call: String) throws -> Int32 {
        if result < 0 { throw SystemError(call) }
        return result
    }
}
