// SPDX-License-Identifier: Apache-2.0
import HTTP
import Primitives

/// The members of a request's JSON body, read with the types an endpoint expects.
struct RequestFields: Sendable {
    private let members: JSONObject

    init(_ members: JSONObject) {
        self.members = members
    }

    /// Reads and parses the body.
    ///
    /// - Throws: `badJSON` unless it is one JSON object; `HTTPError` when it cannot be read or is too large.
    init(bodyOf request: HTTPRequest, maxBytes: Int) async throws {
        try self.init(parsing: try await request.body.collect(upTo: maxBytes))
    }

    init(parsing body: [UInt8]) throws(AuthError) {
        let value: JSON
        do { value = try JSON(parsing: body) } catch {
            throw AuthError(.badJSON, "Could not parse request body as JSON: \(error)")
        }
        guard let members = value.objectValue else {
            throw AuthError(.badJSON, "Could not parse request body as JSON: the body must be an object")
        }
        self.members = members
    }

    /// A text; empty when it is absent or null.
    func text(_ name: String) throws(AuthError) -> String {
        switch members[name] {
        case nil, .null: return ""
        case .string(let text): return text
        default: throw Self.wrongType(name, "a string")
        }
    }

    /// An object; empty when it is absent or null.
    func object(_ name: String) throws(AuthError) -> JSONObject {
        switch members[name] {
        case nil, .null: return [:]
        case .object(let object): return object
        default: throw Self.wrongType(name, "an object")
        }
    }

    /// A truth value; false, or what is given, when it is absent or null.
    func flag(_ name: String, default fallback: Bool = false) throws(AuthError) -> Bool {
        switch members[name] {
        case nil, .null: return fallback
        case .bool(let value): return value
        default: throw Self.wrongType(name, "a boolean")
        }
    }

    /// Whether the member is there and not null.
    func has(_ name: String) -> Bool { members[name].map { !$0.isNull } ?? false }

    private static func wrongType(_ name: String, _ expected: String) -> AuthError {
        AuthError(.badJSON, "Could not parse request body as JSON: \(name) must be \(expected)")
    }
}
