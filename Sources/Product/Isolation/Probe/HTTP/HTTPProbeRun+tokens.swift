// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

extension HTTPProbeRun {
    /// Tokens that say somebody else's name without the key to sign it.
    mutating func crossTokens() async throws {
        try progress.step("token", 0, of: 1)
        let parts = mine.token.reveal().split(separator: ".").map(String.init)
        guard parts.count == 3, let bytes = Base64URL.decode(parts[1]),
            let claims = (try? JSON(parsing: bytes))?.objectValue
        else {
            untried("token", "claims", .forge, "the token is not a signed JWT")
            return
        }
        var theirs = claims
        theirs["sub"] = .string(other.tenant.userID.description)
        theirs["email"] = .string(other.tenant.email)
        theirs["app_metadata"] = .object(["tenant_id": .string(other.tenant.tenantID.description)])
        var service = claims
        service["role"] = "service_role"
        var moved = claims
        moved["app_metadata"] = .object(["tenant_id": .string(other.tenant.tenantID.description)])
        func payload(_ claims: JSONObject) -> String { Base64URL.encode(JSON.object(claims).encoded()) }
        let unsigned = Base64URL.encode(Array(#"{"alg":"none","typ":"JWT"}"#.utf8))
        let forged = [
            ("no signature", "\(unsigned).\(payload(theirs))."),
            ("no signature, service_role", "\(unsigned).\(payload(service))."),
            ("another person's claims", "\(parts[0]).\(payload(theirs)).\(parts[2])"),
            ("another tenant's claims", "\(parts[0]).\(payload(moved)).\(parts[2])"),
            ("service_role", "\(parts[0]).\(payload(service)).\(parts[2])"),
            ("empty signature", "\(parts[0]).\(payload(theirs))."),
        ]
        var paths = [
            "/auth/v1/user", "/auth/v1/admin/users", "/api/user/profile", "/vectors/v1/collections",
            "/storage/v1/bucket",
        ]
        if let table = soundTable() { paths.append("/rest/v1/\(encoded(table.name))?limit=1") }
        for (name, token) in forged {
            let requests = paths.map { path in
                ProbeRequest(.get, path, as: .visitor).with("authorization", "Bearer \(token)")
            }
            try await attempt("token", name, .forge, all: requests) { $0.isSuccess }
        }
        // Fields by which a client might say whose data it wants: they must not count.
        for (name, value) in [
            ("x-tenant-id", other.tenant.tenantID.description), ("x-atoll-tenant", other.tenant.tenantID.description),
            ("x-user-id", other.tenant.userID.description), ("x-forwarded-user", other.tenant.email),
            ("request.jwt.claims", JSON.object(theirs).text),
        ] {
            let requests = paths.filter { $0 != "/auth/v1/admin/users" }.map { path in
                ProbeRequest(.get, path, as: mine).with(name, value)
            }
            try await attempt("token", "field \(name)", .forge, all: requests) { _ in false }
        }
    }

    /// Alternating callers on connections that are kept: nobody's settings may survive their request.
    mutating func crossConnections() async throws {
        try progress.step("connections", 0, of: 1)
        // Where no table holds on its own, the profile stands for one.
        let path = soundTable().map { "/rest/v1/\(encoded($0.name))?select=*&limit=100" } ?? "/api/user/profile"
        func ask(_ caller: ProbeRequest.Caller) -> ProbeRequest { ProbeRequest(.get, path, as: caller) }
        for _ in 0..<20 {
            _ = try await send(ask(.member(other)))
            try await attempt("rest", "kept connections", .share, ask(.member(mine))) { _ in false }
            _ = try await send(ask(.member(other)))
            try await attempt("rest", "kept connections", .share, ask(.visitor)) { _ in false }
        }
        // All at once too, more than there are connections: whoever gets which must not matter.
        let mixed = (0..<60).map { ask([.member(other), .member(mine), .visitor][$0 % 3]) }
        let answers = try await server.send(mixed, by: client)
        for (index, (request, answer)) in zip(mixed, answers).enumerated() where index % 3 != 0 {
            try await note(
                "rest", "kept connections", .share, request, answer)
        }
    }

    /// A table with rows of both tenants from which nothing has leaked so far: what it shows now is another's doing.
    private func soundTable() -> Catalog.Relation? {
        let leaking = Set(crossings.filter { $0.outcome == .leaked }.map(\.object))
        return catalog.probedTables.first { table in
            table.schema == settings.exposedSchemas.first && catalog.isScoped(table) && own.rows[table.id] != nil
                && foreign.rows[table.id] != nil && table.allows("SELECT", to: "authenticated")
                && !leaking.contains(table.qualifiedName)
        }
    }
}
