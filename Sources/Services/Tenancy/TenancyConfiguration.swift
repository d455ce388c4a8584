// SPDX-License-Identifier: Apache-2.0

/// The bounds of Tenancy.
package struct TenancyConfiguration: Sendable {
    /// The longest body of a request, in bytes.
    package var maxBodyBytes = 64 << 10
    /// The longest API key that is kept, in bytes; at most ``secretByteLimit``.
    package var maxSecretBytes = 8192
    /// How keys are tried with their services.
    package var validation = Validation()
    /// How tenants are set up.
    package var setup = Setup()

    /// Where the link of an invitation leads; `?token=` follows.
    package var invitationURL = "http://127.0.0.1:54321/invitations/accept"
    /// The project's own site, for mails.
    package var siteURL = ""
    /// How long an invitation holds, as its mail says it; ``TenancyRules/invitationLifetime`` decides.
    package var invitationLifetime: Duration = .seconds(7 * 86_400)
    /// The most entries of a list in one answer.
    package var maxPageSize = 200
    /// The longest stretch of time that usage is told for, in days.
    package var maxUsageDays = 366
    /// How long building an export may take.
    package var exportTimeout: Duration = .seconds(3600)

    /// What the database has room for once it is sealed.
    package static let secretByteLimit = 11_000

    /// Calls to services with the keys that tenants keep for them.
    package struct Validation: Sendable {
        /// Off: no service is ever asked.
        package var isEnabled = true
        /// Of one call, connecting included.
        package var timeout: Duration = .seconds(5)
        /// The largest answer that is read, in bytes.
        package var maxAnswerBytes = 1 << 20
        /// Addresses by the services' families, in place of their own.
        package var addresses: [String: String] = [:]

        package init() {}
    }

    /// Runs of the set-up.
    package struct Setup: Sendable {
        /// Runs under way at a time, each of which holds a connection; more are refused for now.
        package var maxRuns = 8
        /// The longest a request may wait for a run to end.
        package var maxWait: Duration = .seconds(60)
        /// The longest a stream of events lasts.
        package var maxStream: Duration = .seconds(300)
        /// Between two looks at a run that is streamed.
        package var streamInterval: Duration = .milliseconds(100)
        /// Third-party keys of one request.
        package var maxKeys = 50
        /// Numbers a vector of the tenant's collection has.
        package var vectorSize = 1536
        package var vectorDistance = "Cosine"

        package init() {}
    }

    package init() {}
}

/// The bounds that the functions of the schema keep, as a server writes them into `tenancy.rules` when it starts.
package struct TenancyRules: Sendable {
    /// Teams that one person may own.
    package var maxTeams = 20
    /// Members of a team.
    package var maxMembers = 200
    /// Invitations of a team that are open, or were made in the last day.
    package var maxInvitations = 100
    package var invitationLifetime: Duration = .seconds(7 * 86_400)
    /// Between two mails of one invitation.
    package var invitationPause: Duration = .seconds(60)
    /// From the deletion of a team to its removal.
    package var deletionGrace: Duration = .seconds(30 * 86_400)
    /// From what part of a limit on a tenant is warned.
    package var softLimitPercent = 80

    package init() {}
}
