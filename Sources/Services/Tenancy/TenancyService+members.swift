// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// `/api/members`: who belongs to the token's tenant. Who may do what is decided in the database.
extension TenancyService {
    func registerMembers(on router: inout Router) {
        group("/api/members", on: &router) { router in
            router.on(.get, "/api/members", listMembers)
            router.on(.patch, "/api/members/:user", maxBodyBytes: configuration.maxBodyBytes, changeMember)
            router.on(.delete, "/api/members/:user", removeMember)
        }
    }

    private static let memberList: PostgresQuery = """
        select json_build_object(
            'members',
            coalesce(
                json_agg(
                    json_build_object(
                        'user_id', m.user_id, 'role', m.role, 'email', m.email, 'full_name', m.full_name,
                        'avatar_url', m.avatar_url, 'is_me', m.user_id = (select auth.uid()),
                        'created_at', m.created_at)),
                '[]'))
        from tenancy.list_members() as m
        """

    private func listMembers(_ request: HTTPRequest) async throws -> HTTPResponse {
        let results = try await run([Self.hasTenant, Self.memberList], as: try person(request), request)
        try requireTenant(results)
        return try answer(results[1])
    }

    private static func member(_ request: HTTPRequest) throws(TenancyError) -> UUID {
        guard let id = request.parameters["user"].flatMap({ UUID($0) }) else {
            throw TenancyError(.notFound, "No such member")
        }
        return id
    }

    private func changeMember(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let member = try Self.member(request)
        let role = try await RequestObject(of: request).required("role")
        let results = try await run(
            ["select from tenancy.change_member_role(\(member), \(role))", Self.memberList], as: person, request)
        return try answer(results[1])
    }

    private func removeMember(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let member = try Self.member(request)
        _ = try await run(["select from tenancy.remove_member(\(member))"], as: person, request)
        return .json(["success": true])
    }

    func leave(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try await run(
            ["select from tenancy.remove_member((select auth.uid()))"], as: try person(request), request)
        return .json(["success": true])
    }

    func transfer(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let owner = try await RequestObject(of: request).requiredID("user_id")
        let results = try await run(
            ["select from tenancy.transfer_ownership(\(owner))", Self.memberList], as: person, request)
        return try answer(results[1])
    }
}
