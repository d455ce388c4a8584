// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// `/api/usage` and `/api/audit`: what a tenant has used, and who changed what in it.
extension TenancyService {
    func registerReports(on router: inout Router) {
        group("/api/usage", on: &router) { router in router.on(.get, "/api/usage", usage) }
        group("/api/audit", on: &router) { router in router.on(.get, "/api/audit", auditLog) }
    }

    // MARK: Use

    /// Plan, limits and sums of the month, and the use by service and day from `from` to `to` (both included; UTC).
    private func usage(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let fields = FormFields(query: request.query ?? "")
        let to = try Self.day(fields, "to")
        let from = try Self.day(fields, "from")
        // As texts, days of this form are in the order of time.
        if let from, let to, from > to { throw TenancyError(.invalidRequest, "from must not be after to") }
        let results = try await run(
            [
                Self.hasTenant, Self.usageSelection(from: from, to: to, maxDays: configuration.maxUsageDays),
                """
                select string_agg(
                    a.metric || '=' || a.used || '/' || a.allowed, ', ' order by a.metric
                ) filter (where a.level = 'soft')
                from tenancy.usage_alerts as a
                where a.period = tenancy.current_period()
                """,
            ], as: person, request)
        try requireTenant(results)
        var response = try answer(results[1])
        if let warning = results[2].onlyRow?[0].string { response.headers.append("X-Usage-Warning", warning) }
        return response
    }

    /// Without `to` today, without `from` the first of that month; no more days than are allowed.
    private static func usageSelection(from: String?, to: String?, maxDays: Int) -> PostgresQuery {
        """
        with wanted as (
            select greatest(coalesce(\(from)::date, date_trunc('month', d.last)::date), d.last - \(maxDays - 1)::integer)
                as first, d.last
            from (select coalesce(\(to)::date, (now() at time zone 'utc')::date)) as d (last)
        ), used as (
            select coalesce(sum(u.cost_cents), 0) as cost_cents, coalesce(sum(u.tokens), 0) as tokens,
                coalesce(sum(u.requests), 0) as requests
            from tenancy.usage_totals as u
            where u.period = tenancy.current_period()
        ), stored as (
            select coalesce(sum(s.bytes), 0) as bytes, coalesce(sum(s.objects), 0) as objects from storage.usage as s
        )
        select json_build_object(
            'tenant_id', t.id,
            'plan', json_build_object('name', p.name, 'title', p.title),
            'period', json_build_object(
                'start', tenancy.current_period(),
                'reset_at', (tenancy.current_period() + interval '1 month') at time zone 'utc'),
            'limits', json_build_object(
                'cost_cents', p.monthly_cost_cents, 'tokens', p.monthly_tokens, 'requests', p.monthly_requests,
                'storage_bytes', p.storage_bytes, 'storage_objects', p.storage_objects),
            'used', json_build_object(
                'cost_cents', used.cost_cents, 'tokens', used.tokens, 'requests', used.requests,
                'storage_bytes', stored.bytes, 'storage_objects', stored.objects),
            'alerts', (
                select coalesce(
                    json_agg(
                        json_build_object(
                            'metric', a.metric, 'level', a.level, 'used', a.used, 'limit', a.allowed, 'at', a.at)
                        order by a.at, a.metric, a.level desc),
                    '[]')
                from tenancy.usage_alerts as a
                where a.period = tenancy.current_period()
            ),
            'from', wanted.first,
            'to', wanted.last,
            'services', (
                select coalesce(
                    json_agg(
                        json_build_object(
                            'service_name', s.service_name, 'cost_cents', s.cost_cents, 'tokens', s.tokens,
                            'requests', s.requests)
                        order by s.service_name),
                    '[]')
                from (
                    select d.service_name, sum(d.cost_cents) as cost_cents, sum(d.tokens) as tokens,
                        sum(d.requests) as requests
                    from tenancy.usage_days as d
                    where d.day between wanted.first and wanted.last
                    group by d.service_name
                ) as s
            ),
            'days', (
                select coalesce(
                    json_agg(
                        json_build_object(
                            'day', d.day, 'service_name', d.service_name, 'cost_cents', d.cost_cents,
                            'tokens', d.tokens, 'requests', d.requests)
                        order by d.day, d.service_name),
                    '[]')
                from tenancy.usage_days as d
                where d.day between wanted.first and wanted.last
            ))
        from tenancy.tenants as t
        inner join tenancy.plans as p on p.name = t.plan
        cross join wanted
        cross join used
        cross join stored
        where t.id = (select tenancy.current_tenant())
        """
    }

    /// A day as `2026-11-21`.
    private static func day(_ fields: FormFields, _ name: String) throws(TenancyError) -> String? {
        guard let text = fields.first(name) else { return nil }
        guard text.utf8.count == 10, Timestamp("\(text)T00:00:00Z") != nil else {
            throw TenancyError(.invalidRequest, "\(name) must be a day such as 2026-01-31")
        }
        return text
    }

    // MARK: Audit log

    /// The entries of the tenant, the newest first. Parameters: `limit`, `before` (what `next` of an earlier answer said), `action` (whole,
    /// or the part before the dot), `actor`, `target`, `from` and `to` (moments).
    private func auditLog(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let fields = FormFields(query: request.query ?? "")
        let limit =
            try Self.number(fields, "limit", 1...configuration.maxPageSize) ?? min(50, configuration.maxPageSize)
        let cursor = try fields.first("before").map { text throws(TenancyError) in try AuditCursor(text) }
        let actor = try fields.first("actor").map { text throws(TenancyError) in
            guard let id = UUID(text) else { throw TenancyError(.invalidRequest, "actor must be a UUID") }
            return id
        }
        let from = try Self.moment(fields, "from")
        let to = try Self.moment(fields, "to")
        let action = fields.first("action")
        let results = try await run(
            [
                Self.hasTenant, "select tenancy.is_current_admin()",
                """
                with found as (
                    select a.*
                    from tenancy.audit_log as a
                    where (\(action)::text is null or a.action = \(action) or split_part(a.action, '.', 1) = \(action))
                        and (\(actor)::uuid is null or a.actor = \(actor))
                        and (\(fields.first("target"))::text is null or a.target = \(fields.first("target")))
                        and (\(from)::timestamptz is null or a.at >= \(from))
                        and (\(to)::timestamptz is null or a.at < \(to))
                        and (
                            \(cursor?.at)::timestamptz is null
                            or (a.at, a.id) < (\(cursor?.at)::timestamptz, \(cursor?.id)::uuid)
                        )
                    order by a.at desc, a.id desc
                    limit \(limit)
                )
                select json_build_object(
                    'entries',
                    coalesce(
                        json_agg(
                            json_build_object(
                                'id', f.id, 'at', f.at, 'actor', f.actor, 'action', f.action, 'target', f.target,
                                'detail', f.detail, 'request_id', f.request_id)
                            order by f.at desc, f.id desc),
                        '[]'),
                    'next',
                    case when count(*) = \(limit) then (
                        select to_char(l.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '_' || l.id
                        from found as l
                        order by l.at, l.id
                        limit 1
                    ) end)
                from found as f
                """,
            ], as: person, request)
        try requireTenant(results)
        guard results[1].onlyRow?[0].bool == true else {
            throw TenancyError(.forbidden, "Only owners and admins read the audit log")
        }
        return try answer(results[2])
    }

    private static func moment(_ fields: FormFields, _ name: String) throws(TenancyError) -> Timestamp? {
        guard let text = fields.first(name) else { return nil }
        guard let moment = Timestamp(text) else {
            throw TenancyError(.invalidRequest, "\(name) must be a moment such as 2026-01-31T12:00:00Z")
        }
        return moment
    }
}

/// Where a page of the audit log ended: `2026-01-31T12:00:00.123456Z_<id>`, or a moment alone.
private struct AuditCursor: Sendable {
    /// As PostgreSQL reads it: to the microsecond, which a page must not lose.
    let at: String
    let id: UUID

    init(_ text: String) throws(TenancyError) {
        let parts = text.split(separator: "_", maxSplits: 1).map(String.init)
        guard let at = parts.first, Timestamp(at) != nil, at.utf8.count <= 40 else {
            throw TenancyError(.invalidRequest, "before must be what `next` said, or a moment")
        }
        self.at = at
        guard parts.count == 2 else {
            id = .zero
            return
        }
        guard let id = UUID(parts[1]) else {
            throw TenancyError(.invalidRequest, "before must be what `next` said, or a moment")
        }
        self.id = id
    }
}
