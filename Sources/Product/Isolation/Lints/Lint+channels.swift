// SPDX-License-Identifier: Apache-2.0

extension Lint {
    /// Files and messages: policies on the platform's tables that a project writes.
    static let channels: [Lint] = [
        atoll(
            "0140", "storage_policy_ignores_owner", .error, "Files of everybody",
            why: "The policy tests the bucket and never whose file it is.",
            fix: "Compare (storage.foldername(name))[1] or owner_id with the caller: (select auth.uid())::text."
        ) { catalog, _ in
            let open = Set(catalog.buckets.filter(\.isPublic).map(\.id))
            return catalog.policies(of: "storage", "objects").flatMap { policy, table -> [Occurrence] in
                guard policy.isPermissive, !policy.apiRoles.isEmpty else { return [] }
                let actions = policy.action.actions.filter { action in
                    [policy.reading(action), policy.writing(action)].compactMap { $0 }.contains { expression in
                        let readsPublic =
                            action == .select && expression.mentions("bucket_id") && !open.isEmpty
                            && open.isSuperset(of: expression.strings)
                        return !readsPublic && !expression.isConstantlyFalse && !expression.callsUnknownFunction
                            && !(expression.asksForIdentity
                                && expression.mentions(anyOf: ["owner", "owner_id", "name", "path_tokens"]))
                    }
                }
                guard !actions.isEmpty else { return [] }
                return [
                    Occurrence(
                        table, part: policy.name,
                        "\(policy.title(on: table)) does not compare a file's owner or folder with the caller for \(list(actions.map(\.keyword)))"
                    )
                ]
            }
        },
        atoll(
            "0141", "storage_update_moves_files", .error, "An update can move a file into another's folder",
            why:
                "The check says where a file may end up. Where it does not test the folder, a file can be moved over another tenant's.",
            fix: "Repeat the condition of `using` in `with check`, or leave the check out."
        ) { catalog, _ in
            catalog.policies(of: "storage", "objects").compactMap { policy, table in
                guard policy.isPermissive, policy.action.actions.contains(.update), !policy.apiRoles.isEmpty,
                    let using = policy.using, let check = policy.check, using.asksForIdentity, !check.asksForIdentity
                else { return nil }
                return Occurrence(
                    table, part: policy.name,
                    "\(policy.title(on: table)) tests the folder before an update and not after")
            }
        },
        atoll(
            "0142", "realtime_topic_open", .warning, "Messages on topics that nobody owns",
            why: "Whoever guesses the topic's name joins it.",
            fix: "Compare (select realtime.topic()) with the caller's tenant or memberships."
        ) { catalog, _ in
            catalog.policies(of: "realtime", "messages").compactMap { policy, table in
                guard policy.isPermissive, !policy.apiRoles.isEmpty else { return nil }
                let expressions = [policy.using, policy.check].compactMap { $0 }
                let isOpen = expressions.contains { expression in
                    let asksForTopic = expression.calls.contains { $0.schema == "realtime" && $0.name == "topic" }
                    return !asksForTopic || !(expression.asksForIdentity || expression.callsUnknownFunction)
                }
                guard isOpen else { return nil }
                return Occurrence(
                    table, part: policy.name, "\(policy.title(on: table)) does not bind topics to who is calling")
            }
        },
        atoll(
            "0143", "deletes_are_told_to_all", .info, "Deleted keys go to every subscriber",
            why: "A deleted row can no longer be tested against a policy: its key, or all of it, is sent to everybody.",
            fix: "Keep meaning out of primary keys and replica identity at default, or broadcast on private topics."
        ) { catalog, _ in
            catalog.projectTables.filter { catalog.published.contains($0.id) }.compactMap { table in
                let keys = table.columns.filter { table.primaryKey.contains($0.name) }
                let hasMeaning = keys.contains { !["uuid", "bigint", "integer", "smallint"].contains($0.type) }
                guard table.replicaIdentity == "f" || hasMeaning else { return nil }
                return Occurrence(
                    table,
                    table.replicaIdentity == "f"
                        ? "\(table.qualifiedName) publishes whole rows that were deleted"
                        : "\(table.qualifiedName) publishes deleted keys that mean something: \(list(table.primaryKey))"
                )
            }
        },
        atoll(
            "0144", "published_without_policies", .error, "Changes are told to all who may select",
            why:
                "Who is told of a row is decided by the policies of its table; without row level security that is everybody who may select, in a schema that is not served too.",
            fix: "alter table ... enable row level security, or alter publication supabase_realtime drop table ..."
        ) { catalog, _ in
            catalog.projectTables.filter {
                catalog.published.contains($0.id) && !$0.isSecured && !$0.roles(allowed: "SELECT").isEmpty
            }.map { Occurrence($0, "Changes of \($0.qualifiedName) are published without row level security") }
        },
    ]
}
