// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// Second factors of any user, for administrators: the way back in for somebody who lost one.
extension AuthService {
    /// `GET /admin/users/{id}/factors`.
    func listFactors(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try await administrator(request)
        let id = try userID(in: request)
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout, queries: [AuthUser.selection(id: id)])
        guard let row = try await database.run(unit).first?.onlyRow, let user = AuthUser(row: row) else {
            throw Self.userNotFound
        }
        return .json(.array(user.factors))
    }

    /// `PUT /admin/users/{id}/factors/{factor}`: its name or number.
    func updateFactor(_ request: HTTPRequest) async throws -> HTTPResponse {
        let administrator = try await administrator(request)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let name = try fields.text("friendly_name")
        let form = try AdminUserForm(RequestFields(["phone": .string(try fields.text("phone"))]))
        do {
            return try await changeFactor(request, administrator, .factorUpdated) { factor in
                guard form.phone == nil || factor.kind == .phone else {
                    throw AuthError(.validationFailed, "Only a phone factor has a phone number")
                }
                return [
                    """
                    update auth.mfa_factors
                    set friendly_name = coalesce(\(name.isEmpty ? nil : name), friendly_name),
                        phone = coalesce(\(form.phone), phone), updated_at = now()
                    where id = \(factor.id)
                    """
                ]
            }
        } catch let error as PostgresError where error.constraint == "mfa_factors_user_friendly_name_unique" {
            throw AuthError(
                .mfaFactorNameConflict, "A factor with the friendly name \"\(name)\" for this user already exists")
        } catch let error as PostgresError where error.constraint == "unique_phone_factor_per_user" {
            throw AuthError(.mfaVerifiedFactorExists, "A factor with this phone number already exists")
        }
    }

    /// `DELETE /admin/users/{id}/factors/{factor}`.
    func deleteFactor(_ request: HTTPRequest) async throws -> HTTPResponse {
        let administrator = try await administrator(request)
        return try await changeFactor(request, administrator, .factorDeleted) { Self.removal(of: $0) }
    }

    /// Runs the statements of a change and answers with the factor: as it is afterwards, or was, when it is gone.
    private func changeFactor(
        _ request: HTTPRequest, _ administrator: Administrator, _ action: AuditAction,
        _ change: (MFAFactor) throws -> [PostgresQuery]
    ) async throws -> HTTPResponse {
        let user = try userID(in: request)
        let id = try factorID(request)
        let json = try await database.withTransaction(statementTimeout: configuration.statementTimeout) {
            transaction -> JSON in
            let wireForm: PostgresQuery =
                "select \(MFAFactor.json) as factor from auth.mfa_factors as f where f.id = \(id)"
            let found = try await transaction.run([
                "select from auth.users where id = \(user)",
                MFAFactor.selection + "where f.id = \(id) and f.user_id = \(user) for update", wireForm,
            ])
            guard found[0].rowCount == 1 else { throw Self.userNotFound }
            guard let row = found[1].onlyRow, let factor = MFAFactor(row: row) else { throw Self.factorNotFound }
            let traits: JSONObject = ["user_id": .string(user.description), "factor_id": .string(id.description)]
            let audit = AuditEvent(action, by: administrator.actor, traits: traits).insertion(for: request)
            let changed = try await transaction.run(try change(factor) + [audit, wireForm])
            let result = changed.last?.onlyRow ?? found[2].onlyRow
            return AuthUser.wireForm(result?["factor"].json ?? .null)
        }
        return .json(json)
    }
}
