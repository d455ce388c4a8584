// SPDX-License-Identifier: Apache-2.0

extension Lint {
    /// Ways past the policies: roles and functions.
    static let reach: [Lint] = [
        atoll(
            "0120", "api_role_bypasses_policies", .error, "A role of requests that policies do not bind",
            why: "A superuser, a role with BYPASSRLS or the owner of a table sees every tenant.",
            fix: "alter role ... nobypassrls nosuperuser; give the table to another owner"
        ) { catalog, _ in
            let bound = Catalog.apiRoles + [catalog.login]
            let roles = catalog.roles.filter { bound.contains($0.name) && ($0.isSuperuser || $0.bypassesRLS) }.map {
                Occurrence(
                    schema: "", name: $0.name, type: "role",
                    detail:
                        "Role \($0.name) carries requests and \($0.isSuperuser ? "is a superuser" : "bypasses row level security")"
                )
            }
            let owned = catalog.projectTables.filter { bound.contains($0.owner) }.map {
                Occurrence($0, part: $0.owner, "\($0.qualifiedName) belongs to \($0.owner), a role of requests")
            }
            return roles + owned
        },
        atoll(
            "0121", "privileged_role_reachable", .error, "A role of requests can become a privileged one",
            why: "One forged claim or one injected SET ROLE is then enough to see every tenant.",
            fix: "revoke the membership: the login may become anon, authenticated and service_role, those three nobody"
        ) { catalog, _ in
            let privileged = Set(catalog.roles.filter { $0.isSuperuser || $0.bypassesRLS }.map(\.name))
            let owners = Set(catalog.projectTables.map(\.owner))
            return catalog.roles.flatMap { role -> [Occurrence] in
                let allowed: Set<String>
                if Catalog.apiRoles.contains(role.name) {
                    allowed = []
                } else if role.name == catalog.login {
                    allowed = ["anon", "authenticated", "service_role"]
                } else {
                    return []
                }
                return role.mayBecome.filter {
                    !allowed.contains($0) && (privileged.contains($0) || owners.contains($0))
                }.map {
                    Occurrence(
                        schema: "", name: role.name, type: "role", part: $0,
                        detail: "Role \(role.name) may become \($0), which policies do not bind")
                }
            }
        },
        atoll(
            "0122", "definer_function_trusts_argument", .error,
            "A function with its owner's rights believes whose data is asked for",
            why: "It takes a tenant or a person as an argument and never asks who is calling: any caller names anyone.",
            fix:
                "Take the tenant from (select tenancy.current_tenant()) or the person from auth.uid(), or make it security invoker."
        ) { catalog, _ in
            catalog.projectFunctions.filter { function in
                guard function.isDefiner, !function.isTrigger, !function.callers.isEmpty else { return false }
                let source = SQLExpression(function.source)
                return namesSomebody(function) && !source.asksForIdentity
            }.map {
                Occurrence(
                    $0, "Function \($0.signature) runs with the rights of \($0.owner) for the one its caller names")
            }
        },
        atoll(
            "0123", "definer_function_reads_all_tenants", .error,
            "A function with its owner's rights reads tenants' tables",
            why:
                "It passes their policies by and never asks who is calling, so that it answers with rows of everybody.",
            fix: "Filter by (select auth.uid()) or (select tenancy.current_tenant()), or make it security invoker."
        ) { catalog, _ in
            let names = Set(catalog.scopedTables.map(\.name))
            return catalog.projectFunctions.filter { function in
                guard function.isDefiner, !function.isTrigger, !function.callers.isEmpty else { return false }
                let source = SQLExpression(function.source)
                return !namesSomebody(function) && !source.asksForIdentity && source.mentions(anyOf: names)
            }.map {
                Occurrence(
                    $0, "Function \($0.signature) reads tenants' tables with the rights of \($0.owner) for any caller")
            }
        },
        atoll(
            "0124", "dynamic_sql_reachable", .error, "A function runs text that its caller sends",
            why:
                "With its owner's rights it does anything to every tenant; with the caller's it still runs what no API would.",
            fix: "Revoke execute from public, anon and authenticated."
        ) { catalog, _ in
            catalog.projectFunctions.filter { function in
                guard !function.isTrigger, !function.callers.isEmpty, function.language == "plpgsql" else {
                    return false
                }
                let source = SQLExpression(function.source)
                return function.argumentNames.contains { source.executes($0) }
            }.map {
                Occurrence(
                    $0, "Function \($0.signature) executes text of its arguments, and \(list($0.callers)) may call it")
            }
        },
        atoll(
            "0125", "plans_are_served", .warning, "The REST API answers with execution plans",
            why: "Estimates of a plan tell how many rows other tenants have.",
            fix: "Set plans to false under [atoll.rest]."
        ) { _, settings in
            guard settings.arePlansServed else { return [] }
            return [
                Occurrence(schema: "", name: "plans", type: "setting", detail: "[atoll.rest] plans is on")
            ]
        },
        atoll(
            "0126", "access_tokens_live_long", .info, "Access tokens are valid for more than a day",
            why: "Claims of a token, such as its tenant, are believed until it ends.",
            fix: "Set a shorter jwt_expiry under [auth]."
        ) { _, settings in
            guard settings.accessTokenSeconds > 86_400 else { return [] }
            return [
                Occurrence(
                    schema: "", name: "jwt_expiry", type: "setting",
                    detail: "Access tokens are valid for \(settings.accessTokenSeconds) seconds")
            ]
        },
    ]

    /// Whether an argument says by its name that it is a tenant or a person.
    private static func namesSomebody(_ function: Catalog.Function) -> Bool {
        function.argumentNames.contains { name in scopeWords.contains { name.lowercased().contains($0) } }
    }

    private static let scopeWords = [
        "tenant", "user", "owner", "org", "account", "member", "workspace", "company", "customer",
    ]
}

extension SQLExpression {
    /// Whether, read as the body of a function, it has an `execute` whose text an argument is part of as it is.
    func executes(_ argument: String) -> Bool {
        let name = argument.lowercased()
        for (index, token) in tokens.enumerated() where token == .word("execute") {
            for next in tokens[(index + 1)...] {
                if next == .symbol(";") || next == .word("using") { break }
                // format() quotes what it is given as %I and %L.
                if next == .word("format") || next == .word("quote_ident") || next == .word("quote_literal") { break }
                if next == .word(name) { return true }
            }
        }
        return false
    }
}
