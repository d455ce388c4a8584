// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// Lists of the administration: users, the audit log.
extension AuthService {
    // MARK: Users

    /// `GET /admin/users`: by page, or by cursor when `limit` or `cursor` is given.
    func listUsers(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try await administrator(request)
        let query = FormFields(query: request.query ?? "")
        let condition = Self.condition(filter: query.first("filter") ?? "", audience: configuration.audience)
        let order = try SortOrder(query.first("sort"))
        if query.first("limit") != nil || query.first("cursor") != nil {
            return try await listUsers(after: query, condition, order)
        }
        let page = try Page(query)
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout,
            queries: [
                "select count(*) as total from auth.users as u where \(condition)",
                AuthUser.selection + "where \(condition) order by \(order.sql)"
                    + " limit \(String(page.size))::bigint offset \(String(page.offset))::bigint",
            ])
        let results = try await database.run(unit)
        var response = HTTPResponse.json([
            "users": .array(Self.users(results.last)), "aud": .string(configuration.audience),
        ])
        page.annotate(&response, of: request, total: results.first?.onlyRow?["total"].int ?? 0)
        return response
    }

    private static func users(_ result: PostgresResult?) -> [JSON] {
        result?.rows.compactMap { AuthUser(row: $0)?.json } ?? []
    }

    /// The audience's users, of whom a filter is a part of the address, the number or the full name.
    private static func condition(filter: String, audience: String) -> PostgresQuery {
        guard !filter.isEmpty else { return "u.aud = \(audience)" }
        return """
            u.aud = \(audience) and (
                strpos(lower(u.email), lower(\(filter))) > 0 or strpos(u.phone, \(filter)) > 0
                or strpos(lower(u.raw_user_meta_data ->> 'full_name'), lower(\(filter))) > 0
            )
            """
    }

    private struct SortOrder {
        let isAscending: Bool

        init(_ text: String?) throws(AuthError) {
            switch text?.lowercased() ?? "" {
            case "", "created_at desc", "created_at": isAscending = false
            case "created_at asc": isAscending = true
            default:
                throw AuthError(
                    .validationFailed, "Bad Sort Parameters: sort must be created_at asc or created_at desc")
            }
        }

        var sql: PostgresQuery { isAscending ? "u.created_at asc, u.id asc" : "u.created_at desc, u.id desc" }

        func after(_ cursor: Cursor) -> PostgresQuery {
            isAscending
                ? "(u.created_at, u.id) > (\(cursor.createdAt)::timestamptz, \(cursor.id)::uuid)"
                : "(u.created_at, u.id) < (\(cursor.createdAt)::timestamptz, \(cursor.id)::uuid)"
        }
    }

    /// The last user of a page, as an opaque text.
    private struct Cursor {
        let createdAt: Timestamp
        let id: UUID

        init(_ user: AuthUser) {
            createdAt = user.createdAt
            id = user.id
        }

        init?(_ text: String) {
            guard let bytes = Base64URL.decode(text) else { return nil }
            let parts = String(decoding: bytes, as: UTF8.self).split(separator: " ")
            guard parts.count == 2, let createdAt = Timestamp(parts[0]), let id = UUID(String(parts[1])) else {
                return nil
            }
            self.createdAt = createdAt
            self.id = id
        }

        var text: String { Base64URL.encode("\(createdAt) \(id)".utf8) }
    }

    private func listUsers(
        after query: FormFields, _ condition: PostgresQuery, _ order: SortOrder
    ) async throws -> HTTPResponse {
        let limit = query.first("limit").map { Int($0) ?? 0 } ?? 50
        guard (1...Page.maxSize).contains(limit) else {
            throw AuthError(.validationFailed, "limit must be an integer from 1 to \(Page.maxSize)")
        }
        var condition = condition
        if let text = query.first("cursor"), !text.isEmpty {
            guard let cursor = Cursor(text) else { throw AuthError(.validationFailed, "cursor is not valid") }
            condition = "\(condition) and \(order.after(cursor))"
        }
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout,
            queries: [
                AuthUser.selection + "where \(condition) order by \(order.sql) limit \(String(limit + 1))::bigint"
            ])
        let found = try await database.run(unit).first?.rows.compactMap { AuthUser(row: $0) } ?? []
        let users = Array(found.prefix(limit))
        var pagination: JSONObject = ["has_more": .bool(found.count > limit)]
        if found.count > limit, let last = users.last { pagination["next_cursor"] = .string(Cursor(last).text) }
        return .json([
            "users": .array(users.map(\.json)), "aud": .string(configuration.audience),
            "pagination": .object(pagination),
        ])
    }

    // MARK: Audit log

    /// `GET /admin/audit`.
    func listAuditEntries(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try await administrator(request)
        let query = FormFields(query: request.query ?? "")
        let page = try Page(query)
        let condition = try Self.auditCondition(query.first("query") ?? "")
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout,
            queries: [
                "select count(*) as total from auth.audit_log_entries as a where \(condition)",
                """
                select a.id, a.payload, a.created_at, a.ip_address
                from auth.audit_log_entries as a
                where \(condition)
                order by a.created_at desc, a.id
                limit \(String(page.size))::bigint offset \(String(page.offset))::bigint
                """,
            ])
        let results = try await database.run(unit)
        let entries: [JSON] =
            results.last?.rows.map { row in
                [
                    "id": JSON(row["id"].string), "payload": row["payload"].json ?? .null,
                    "created_at": JSON(row["created_at"].timestamp?.description),
                    "ip_address": .string(row["ip_address"].string ?? ""),
                ]
            } ?? []
        var response = HTTPResponse.json(.array(entries))
        page.annotate(&response, of: request, total: results.first?.onlyRow?["total"].int ?? 0)
        return response
    }

    /// `author:text`, `action:text` or `type:text`.
    private static func auditCondition(_ query: String) throws(AuthError) -> PostgresQuery {
        guard !query.isEmpty else { return "true" }
        let parts = query.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
        guard parts.count == 2 else { throw AuthError(.validationFailed, "Invalid query scope") }
        switch parts[0] {
        case "author":
            return """
                (strpos(lower(a.payload ->> 'actor_username'), lower(\(parts[1]))) > 0
                or strpos(lower(a.payload ->> 'actor_name'), lower(\(parts[1]))) > 0)
                """
        case "action": return "strpos(a.payload ->> 'action', \(parts[1])) > 0"
        case "type": return "strpos(a.payload ->> 'log_type', \(parts[1])) > 0"
        default: throw AuthError(.validationFailed, "Invalid query scope")
        }
    }
}
