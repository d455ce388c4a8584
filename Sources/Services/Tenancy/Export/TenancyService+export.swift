// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// `GET /api/tenants/current/export`
extension TenancyService {
    /// Everything of the token's tenant as a tar archive, for an owner. It is made while it is sent: one that fails midway ends the
    /// connection, and lacks its manifest.
    func export(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let results = try await run(
            [Self.hasTenant, "select tenancy.current_member_role() = 'owner'", "select from tenancy.note_export()"],
            as: person, request)
        try requireTenant(results)
        guard results[1].onlyRow?[0].bool == true, let tenant = person.tenantID else {
            throw TenancyError(.forbidden, "Only an owner exports the tenant")
        }
        let export = TenantExport(
            of: tenant, by: .owner(settings: person.settings), database: database, timeout: configuration.exportTimeout,
            readObject: parts.readObject)
        var response = HTTPResponse(
            .ok, body: .stream(byteCount: nil) { writer in try await export.write { try await writer.write($0) } })
        response.headers.append("Content-Type", "application/x-tar")
        response.headers.append("Content-Disposition", "attachment; filename=\"tenant-\(tenant).tar\"")
        response.headers.append("Cache-Control", "private, no-store")
        return response
    }
}
