// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Platform
package import Primitives

/// What Tenancy needs of other services, from the composition root; what is nil is answered as not available.
package struct TenancyParts: Sendable {
    /// Auth's ``TenantSwitch``.
    package typealias SwitchTenant =
        @Sendable (_ user: UUID, _ session: UUID, _ tenant: UUID, HTTPRequest) async throws
        -> TenantSwitch
    /// Hands out the content of a stored version of an object, piece by piece at the taker's pace.
    package typealias ReadObject =
        @Sendable (
            _ version: String, _ range: Range<Int>, _ take: ([UInt8]) async throws -> Void
        ) async throws -> Void

    package var switchTenant: SwitchTenant?
    package var invitations: InvitationMailer?
    package var readObject: ReadObject?
    /// Told of a tenant that was closed or opened, before the answer is given.
    package var statusChanged: (@Sendable (_ tenant: UUID) async throws -> Void)?

    package init() {}
}
