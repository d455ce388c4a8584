// SPDX-License-Identifier: Apache-2.0
internal import Auth
internal import Platform
internal import Postgres
internal import Primitives
internal import Storage
internal import Tenancy

extension Services {
    /// What Tenancy needs of the other services.
    static func tenancyParts(
        _ auth: AuthService, _ mailing: Mailing, _ files: ProjectFiles?, _ closed: ClosedTenants
    ) -> TenancyParts {
        var parts = TenancyParts()
        parts.statusChanged = { try await closed.load($0) }
        parts.switchTenant = { user, session, tenant, request in
            try await auth.switchTenant(of: user, session: session, to: tenant, request)
        }
        parts.invitations = mailing.invitations
        if let store = files?.store {
            parts.readObject = { version, range, take in try await store.read(version, range, take) }
        }
        return parts
    }

    /// Work beside requests: few connections, and as long as it takes.
    static func tenancyConfiguration(
        _ settings: ProjectConfiguration.Atoll.DatabasePools, _ address: PostgresAddress
    ) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(settings, address)
        configuration.connectionsPerLoop = 2
        configuration.lanesPerLoop = 0
        configuration.statementTimeout = .seconds(600)
        return configuration
    }
}

extension RequestLimits {
    /// What `[atoll.limits]` of a project says.
    convenience init(_ settings: ProjectConfiguration.Atoll.Limits) {
        func limit(_ count: Int, _ burst: Int) -> TokenBucketLimit? {
            count == 0 ? nil : TokenBucketLimit(count: count, interval: .seconds(60), burst: burst)
        }
        self.init(
            people: limit(settings.userRequests, settings.userBurst),
            tenants: limit(settings.tenantRequests, settings.tenantBurst), maxKeys: settings.maxKeys)
    }
}
