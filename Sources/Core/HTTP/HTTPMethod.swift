// SPDX-License-Identifier: Apache-2.0

/// A request method (RFC 9110 section 9). Case-sensitive, as the specification has it.
package struct HTTPMethod: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    package static var get: HTTPMethod { HTTPMethod(rawValue: "GET") }
    package static var head: HTTPMethod { HTTPMethod(rawValue: "HEAD") }
    package static var post: HTTPMethod { HTTPMethod(rawValue: "POST") }
    package static var put: HTTPMethod { HTTPMethod(rawValue: "PUT") }
    package static var patch: HTTPMethod { HTTPMethod(rawValue: "PATCH") }
    package static var delete: HTTPMethod { HTTPMethod(rawValue: "DELETE") }
    package static var options: HTTPMethod { HTTPMethod(rawValue: "OPTIONS") }

    package var description: String { rawValue }
}
