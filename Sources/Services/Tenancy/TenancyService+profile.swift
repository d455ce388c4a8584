// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension TenancyService {
    /// `{"profile": {...}}`: the person, and plan and use of the token's tenant; those are null while it is not open to them.
    func profile(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        return try answer(with: try await run([Self.readProfile], as: person, request)[0])
    }

    /// Changes what a person may say of themselves and answers as ``profile(_:)`` does.
    func changeProfile(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let change = try ProfileChange(try await RequestObject(of: request)).members
        let results = try await run(
            [
                Self.changeProfile(change),
                Self.readProfile,
            ], as: person, request)
        return try answer(with: results[1])
    }

    /// A token outlives its account: then there is no row.
    private func answer(with result: PostgresResult) throws -> HTTPResponse {
        guard result.rowCount == 1 else { throw TenancyError.unauthorized }
        return privateJSON(result.value(0, 0))
    }

    /// - Parameter change: of a ``ProfileChange``.
    static func changeProfile(_ change: JSONObject) -> PostgresQuery {
        """
        update tenancy.profiles as p
        set
            full_name = case when c.change ? 'full_name' then c.change ->> 'full_name' else p.full_name end,
            company_name =
                case when c.change ? 'company_name' then c.change ->> 'company_name' else p.company_name end,
            avatar_url = case when c.change ? 'avatar_url' then c.change ->> 'avatar_url' else p.avatar_url end,
            setup_completed = coalesce((c.change ->> 'setup_completed')::boolean, p.setup_completed)
        from (select \(JSON.object(change))::jsonb) as c (change)
        where p.user_id = (select auth.uid())
        """
    }

    private static var readProfile: PostgresQuery {
        """
        select json_build_object(
            'profile',
            json_build_object(
                'id', p.user_id,
                'user_id', p.user_id,
                'email', p.email,
                'full_name', p.full_name,
                'company_name', p.company_name,
                'avatar_url', p.avatar_url,
                'subscription_tier', t.plan,
                'api_usage_limit', l.monthly_cost_cents,
                'api_usage_current', (
                    select coalesce(sum(u.cost_cents), 0)
                    from tenancy.usage_counters as u
                    where u.tenant_id = t.id
                        and u.period = date_trunc('month', now() at time zone 'utc')::date
                ),
                'setup_completed', p.setup_completed,
                'tenant_id', t.id,
                'created_at', p.created_at,
                'updated_at', p.updated_at))
        from tenancy.profiles as p
        left join tenancy.tenants as t on t.id = (select tenancy.current_tenant())
        left join tenancy.plans as l on l.name = t.plan
        where p.user_id = (select auth.uid())
        """
    }
}
