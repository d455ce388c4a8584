// SPDX-License-Identifier: Apache-2.0

extension Lint {
    private static func security(
        _ id: String, _ name: String, _ level: Finding.Level, _ title: String, why description: String,
        fix remediation: String, _ find: @escaping @Sendable (Catalog, LintSettings) -> [Occurrence]
    ) -> Lint {
        Lint(
            id: id, name: name, title: title, level: level, category: .security, description: description,
            remediation: remediation, find: find)
    }

    /// The security part of the public set of database advisors.
    static let advisorSecurity: [Lint] = [
        security(
            "0002", "auth_users_exposed", .error, "A view shows accounts",
            why: "Addresses, password hashes and tokens of all accounts stand in auth.users.",
            fix: "Revoke select on the view from anon and authenticated, or select from a profile table instead."
        ) { catalog, settings in
            let users = catalog.relation("auth", "users")?.id
            return catalog.exposed(settings).filter { relation in users.map(relation.reads.contains) ?? false }.map {
                Occurrence(
                    $0,
                    "\($0.kind.word) \($0.qualifiedName) reads auth.users and \(list($0.roles(allowed: "SELECT"))) may select from it"
                )
            }
        },
        security(
            "0007", "policy_exists_rls_disabled", .error, "Policies without row level security",
            why: "Policies do nothing until row level security is enabled on their table.",
            fix: "alter table ... enable row level security"
        ) { catalog, _ in
            catalog.projectTables.filter { !$0.isSecured && !catalog.policies(of: $0).isEmpty }.map { table in
                let names = catalog.policies(of: table).map { "\"\($0.name)\"" }
                return Occurrence(
                    table, "\(table.qualifiedName) has policies (\(list(names))), and row level security is off")
            }
        },
        security(
            "0008", "rls_enabled_no_policy", .info, "Row level security without a policy",
            why: "Only roles that bypass row level security see rows of the table. That may be intended.",
            fix: "Create policies, or leave it so for a table that is the server's alone."
        ) { catalog, _ in
            catalog.projectTables.filter { $0.isSecured && catalog.policies(of: $0).isEmpty }.map {
                Occurrence($0, "\($0.qualifiedName) has row level security and no policy")
            }
        },
        security(
            "0010", "security_definer_view", .error, "A view with its owner's rights",
            why: "The policies of the tables below are those of the view's owner, not of who asks.",
            fix: "alter view ... set (security_invoker = true)"
        ) { catalog, settings in
            catalog.exposed(settings).filter { $0.kind == .view && !$0.isInvoker }.map {
                Occurrence(
                    $0,
                    "View \($0.qualifiedName) reads with the rights of \($0.owner), and \(list($0.roles(allowed: "SELECT"))) may select from it"
                )
            }
        },
        security(
            "0011", "function_search_path_mutable", .warning, "A function with the caller's search path",
            why: "Names in it mean what the caller's search path makes of them.",
            fix: "alter function ... set search_path = ''"
        ) { catalog, _ in
            catalog.projectFunctions.filter { !$0.hasFixedSearchPath && !["c", "internal"].contains($0.language) }.map {
                Occurrence($0, "Function \($0.signature) has no search_path of its own")
            }
        },
        security(
            "0012", "auth_allow_anonymous_sign_ins", .info, "Anonymous users are authenticated",
            why:
                "With anonymous sign-in anybody holds the role authenticated; only the claim is_anonymous tells them apart.",
            fix: "Test (select (auth.jwt() ->> 'is_anonymous')::boolean) in the policy where it matters."
        ) { catalog, settings in
            guard settings.allowsAnonymousSignIns else { return [] }
            return catalog.projectPolicies().filter { policy, _ in
                policy.isPermissive && policy.applies(to: "authenticated")
                    && ![policy.using, policy.check].contains { $0?.strings.contains("is_anonymous") ?? false }
            }.map { policy, table in
                Occurrence(table, part: policy.name, "\(policy.title(on: table)) lets anonymous users in")
            }
        },
        security(
            "0013", "rls_disabled_in_public", .error, "A table without row level security",
            why: "Whoever has the public key sees and may change its rows as far as grants go.",
            fix: "alter table ... enable row level security, then create policies"
        ) { catalog, settings in
            catalog.projectTables.filter {
                settings.exposedSchemas.contains($0.schema) && !$0.isSecured && $0.isReachable
            }.map { Occurrence($0, "\($0.qualifiedName) is served without row level security") }
        },
        security(
            "0014", "extension_in_public", .warning, "An extension in the schema public",
            why: "Its functions become part of the API.", fix: "alter extension ... set schema extensions"
        ) { catalog, _ in
            catalog.extensions.filter { $0.schema == "public" }.map {
                Occurrence(
                    schema: "public", name: $0.name, type: "extension",
                    detail: "Extension \($0.name) is installed in public")
            }
        },
        security(
            "0015", "rls_references_user_metadata", .error, "A policy trusts what users write themselves",
            why: "user_metadata is changed by its user with an ordinary request.",
            fix: "Use app_metadata, or a table of memberships."
        ) { catalog, _ in
            (catalog.projectPolicies() + catalog.policies(of: "storage", "objects")
                + catalog.policies(of: "realtime", "messages")).filter { policy, _ in
                    [policy.using, policy.check].contains { expression in
                        guard let expression else { return false }
                        return expression.strings.contains { ["user_metadata", "raw_user_meta_data"].contains($0) }
                            || expression.mentions("raw_user_meta_data")
                    }
                }.map { policy, table in
                    Occurrence(table, part: policy.name, "\(policy.title(on: table)) decides by user_metadata")
                }
        },
        security(
            "0016", "materialized_view_in_api", .warning, "A materialized view in the API",
            why: "Policies cannot apply to it: everybody who may select sees all rows.",
            fix: "Revoke select from anon and authenticated, and serve it through a function that filters."
        ) { catalog, settings in
            catalog.exposed(settings).filter { $0.kind == .materializedView }.map {
                Occurrence(
                    $0, "Materialized view \($0.qualifiedName) may be selected by \(list($0.roles(allowed: "SELECT")))")
            }
        },
        security(
            "0017", "foreign_table_in_api", .warning, "A foreign table in the API",
            why: "Policies cannot apply to it: everybody who may select sees all rows.",
            fix: "Revoke select from anon and authenticated, or move it to a schema that is not served."
        ) { catalog, settings in
            catalog.exposed(settings).filter { $0.kind == .foreignTable }.map {
                Occurrence(
                    $0, "Foreign table \($0.qualifiedName) may be selected by \(list($0.roles(allowed: "SELECT")))")
            }
        },
        security(
            "0018", "unsupported_reg_types", .warning, "A column type that blocks upgrades",
            why: "Values of these types are object ids, which a major upgrade of PostgreSQL does not keep.",
            fix: "Store the object's name as text."
        ) { catalog, _ in
            let types: Set<String> = [
                "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc",
                "regprocedure",
            ]
            return catalog.projectTables.flatMap { table in
                table.columns.filter { types.contains($0.type) }.map {
                    Occurrence(
                        table, part: $0.name, "Column \($0.name) of \(table.qualifiedName) is of type \($0.type)")
                }
            }
        },
        security(
            "0019", "insecure_queue_exposed_in_api", .error, "A message queue without row level security",
            why: "Whoever may reach the queue's schema reads and deletes everybody's messages.",
            fix: "alter table pgmq.q_... enable row level security"
        ) { catalog, _ in
            catalog.relations.filter {
                $0.schema == "pgmq" && $0.isTable && ($0.name.hasPrefix("q_") || $0.name.hasPrefix("a_"))
                    && !$0.isSecured
                    && $0.isReachable
            }.map { Occurrence($0, "Queue table \($0.qualifiedName) is reachable without row level security") }
        },
        security(
            "0021", "fkey_to_auth_unique", .error, "A foreign key to a unique constraint of auth",
            why: "Unique constraints of that schema may change with an upgrade, which the foreign key would block.",
            fix: "Point at the primary key."
        ) { catalog, _ in
            catalog.foreignKeys.compactMap { key in
                guard key.targetSchema == "auth", !key.pointsAtPrimaryKey, let table = catalog.relation(key.relation),
                    catalog.isProjectTable(table)
                else { return nil }
                return Occurrence(
                    table, part: key.name,
                    "Foreign key \(key.name) of \(table.qualifiedName) points at a unique constraint of auth.\(key.targetName)"
                )
            }
        },
        security(
            "0022", "extension_versions_outdated", .warning, "An extension behind its newest version",
            why: "Fixes come with new versions.", fix: "alter extension ... update"
        ) { catalog, _ in
            catalog.extensions.compactMap { installed in
                guard let newest = installed.defaultVersion, newest != installed.version else { return nil }
                return Occurrence(
                    schema: installed.schema, name: installed.name, type: "extension",
                    detail: "Extension \(installed.name) is at \(installed.version); \(newest) is there")
            }
        },
        security(
            "0023", "sensitive_columns_exposed", .error, "Sensitive columns without row level security",
            why: "The names say that what stands there is nobody else's business.",
            fix: "Enable row level security, or move the columns to a table that is not served."
        ) { catalog, settings in
            catalog.projectTables.filter {
                settings.exposedSchemas.contains($0.schema) && !$0.isSecured && !$0.roles(allowed: "SELECT").isEmpty
            }.flatMap { table in
                table.columns.filter { sensitiveNames.contains($0.name.lowercased()) }.map {
                    Occurrence(
                        table, part: $0.name,
                        "Column \($0.name) of \(table.qualifiedName) is served without row level security")
                }
            }
        },
        security(
            "0024", "rls_policy_always_true", .warning, "A policy that lets everybody write",
            why: "A condition that is always true protects nothing.",
            fix: "Compare the row's tenant or owner with the caller's."
        ) { catalog, _ in
            catalog.projectPolicies().flatMap { policy, table -> [Occurrence] in
                guard policy.isPermissive, !policy.apiRoles.isEmpty else { return [] }
                let open = policy.action.actions.filter { action in
                    guard action != .select else { return false }
                    let conditions = [policy.reading(action), policy.writing(action)].compactMap { $0 }
                    return conditions.isEmpty || conditions.contains(where: \.isAlwaysTrue)
                }
                guard !open.isEmpty else { return [] }
                return [
                    Occurrence(
                        table, part: policy.name, "\(policy.title(on: table)) allows every \(list(open.map(\.keyword)))"
                    )
                ]
            }
        },
        security(
            "0025", "public_bucket_allows_listing", .warning, "A public bucket can be listed",
            why:
                "Files of a public bucket are read by their address without a policy; one for select only adds listing.",
            fix: "Drop the policy, or bind it to a folder of the caller's."
        ) { catalog, _ in
            let open = Set(catalog.buckets.filter(\.isPublic).map(\.id))
            return catalog.policies(of: "storage", "objects").flatMap { policy, table -> [Occurrence] in
                guard policy.isPermissive, policy.action.actions.contains(.select), !policy.apiRoles.isEmpty,
                    let using = policy.using, !using.asksForIdentity
                else { return [] }
                let named =
                    using.mentions("bucket_id") ? open.intersection(using.strings) : using.isAlwaysTrue ? open : []
                return named.sorted().map {
                    Occurrence(
                        table, part: "\(policy.name):\($0)",
                        "\(policy.title(on: table)) lets everybody list the public bucket \"\($0)\"")
                }
            }
        },
        graphQL("0026", "anon", "pg_graphql_anon_table_exposed"),
        graphQL("0027", "authenticated", "pg_graphql_authenticated_table_exposed"),
        definerFunction("0028", "anon", "anon_security_definer_function_executable"),
        definerFunction("0029", "authenticated", "authenticated_security_definer_function_executable"),
    ]

    private static func graphQL(_ id: String, _ role: String, _ name: String) -> Lint {
        security(
            id, name, .warning, "Visible to \(role) in GraphQL",
            why: "With GraphQL on, names and columns of what a role may select can be listed by introspection.",
            fix: "Revoke select from \(role) where it is not needed."
        ) { catalog, settings in
            guard catalog.extensions.contains(where: { $0.name == "pg_graphql" }) else { return [] }
            return catalog.exposed(settings).filter { $0.allows("SELECT", to: role) }.map {
                Occurrence($0, part: role, "\($0.qualifiedName) is visible to \(role) in GraphQL")
            }
        }
    }

    private static func definerFunction(_ id: String, _ role: String, _ name: String) -> Lint {
        security(
            id, name, .warning, "\(role) may call a function with its owner's rights",
            why: "It reads and writes past the policies of whoever calls it.",
            fix: "Revoke execute from public and \(role), or make it security invoker."
        ) { catalog, settings in
            catalog.projectFunctions.filter {
                $0.isDefiner && !$0.isTrigger && settings.exposedSchemas.contains($0.schema)
                    && $0.callers.contains(role)
            }.map {
                Occurrence($0, "Function \($0.signature) runs with the rights of \($0.owner), and \(role) may call it")
            }
        }
    }

    static func list(_ words: [String]) -> String { words.joined(separator: ", ") }

    /// Names that by themselves say secret, identity, payment, health and the like.
    private static let sensitiveNames: Set<String> = [
        "password", "passwd", "pwd", "passphrase", "password_hash", "hashed_password", "secret", "secret_key",
        "client_secret",
        "private_key", "api_key", "apikey", "api_secret", "access_key", "encrypted_key", "encryption_key",
        "access_token",
        "refresh_token", "auth_token", "session_token", "bearer_token", "id_token", "token_hash", "otp", "otp_secret",
        "totp_secret", "mfa_secret", "recovery_code", "backup_code", "pin", "pin_code", "security_answer", "ssn",
        "social_security_number", "national_id", "tax_id", "tin", "ein", "passport", "passport_number",
        "drivers_license",
        "driver_license", "license_number", "date_of_birth", "dob", "birth_date", "birthdate", "mothers_maiden_name",
        "credit_card", "credit_card_number", "card_number", "cc_number", "cvv", "cvc", "card_expiry", "bank_account",
        "account_number", "routing_number", "iban", "swift_code", "bic", "salary", "income", "credit_score",
        "medical_record", "medical_history", "diagnosis", "health_condition", "prescription", "insurance_number",
        "blood_type", "genetic_data", "biometric", "biometric_data", "fingerprint", "face_encoding", "ip_address",
        "device_id", "home_address", "phone_number", "personal_email", "ethnicity", "religion", "sexual_orientation",
        "political_affiliation", "criminal_record",
    ]
}

extension Catalog.Relation {
    /// Whether a view reads with the rights of who asks.
    var isInvoker: Bool { ["true", "on", "yes", "1"].contains(options["security_invoker"]?.lowercased() ?? "") }
}
