// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Tenancy

extension TenancyConfiguration {
    /// What `[atoll.tenancy]` of a project says.
    init(_ project: Project) {
        let settings = project.configuration.atoll.tenancy
        self.init()
        maxBodyBytes = settings.maxBodyBytes
        maxSecretBytes = min(settings.maxSecretBytes, Self.secretByteLimit)
        invitationURL = settings.invitationURL ?? "\(project.apiURL)/invitations/accept"
        siteURL = project.configuration.auth.siteURL
        invitationLifetime = settings.invitationLifetime
        maxPageSize = settings.maxPageSize
        maxUsageDays = settings.maxUsageDays
        exportTimeout = settings.exportTimeout
        setup.maxRuns = settings.setup.maxRuns
        setup.maxWait = settings.setup.maxWait
        setup.maxStream = settings.setup.maxStream
        setup.maxKeys = settings.setup.maxKeys
        setup.vectorSize = settings.setup.vectorSize
        setup.vectorDistance = settings.setup.vectorDistance.rawValue
        validation.isEnabled = settings.validation.enabled
        validation.timeout = settings.validation.timeout
        validation.addresses = settings.validation.addresses
    }
}

extension TenancyRules {
    init(_ settings: ProjectConfiguration.Atoll.Tenancy) {
        self.init()
        maxTeams = settings.maxTeams
        maxMembers = settings.maxMembers
        maxInvitations = settings.maxInvitations
        invitationLifetime = settings.invitationLifetime
        invitationPause = settings.invitationPause
        deletionGrace = settings.deletionGrace
        softLimitPercent = settings.softLimitPercent
    }
}
