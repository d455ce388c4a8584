// SPDX-License-Identifier: Apache-2.0

extension ProjectConfiguration.Atoll {
    /// `[atoll.tenancy]`
    package struct Tenancy: ConfigurationSection {
        package var maxBodyBytes = 64 << 10
        package var maxSecretBytes = 8 << 10
        package var isolation = Isolation.shared
        package var executesSQL = true
        package var schemaConnections = 2
        package var maxTeams = 20
        package var maxMembers = 200
        package var maxInvitations = 100
        package var invitationLifetime: Duration = .seconds(7 * 86_400)
        package var invitationPause: Duration = .seconds(60)
        package var invitationURL: String?
        package var deletionGrace: Duration = .seconds(30 * 86_400)
        package var softLimitPercent = 80
        package var maxPageSize = 200
        package var maxUsageDays = 366
        package var exportTimeout: Duration = .seconds(3600)
        package var invitation = InvitationMail()
        package var usageNotice = UsageMail()
        package var setup = Setup()
        package var validation = Validation()

        package init() {}

        package enum Isolation: String, Sendable, CaseIterable { case shared, schema }

        static var fields: [ConfigurationField<Tenancy>] {
            Field.key("max_body_size", \.maxBodyBytes, .size(1024...(1 << 30)), "The largest body; more is 413.")
            Field.key(
                "max_secret_size", \.maxSecretBytes, .size(1...11_000),
                "The longest third-party key a tenant may store.")
            Field.key(
                "isolation", \.isolation, .choice,
                "Where new tenants keep their rows: in the tables that all share, under row level security, or in a schema of their own, made from `supabase/tenants/*.sql` when they are set up."
            )
            Field.key(
                "execute_sql", \.executesSQL, .boolean,
                "Whether the service key may run SQL as the owner of the project's objects by `rpc('execute_sql', {sql})`."
            )
            Field.key(
                "schema_connections", \.schemaConnections, .integer(1...100),
                "Connections of one loop, at most, that make tenants' schemas.")
            Field.key("max_teams", \.maxTeams, .integer(0...1_000_000), "Teams that one person may own.")
            Field.key("max_members", \.maxMembers, .integer(1...1_000_000), "Members of a team.")
            Field.key(
                "max_invitations", \.maxInvitations, .integer(0...1_000_000),
                "Invitations of a team that are open or were made in the last day.")
            Field.key(
                "invitation_expiry", \.invitationLifetime, .duration(.seconds(60)...(.seconds(366 * 86_400))),
                "How long an invitation can be accepted.")
            Field.key(
                "invitation_pause", \.invitationPause, .duration(.zero...(.seconds(86_400))),
                "Between two mails of one invitation.")
            Field.optional(
                "invitation_url", \.invitationURL, .httpURL,
                "The page that an invitation's link leads to; `?token=` follows. Unset is `/invitations/accept` of the API's address."
            )
            Field.key(
                "deletion_grace", \.deletionGrace, .duration(.zero...(.seconds(366 * 86_400))),
                "How long a deleted team can be restored; then everything of it is removed.")
            Field.key(
                "soft_limit", \.softLimitPercent, .integer(1...100),
                "The percentage of a plan's monthly limit from which a tenant is warned.")
            Field.key(
                "max_page_size", \.maxPageSize, .integer(1...10_000),
                "Entries of a list, such as of the audit log, in one answer.")
            Field.key(
                "max_usage_days", \.maxUsageDays, .integer(1...3660), "Days that `GET /api/usage` tells of at once.")
            Field.key(
                "export_timeout", \.exportTimeout, .duration(.seconds(1)...(.seconds(86_400))),
                "The longest a statement of an export may run.")
            Field.section("invitation", \.invitation, "The mail that invites into a team.")
            Field.section(
                "usage_notice", \.usageNotice,
                "The mail to owners and admins when a plan's monthly limit comes near (`soft_limit`) or is reached.")
            Field.section("setup", \.setup, "How tenants are set up (`/api/setup`).")
            Field.section("validation", \.validation, "How third-party keys are tried with their services.")
        }

        /// `[atoll.tenancy.setup]`
        package struct Setup: ConfigurationSection {
            package enum Distance: String, Sendable, CaseIterable {
                case cosine = "Cosine"
                case euclid = "Euclid"
                case dot = "Dot"
                case manhattan = "Manhattan"
            }

            package var maxRuns = 8
            package var maxWait: Duration = .seconds(60)
            package var maxStream: Duration = .seconds(300)
            package var maxKeys = 50
            package var vectorSize = 1536
            package var vectorDistance = Distance.cosine

            package init() {}

            static var fields: [ConfigurationField<Setup>] {
                Field.key(
                    "max_runs", \.maxRuns, .integer(1...100),
                    "Set-ups under way at a time, each with a connection of its own; one more gets 503.")
                Field.key(
                    "max_wait", \.maxWait, .duration(.zero...(.seconds(3600))),
                    "The longest a request with `Prefer: wait` waits for its set-up.")
                Field.key(
                    "max_stream", \.maxStream, .duration(.seconds(1)...(.seconds(86_400))),
                    "The longest a stream of a set-up's events lasts.")
                Field.key("max_keys", \.maxKeys, .integer(1...200), "Third-party keys in one request.")
                Field.key(
                    "vector_size", \.vectorSize, .integer(1...65_536), "Numbers in a vector of a tenant's collection.")
                Field.key("vector_distance", \.vectorDistance, .choice, "How a tenant's collection compares vectors.")
            }
        }

        /// `[atoll.tenancy.validation]`
        package struct Validation: ConfigurationSection {
            package var enabled = true
            package var timeout: Duration = .seconds(5)
            package var addresses: [String: String] = [:]

            package init() {}

            /// The services that can be asked.
            package static let families = [
                "anthropic", "cohere", "deepseek", "elevenlabs", "gemini", "github", "groq", "heygen", "mistral",
                "openai",
                "perplexity", "resend", "sendgrid", "stripe", "twilio", "twitter",
            ]

            static var fields: [ConfigurationField<Validation>] {
                Field.key(
                    "enabled", \.enabled, .boolean,
                    "Whether services are asked about keys: in a set-up, which stores none that is refused, and by `/api/user/api-keys/{service}/validate`."
                )
                Field.key(
                    "timeout", \.timeout, .duration(.milliseconds(10)...(.seconds(60))),
                    "The longest a service may take to answer.")
                Field.values(
                    "addresses", "service", \.addresses,
                    .text("an address such as \"https://api.example.com\"") { text in
                        (text.hasPrefix("https://") || text.hasPrefix("http://")) && !text.contains { $0.isWhitespace }
                    }, names: families, "Where services are asked, in place of their own addresses.")
            }
        }

        /// `[atoll.tenancy.invitation]`
        package struct InvitationMail: ConfigurationSection {
            package var subject: String?
            package var content: String?
            package var contentPath: String?

            package init() {}

            static var fields: [ConfigurationField<InvitationMail>] {
                Field.optional(
                    "subject", \.subject, .text,
                    "As for `[auth.email.template.<name>]`. Placeholders: `.TenantName`, `.InviterName`, `.InviterEmail`, `.Email`, `.Role`, `.ConfirmationURL`, `.Token`, `.ExpiresAt`, `.SiteURL`."
                )
                Field.optional("content", \.content, .text, "The HTML itself.")
                Field.optional(
                    "content_path", \.contentPath, .text, "A file with the HTML, relative to the project's folder.")
            }
        }

        /// `[atoll.tenancy.usage_notice]`
        package struct UsageMail: ConfigurationSection {
            package var enabled = true
            package var subject: String?
            package var content: String?
            package var contentPath: String?

            package init() {}

            static var fields: [ConfigurationField<UsageMail>] {
                Field.key(
                    "enabled", \.enabled, .boolean,
                    "Whether it is sent. The audit log and `GET /api/usage` tell of it either way.")
                Field.optional(
                    "subject", \.subject, .text,
                    "As for `[auth.email.template.<name>]`. Placeholders: `.TenantName`, `.Plan`, `.Metric`, `.Level` (`soft`, `hard`), `.Used`, `.Limit`, `.Percent`, `.ResetAt`, `.SiteURL`."
                )
                Field.optional("content", \.content, .text, "The HTML itself.")
                Field.optional(
                    "content_path", \.contentPath, .text, "A file with the HTML, relative to the project's folder.")
            }
        }
    }
}

extension ProjectConfiguration.Atoll {
    /// `[atoll.limits]`
    package struct Limits: ConfigurationSection {
        package var userRequests = 60_000
        package var userBurst = 6000
        package var tenantRequests = 120_000
        package var tenantBurst = 12_000
        package var maxKeys = 65_536

        package init() {}

        static var fields: [ConfigurationField<Limits>] {
            Field.key(
                "user_requests", \.userRequests, .integer(0...1_000_000_000),
                "Requests of one person in a minute, on average; one more is 429. `0` for no limit.")
            Field.key("user_burst", \.userBurst, .integer(1...1_000_000_000), "Requests of one person at once.")
            Field.key(
                "tenant_requests", \.tenantRequests, .integer(0...1_000_000_000),
                "Requests of all people of one tenant in a minute, on average. `0` for no limit.")
            Field.key("tenant_burst", \.tenantBurst, .integer(1...1_000_000_000), "Requests of one tenant at once.")
            Field.key(
                "max_tracked", \.maxKeys, .integer(2...10_000_000),
                "People, and tenants, that are counted; beyond it those unseen for longest are forgotten.")
        }
    }
}
