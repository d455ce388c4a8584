// SPDX-License-Identifier: Apache-2.0

/// Why a mail cannot be made. Fit for the log: tells no content but the offending name.
package enum MailError: Error, Sendable, Hashable, CustomStringConvertible {
    /// An address is none, or holds a character that would end its line.
    case invalidAddress
    /// A header's name or value holds a character that would end its line.
    case invalidHeader(name: String)
    /// A template cannot be read; line and what is wrong.
    case invalidTemplate(line: Int, reason: String)
    /// A template makes more text than a mail may have, or never ends.
    case templateTooLarge
    /// A queued mail cannot be read.
    case malformed

    package var description: String {
        switch self {
        case .invalidAddress: "the address is not valid"
        case .invalidHeader(let name): "the value of \(name) holds a control character"
        case .invalidTemplate(let line, let reason): "line \(line): \(reason)"
        case .templateTooLarge: "the template makes too much text"
        case .malformed: "the queued mail cannot be read"
        }
    }
}
