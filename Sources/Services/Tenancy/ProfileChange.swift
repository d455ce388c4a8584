// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What a person wants changed in their profile: the members that are there, a null to clear a text.
struct ProfileChange: Sendable, Hashable {
    /// The columns a person may write and the most characters of each; the database checks the same.
    static let texts = ["full_name": 200, "company_name": 200, "avatar_url": 2048]
    static let flag = "setup_completed"

    /// The changes as one JSON object, which is what the query binds.
    let members: JSONObject

    /// - Throws: ``TenancyError`` with `invalidRequest`.
    init(_ body: RequestObject) throws(TenancyError) {
        guard !body.members.isEmpty else { throw .missingFields }
        for (name, value) in body.members {
            if let limit = Self.texts[name] {
                try Self.check(name, value, limit)
            } else if name == Self.flag {
                guard value.boolValue != nil else {
                    throw TenancyError(.invalidRequest, "\(name) must be true or false")
                }
            } else {
                throw TenancyError(
                    .invalidRequest, "Only full_name, company_name, avatar_url and setup_completed can be changed")
            }
        }
        members = body.members
    }

    private static func check(_ name: String, _ value: JSON, _ limit: Int) throws(TenancyError) {
        if value == .null { return }
        guard let text = value.stringValue else {
            throw TenancyError(.invalidRequest, "\(name) must be a text or null")
        }
        guard text.unicodeScalars.count <= limit else {
            throw TenancyError(.invalidRequest, "\(name) must have at most \(limit) characters")
        }
        guard !text.utf8.contains(0) else { throw TenancyError(.invalidRequest, "\(name) must not hold a NUL") }
    }
}
