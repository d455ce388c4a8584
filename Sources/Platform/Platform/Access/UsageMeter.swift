// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Postgres
package import Primitives

/// Charges tenants for what is done for them, or refuses: the one call of every service that costs something.
///
/// The database keeps the limits of the tenant's plan, whatever comes at once.
package struct UsageMeter: Sendable {
    /// A use of a service.
    package struct Use: Sendable {
        /// As keys of services are named: `openai`.
        package var service: String
        /// What of it was called.
        package var endpoint: String?
        /// Cents.
        package var cost: Int
        package var tokens: Int
        package var duration: Duration?

        package init(
            _ service: String, endpoint: String? = nil, cost: Int = 0, tokens: Int = 0, duration: Duration? = nil
        ) {
            self.service = service
            self.endpoint = endpoint
            self.cost = cost
            self.tokens = tokens
            self.duration = duration
        }

        fileprivate var milliseconds: Int? { duration.map { Int($0.components.seconds * 1000) } }
    }

    /// What was charged.
    package struct Charge: Sendable {
        package let id: UUID
        /// What of the plan is nearly or wholly used up: `{"metric", "used", "limit", "level"}`.
        package let warnings: [JSON]

        /// For the field `X-Usage-Warning`; nil when there is nothing to warn of.
        package var header: String? {
            guard !warnings.isEmpty else { return nil }
            return warnings.map { warning in
                "\(warning["metric"]?.stringValue ?? "")=\(warning["used"]?.intValue ?? 0)/\(warning["limit"]?.intValue ?? 0)"
            }.joined(separator: ", ")
        }
    }

    private let database: Database

    /// - Parameter database: logs in as `authenticator`.
    package init(database: Database) { self.database = database }

    /// Charges the principal's tenant.
    ///
    /// - Parameter isEstimate: whether ``settle(_:_:by:)`` will say later what it was.
    /// - Throws: ``UsageLimitReached`` when the plan does not give it, and nothing is charged; `PostgresError`, with SQLSTATE `PT403` for a
    ///   principal without a tenant.
    package func charge(_ use: Use, to principal: Principal, isEstimate: Bool = false) async throws -> Charge {
        let results: [PostgresResult]
        do {
            results = try await database.run(
                principal.unit([
                    """
                    select tenancy.charge(
                        \(use.service), \(use.endpoint), \(use.cost)::bigint, \(use.tokens)::bigint,
                        \(use.milliseconds)::integer, \(isEstimate)) as charge
                    """
                ]))
        } catch {
            throw UsageLimitReached(error) ?? error
        }
        guard let charge = results.first?.onlyRow?["charge"].json,
            let id = charge["event_id"]?.stringValue.flatMap({ UUID($0) })
        else { throw PostgresError(.misuse, "a charge has an id") }
        return Charge(id: id, warnings: charge["warnings"]?.arrayValue ?? [])
    }

    /// Puts what a use has cost in the place of its estimate; never refused, as it has been made.
    package func settle(_ charge: Charge, _ use: Use, by principal: Principal) async throws {
        _ = try await database.run(
            principal.unit([
                """
                select from tenancy.settle_usage(
                    \(charge.id), \(use.cost)::bigint, \(use.tokens)::bigint, \(use.milliseconds)::integer)
                """
            ]))
    }
}

/// A plan's monthly limit is used up.
package struct UsageLimitReached: Error {
    /// Fit for the client.
    package let message: String
    /// `metric`, `limit`, `used`, `requested` and `reset_at`.
    package let details: JSONObject
    /// Until the limit starts anew.
    package let retryAfter: Duration

    /// Nil for another error than that of `tenancy.charge_tenant`.
    package init?(_ error: PostgresError) {
        guard error.sqlState == "PGRST", let body = try? JSON(parsing: error.message),
            body["code"] == "usage_limit_reached", let message = body["message"]?.stringValue
        else { return nil }
        self.message = message
        details = body["details"]?.stringValue.flatMap { try? JSON(parsing: $0) }?.objectValue ?? [:]
        let answer = error.detail.flatMap { try? JSON(parsing: $0) }
        let seconds = answer?["headers"]?["Retry-After"]?.stringValue.flatMap { Int64($0) }
        retryAfter = .seconds(seconds ?? 1)
    }

    /// 429 in the form of `/api`.
    package var response: HTTPResponse {
        var response = HTTPResponse.json(
            ["error": .string(message), "code": "usage_limit_reached", "limit": .object(details)],
            status: .tooManyRequests)
        response.headers.append("Retry-After", "\(max(1, retryAfter.components.seconds))")
        return response
    }
}
