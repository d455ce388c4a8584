// SPDX-License-Identifier: Apache-2.0
internal import Console
internal import EventLoop
internal import Isolation
internal import Platform
internal import Postgres
internal import Primitives

extension Services {
    /// What operators' pages work on. Its connections are opened when such a page asks for the first time.
    static func administration(
        _ project: Project, owner: Database, probes: Database, logs: LogRing
    ) -> Administration {
        let settings = LintSettings(project.configuration)
        return Administration(owner: owner, logs: logs) { tries in
            let catalog = try await CatalogReader(probes).read()
            let findings = Lint.run(on: catalog, settings)
            guard tries else { return IsolationReport(findings: findings, crossings: []) }
            let tried = try await SQLProbe(probes, catalog: catalog, settings: settings).run()
            return IsolationReport(findings: findings, crossings: tried.crossings)
        }
    }

    /// One connection a loop, which few pages use: the owner of the project's schema reads and writes with it, the database's
    /// administrator makes and undoes probe tenants.
    static func database(
        ofOperators address: PostgresAddress, _ settings: ProjectConfiguration.Atoll.DatabasePools, _ name: String,
        loops: [Loop], log: Log
    ) throws -> Database {
        var configuration = DatabaseConfiguration(settings, address)
        configuration.connectionsPerLoop = 1
        configuration.lanesPerLoop = 0
        configuration.statementTimeout = .seconds(60)
        return try Database(configuration, loops: loops, log: log, name: name)
    }
}

extension LintSettings {
    /// What a project's configuration says.
    init(_ configuration: ProjectConfiguration) {
        self.init()
        exposedSchemas = configuration.api.schemas
        allowsAnonymousSignIns = configuration.auth.enableAnonymousSignIns
        arePlansServed = configuration.atoll.rest.showsPlans
        accessTokenSeconds = Int(configuration.auth.jwtExpiry.components.seconds)
    }
}
