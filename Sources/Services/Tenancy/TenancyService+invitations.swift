// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Mail
internal import Platform
internal import Postgres
internal import Primitives

/// `/api/invitations`: by mail into the token's tenant. The answers say nothing of whether an address has an account.
extension TenancyService {
    func registerInvitations(on router: inout Router) {
        let maxBytes = configuration.maxBodyBytes
        group("/api/invitations", on: &router) { router in
            router.on(.get, "/api/invitations", listInvitations)
            router.on(.post, "/api/invitations", maxBodyBytes: maxBytes, invite)
            router.on(.post, "/api/invitations/accept", maxBodyBytes: maxBytes, acceptInvitation)
            router.on(.post, "/api/invitations/:invitation/resend", resendInvitation)
            router.on(.delete, "/api/invitations/:invitation", revokeInvitation)
        }
    }

    private static let invitationJSON: PostgresQuery = """
        json_build_object(
            'id', i.id, 'email', i.email, 'role', i.role,
            'status', case when i.status = 'pending' and i.expires_at <= now() then 'expired' else i.status end,
            'invited_by', i.invited_by, 'sent_at', i.sent_at, 'sent_count', i.sent_count, 'expires_at', i.expires_at,
            'accepted_by', i.accepted_by, 'accepted_at', i.accepted_at, 'created_at', i.created_at)
        """

    private func listInvitations(_ request: HTTPRequest) async throws -> HTTPResponse {
        let results = try await run(
            [
                Self.hasTenant,
                """
                select json_build_object('invitations', coalesce(json_agg(n.invitation order by n.created_at desc), '[]'))
                from (
                    select i.created_at, \(Self.invitationJSON) as invitation
                    from tenancy.invitations as i
                    order by i.created_at desc
                    limit \(configuration.maxPageSize)
                ) as n
                where (select tenancy.is_current_admin())
                """,
                "select tenancy.is_current_admin()",
            ], as: try person(request), request)
        try requireTenant(results)
        guard results[2].onlyRow?[0].bool == true else {
            throw TenancyError(.forbidden, "Only owners and admins see invitations")
        }
        return try answer(results[1])
    }

    // MARK: Sending

    /// What the mail says of the tenant and of who invites.
    private struct Occasion: Sendable {
        var tenant: String
        var inviterName: String
        var inviterEmail: String
        var expiresAt: Timestamp
    }

    private func occasion(_ person: Principal, _ request: HTTPRequest) async throws -> Occasion {
        let results = try await run(
            [
                """
                select t.name, p.full_name, p.email
                from tenancy.tenants as t
                left join tenancy.profiles as p on p.user_id = (select auth.uid())
                where t.id = (select tenancy.current_tenant())
                """
            ], as: person, request)
        guard let row = results[0].onlyRow else { throw TenancyError.noTenant }
        let email = row["email"].string ?? ""
        return Occasion(
            tenant: row["name"].string ?? "", inviterName: row["full_name"].string ?? email, inviterEmail: email,
            expiresAt: .now() + configuration.invitationLifetime)
    }

    /// A token and the mail that carries it.
    private func letter(
        to address: String, role: String, _ occasion: Occasion, _ mailer: InvitationMailer
    ) throws -> (hash: String, mail: MailOutbox.Sealed) {
        let token = Base64URL.encode(randomBytes(32))
        let mail = try mailer.mail(
            to: address,
            [
                "Email": .string(address), "TenantName": .string(occasion.tenant), "Role": .string(role),
                "InviterName": .string(occasion.inviterName), "InviterEmail": .string(occasion.inviterEmail),
                "Token": .string(token), "ConfirmationURL": .string("\(configuration.invitationURL)?token=\(token)"),
                "ExpiresAt": .string(occasion.expiresAt.mailDate), "SiteURL": .string(configuration.siteURL),
            ])
        return (Self.digest(of: token), mail)
    }

    private static func digest(of token: String) -> String { Hex.encode(Cryptography.digest(token.utf8)) }

    private func mailer() throws(TenancyError) -> InvitationMailer {
        guard let mailer = parts.invitations else { throw TenancyError(.notFound, "No mail is sent here") }
        return mailer
    }

    private func invite(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let body = try await RequestObject(of: request)
        let given = try body.required("email").lowercased()
        guard let address = try? Mailbox(given).address else {
            throw TenancyError(.invalidRequest, "email must be an address")
        }
        let role = try body.optional("role") ?? "member"
        guard ["owner", "admin", "member"].contains(role) else {
            throw TenancyError(.invalidRequest, "role must be owner, admin or member")
        }
        let letter = try letter(to: address, role: role, try await occasion(person, request), try mailer())
        let made = try await run(
            [
                """
                select tenancy.invite(
                    \(address), \(role), \(letter.hash), \(letter.mail.id), \(letter.mail.payload),
                    \(letter.mail.summary)::jsonb) as id
                """
            ], as: person, request)
        guard let id = made[0].onlyRow?["id"].uuid else { throw TenancyError(.internalError, "Internal error") }
        return try await invitation(id, person, request, status: .created)
    }

    private func invitation(
        _ id: UUID, _ person: Principal, _ request: HTTPRequest, status: HTTPStatus = .ok
    ) async throws -> HTTPResponse {
        let results = try await run(
            [
                """
                select json_build_object('invitation', \(Self.invitationJSON))
                from tenancy.invitations as i
                where i.id = \(id)
                """
            ], as: person, request)
        var response = try answer(results[0])
        response.status = status
        return response
    }

    private static func named(_ request: HTTPRequest) throws(TenancyError) -> UUID {
        guard let id = request.parameters["invitation"].flatMap({ UUID($0) }) else {
            throw TenancyError(.notFound, "No such invitation")
        }
        return id
    }

    private func resendInvitation(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let id = try Self.named(request)
        let known = try await run(
            ["select i.email, i.role from tenancy.invitations as i where i.id = \(id) and i.status = 'pending'"],
            as: person, request)
        guard let row = known[0].onlyRow, let address = row["email"].string, let role = row["role"].string else {
            throw TenancyError(.notFound, "No such invitation")
        }
        let letter = try letter(to: address, role: role, try await occasion(person, request), try mailer())
        _ = try await run(
            [
                """
                select from tenancy.resend_invitation(
                    \(id), \(letter.hash), \(letter.mail.id), \(letter.mail.payload), \(letter.mail.summary)::jsonb)
                """
            ], as: person, request)
        return try await invitation(id, person, request)
    }

    private func revokeInvitation(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let id = try Self.named(request)
        _ = try await run(["select from tenancy.revoke_invitation(\(id))"], as: person, request)
        return .json(["success": true])
    }

    /// `{"tenant_id", "name", "role"}` of the tenant that the person belongs to now; they work in it once they switch to it.
    private func acceptInvitation(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let token = try await RequestObject(of: request).required("token")
        let accepted = try await run(
            ["select tenancy.accept_invitation(\(Self.digest(of: token))) as id"], as: person, request)
        guard let id = accepted[0].onlyRow?["id"].uuid else { throw TenancyError(.internalError, "Internal error") }
        let results = try await run(
            [
                """
                select json_build_object('tenant_id', t.id, 'name', t.name, 'role', m.role)
                from tenancy.tenants as t
                inner join tenancy.members as m on m.tenant_id = t.id and m.user_id = (select auth.uid())
                where t.id = \(id)
                """
            ], as: person, request)
        return try answer(results[0])
    }
}
