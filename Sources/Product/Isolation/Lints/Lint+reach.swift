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
                return namesSomebody(function) && !source.usesIdentity
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
                return !namesSomebody(function) && !source.usesIdentity && source.mentions(anyOf: names)
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
                guard !function.isTrigger, !function.callers.isEmpty, ["plpgsql", "sql"].contains(function.language)
                else {
                    return false
                }
                let source = SQLExpression(function.source)
                return source.executes(anyOf: function.argumentNames)
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
    /// Whether, read as the body of a function, it runs text that an argument is part of as it is: by `execute`, also through a
    /// variable or `%s` of `format`, or by a function that takes a query.
    func executes(anyOf arguments: [String]) -> Bool {
        // Without its name an argument of a function in SQL is `$1`.
        var tainted = Set(arguments.map { $0.lowercased() }.filter { !$0.isEmpty })
        for number in arguments.indices { tainted.insert("$\(number + 1)") }
        // What is made of them: as many times as variables can be made of each other.
        var size = 0
        while size != tainted.count {
            size = tainted.count
            for (index, token) in tokens.enumerated() where index > 0 && index + 2 < tokens.count {
                guard token == .symbol(":"), tokens[index + 1] == .symbol("="), passesOn(tainted, from: index + 2),
                    let name = variable(before: index)
                else { continue }
                tainted.insert(name)
            }
        }
        return tokens.indices.contains { index in
            switch tokens[index] {
            case .word("execute"): passesOn(tainted, from: index + 1)
            case .word(let name) where Self.queryTakers.contains(name): passesOn(tainted, from: index + 1)
            default: false
            }
        }
    }

    /// The variable that is assigned to, or declared with a value: the first word of the statement.
    private func variable(before assignment: Int) -> String? {
        let starts: Set<Token> = [
            .symbol(";"), .word("declare"), .word("begin"), .word("then"), .word("else"), .word("loop"),
        ]
        let before = tokens[..<assignment]
        let start = before.lastIndex(where: starts.contains).map { $0 + 1 } ?? before.startIndex
        guard start < assignment, case .word(let name) = tokens[start] else { return nil }
        return name
    }

    /// Functions whose argument is a query.
    private static let queryTakers: Set<String> = [
        "query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "ts_stat", "dblink", "dblink_exec",
    ]

    /// Whether the statement that goes on at a token holds one of these words where it is not quoted for SQL.
    private func passesOn(_ words: Set<String>, from start: Int) -> Bool {
        var index = start
        while index < tokens.count, tokens[index] != .symbol(";"), tokens[index] != .word("using") {
            switch tokens[index] {
            // Quoted as %I and %L; %s is not.
            case .word("format"):
                let end = self.end(ofCallAt: index)
                let pattern = tokens[index..<end].lazy.compactMap { token -> String? in
                    guard case .string(let text) = token else { return nil }
                    return text
                }.first
                guard pattern?.contains("%s") != true, pattern?.contains("$s") != true else { break }
                index = end
            case .word("quote_ident"), .word("quote_literal"), .word("quote_nullable"): index = end(ofCallAt: index)
            case .word(let word) where words.contains(word): return true
            case .symbol("$"):
                if index + 1 < tokens.count, case .number(let number) = tokens[index + 1], words.contains("$\(number)")
                {
                    return true
                }
            default: break
            }
            index += 1
        }
        return false
    }

    /// The place of the parenthesis that ends a call.
    private func end(ofCallAt index: Int) -> Int {
        var depth = 0
        for place in (index + 1)..<max(index + 1, tokens.count) {
            if tokens[place] == .symbol("(") { depth += 1 }
            if tokens[place] == .symbol(")") { depth -= 1 }
            if depth == 0 { return place }
        }
        return tokens.count
    }
}
