// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
package import Postgres
package import Primitives

/// Seals who a request speaks for, so that the database can tell it from what a function has written into the request's settings.
///
/// HMAC (RFC 2104) with SHA-256 over user and tenant; the key is the server's and, behind a definer function, the database's.
package struct IdentitySeal: Sendable {
    private let key: [UInt8]
    private static let blockBytes = 64

    /// - Parameter key: at most 64 bytes.
    package init(key: [UInt8]) {
        precondition(key.count <= Self.blockBytes, "a longer key would have to be hashed first")
        self.key = key
    }

    /// 36 characters for the user, 36 for the tenant (zeros for none), 64 hexadecimal digits.
    package func identity(_ user: UUID, _ tenant: UUID?) -> String {
        let text = user.description + (tenant?.description ?? "00000000-0000-0000-0000-000000000000")
        return text + Hex.encode(HMAC.code(for: text.utf8, key: key))
    }

    /// Has the database know the key.
    ///
    /// - Parameter database: logs in as `atoll_tenancy`.
    package func keep(in database: Database) async throws {
        let padded = key + [UInt8](repeating: 0, count: Self.blockBytes - key.count)
        let (inner, outer) = (padded.map { $0 ^ 0x36 }, padded.map { $0 ^ 0x5C })
        try await database.query("select from tenancy.keep_identity_key(\(inner), \(outer))")
    }
}
