// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// Everything a project's `supabase/config.toml` says, with the defaults of the Supabase CLI, plus Atoll's own `[atoll]`.
///
/// Each section is a struct whose `fields` document its keys; `docs/configuration.md` is made of them. Sections of services that
/// Atoll does not serve are read, checked and kept, so that an existing project's file is understood as it is.
package struct ProjectConfiguration: ConfigurationSection {
    package var projectID = ""
    package var api = API()
    package var database = Database()
    package var realtime = Realtime()
    package var studio = Studio()
    package var mailCatcher = MailCatcher()
    package var storage = Storage()
    package var auth = Auth()
    package var edgeRuntime = EdgeRuntime()
    package var functions: [String: Function] = [:]
    package var analytics = Analytics()
    package var experimental = Experimental()
    package var remotes: [String: Remote] = [:]
    package var atoll = Atoll()

    package init() {}

    static var fields: [ConfigurationField<ProjectConfiguration>] {
        Field.key(
            "project_id", \.projectID,
            .text("letters, digits, \"-\", \"_\" and \".\", at most 64") { text in
                text.count <= 64 && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
            }, "Tells projects on one machine apart. Empty means the folder's name.")
        Field.section("api", \.api, "The HTTP API.")
        Field.section("db", \.database, "The project's PostgreSQL.")
        Field.section("realtime", \.realtime, "The Realtime service.")
        Field.section(
            "studio", \.studio, "The Supabase Studio. Read and kept; Atoll's console is part of the API's address.")
        Field.section(
            "inbucket", \.mailCatcher, "The mail catcher: where mail goes while `[auth.email.smtp]` is not set.")
        Field.section("storage", \.storage, "The Storage service.")
        Field.section("auth", \.auth, "The Auth service.")
        Field.section("edge_runtime", \.edgeRuntime, "The runtime of edge functions.")
        Field.sections("functions", "name", \.functions, "One edge function.")
        Field.section("analytics", \.analytics, "Log analytics. Read and kept; Atoll has no such service.")
        Field.section("experimental", \.experimental, "Experiments of the Supabase CLI. Read and kept.")
        ConfigurationField(
            name: "remotes",
            summary: "Overrides for a linked project: `project_id` and any key of this file. Checked and kept.",
            read: { node, section, reader in
                reader.eachEntry(node, names: nil) { name, child, reader in
                    var overridden = ProjectConfiguration()
                    reader.read(child, into: &overridden)
                    section.remotes[name] = Remote(projectID: overridden.projectID, overrides: child)
                }
            },
            dump: { section in
                let remotes = section.remotes.sorted { $0.key < $1.key }
                return remotes.isEmpty
                    ? nil
                    : .object(JSONObject(remotes.map { ($0.key, ["project_id": .string($0.value.projectID)]) }))
            },
            describe: { field, _ in [.section([field.name, "<name>"], field.summary)] })
        Field.section(
            "atoll", \.atoll, "What Atoll has beyond the Supabase CLI: the process, its limits and its pools.")
    }

    /// The overrides of one linked project, by the name of its table.
    package struct Remote: Sendable {
        package var projectID: String
        let overrides: ConfigurationNode
    }

    /// What is in force, as JSON in the order of the reference; secrets that are set show as `********`.
    package var masked: JSON { ConfigurationDump.table(self) ?? [:] }
}
