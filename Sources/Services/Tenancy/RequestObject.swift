// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// A request's body as a JSON object.
struct RequestObject: Sendable {
    let members: JSONObject

    init(members: JSONObject) { self.members = members }

    /// - Throws: ``TenancyError`` with `invalidRequest`; `HTTPError` when the body cannot be read.
    init(of request: HTTPRequest) async throws {
        try self.init(bytes: try await request.body.collect())
    }

    init(bytes: [UInt8]) throws(TenancyError) {
        guard let members = (try? JSON(parsing: bytes))?.objectValue else {
            throw TenancyError(.invalidRequest, "The body is not a JSON object")
        }
        self.members = members
    }

    /// A text that must be there and not empty.
    func required(_ name: String) throws(TenancyError) -> String {
        guard let text = members[name]?.stringValue, !text.isEmpty else { throw .missingFields }
        return text
    }

    /// A text that may be missing or null.
    func optional(_ name: String) throws(TenancyError) -> String? {
        guard let value = members[name], value != .null else { return nil }
        guard let text = value.stringValue else { throw TenancyError(.invalidRequest, "\(name) must be a text") }
        return text
    }

    /// A UUID that must be there.
    func requiredID(_ name: String) throws(TenancyError) -> UUID {
        guard let id = UUID(try required(name)) else { throw TenancyError(.invalidRequest, "\(name) must be a UUID") }
        return id
    }
}
