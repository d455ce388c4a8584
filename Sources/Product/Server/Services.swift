// SPDX-License-Identifier: Apache-2.0
internal import Auth
internal import Console
internal import Cryptography
internal import EventLoop
internal import HTTP
internal import HTTPClient
internal import Jobs
internal import Platform
internal import Postgres
internal import Primitives
internal import REST
internal import Storage
internal import Tenancy
internal import Vectors

/// The services of one project and the databases they use.
struct Services: Sendable {
    /// All routes.
    let router: Router
    /// Those of Qdrant's own port; nil where it is not served.
    let vectorsRouter: Router?
    /// What runs beside the HTTP server until it is cancelled.
    let longLived: [@Sendable () async throws -> Void]
    private let databases: [Database]
    private let client: HTTPClient
    private let qdrant: ExternalQdrant?
    private let files: ProjectFiles?
    /// Run once, before the server takes requests.
    let seeds: BucketSeeds?
    private let mailing: Mailing
    private let schemas: TenantSchemaMaker
    private let removal: TenantRemoval
    private let rules: TenancyRules
    /// What has to be so before anybody is let in.
    private let opening: @Sendable () async throws -> Void

    init(
        _ project: Project, _ logins: DatabaseLogins, loops: [Loop], workers: WorkerPool, log: Log, logs: LogRing,
        metrics: Metrics
    ) throws {
        let settings = project.configuration.atoll.database
        func database(
            _ address: PostgresAddress, _ name: String, logins: [String: Database] = [:]
        ) throws -> Database {
            try Database(
                DatabaseConfiguration(settings, address), loops: loops, log: log, metrics: metrics, name: name,
                logins: logins)
        }
        let service = try database(logins.authenticator, "service")
        let requests = try database(logins.requests, "requests", logins: [Role.serviceRole.rawValue: service])
        let accounts = try database(logins.auth, "auth")
        let builds = try Database(
            Self.buildConfiguration(settings, logins.vectors), loops: loops, log: log, metrics: metrics, name: "vectors"
        )
        let tenancyOwner = try Database(
            Self.tenancyConfiguration(settings, logins.tenancy), loops: loops, log: log, metrics: metrics,
            name: "tenancy")
        var databases = [requests, service, accounts, builds, tenancyOwner]

        let seal = IdentitySeal(key: project.secrets.identityKey)
        let keys = TokenKeys(JWTCodec(keys: try project.tokenKeys(), clockSkew: .seconds(30)), seal: seal)
        let access = AccessControl(
            keys: keys, publishableKeys: [project.secrets.publishableKey], secretKeys: [project.secrets.secretKey])
        let mailing = try Mailing(project, loops: loops)
        self.mailing = mailing
        client = try HTTPClient(loops: loops)
        var issuerLimits = OpenIDIssuer.Limits()
        issuerLimits.pause = project.configuration.atoll.auth.issuerPause
        let thirdParties = ThirdPartyIssuers(
            try ThirdPartyIssuers.Service.all(of: project.configuration.auth.thirdParty), access: access,
            client: client, limits: issuerLimits, log: log)
        let auth = AuthService(
            configuration: try AuthConfiguration(project, version: ServerVersion.current), database: accounts,
            access: access, workers: workers, client: client, messaging: mailing.messaging,
            keyring: project.secrets.keyring, log: log, metrics: metrics)

        var router = Router()
        if !thirdParties.isEmpty { router.preparation = { await thirdParties.prepare(for: $0) } }
        let cors = project.configuration.atoll.cors
        router.cors = CORSPolicy(
            allowedOrigins: cors.allowedOrigins.contains("*") ? nil : cors.allowedOrigins, maxAge: cors.maxAge)
        let qdrant = try Self.externalQdrant(project, loops: loops, metrics: metrics, log: log)
        self.qdrant = qdrant
        var health = Health(database: requests, access: access, metrics: metrics)
        if let qdrant { health.isQdrantReady = { await qdrant.isReady() } }
        health.register(on: &router)
        if project.configuration.auth.enabled { auth.register(on: &router) }
        let limits = RequestLimits(project.configuration.atoll.limits)
        let closed = ClosedTenants(database: tenancyOwner, log: log)
        router.admission = { request in
            closed.refusal(of: request, access) ?? (limits.isEmpty ? nil : limits.refusal(of: request, access))
        }
        opening = {
            try await seal.keep(in: tenancyOwner)
            try await closed.load()
        }
        var restConfiguration = RESTConfiguration(
            project.configuration.api, project.configuration.atoll.rest)
        if project.configuration.atoll.tenancy.executesSQL {
            restConfiguration.platformFunctions = ["tenancy.execute_sql"]
        }
        let schemas = try TenantSchemaMaker(
            project, logins.project, requests: requests, loops: loops, log: log, metrics: metrics)
        self.schemas = schemas
        let schema = SchemaCacheStore(database: requests, configuration: restConfiguration, log: log)
        if project.configuration.api.enabled {
            RESTService(
                restConfiguration, database: requests, store: schema, access: access, tenants: schemas.directory,
                log: log
            )
            .register(on: &router)
        }
        let vault = SecretVault(keyring: project.secrets.keyring, database: requests)
        let tenancy = TenancyConfiguration(project)
        let validator = KeyValidator(tenancy.validation, client: client)
        let projectFiles = project.configuration.storage.enabled ? try ProjectFiles(project, loops: loops) : nil
        files = projectFiles
        let tenants = TenancyService(
            configuration: tenancy, database: requests, access: access, vault: vault, validator: validator,
            parts: Self.tenancyParts(auth, mailing, projectFiles, closed), log: log)
        tenants.register(on: &router)
        removal = TenantRemoval(database: tenancyOwner, log: log)
        rules = TenancyRules(project.configuration.atoll.tenancy)
        let vectors = project.configuration.atoll.vectors
        var longLived: [@Sendable () async throws -> Void] = [
            { await schema.run() }, { await schemas.directory.run() }, { await closed.run() },
        ]
        var vectorsRouter: Router?
        var makeCollection: SetupService.MakeCollection?
        if vectors.enabled, let loop = loops.first {
            let configuration = VectorsConfiguration(vectors)
            let builder = IndexBuilder(
                database: builds, thresholdKilobytes: configuration.indexingThresholdKilobytes,
                interval: configuration.indexingInterval, loop: loop, log: log)
            longLived.append { await builder.run() }
            let service = VectorsService(
                configuration: configuration, database: requests, access: access, builder: builder, external: qdrant,
                metrics: metrics, version: ServerVersion.current, log: log)
            if let qdrant {
                // Not on the connections of index builds, which take their time.
                let owner = try Database(
                    Self.journalConfiguration(settings, logins.vectors), loops: loops, log: log, metrics: metrics,
                    name: "vectors_external")
                databases.append(owner)
                let removal = ExternalRemoval(store: qdrant, database: owner, log: log)
                longLived.append { await removal.run(on: loop, metrics: metrics) }
            }
            service.register(on: &router, prefix: "/vectors/v1")
            EmbeddingsService(
                configuration: EmbeddingsConfiguration(vectors), client: client, vectors: service, log: log,
                meter: UsageMeter(database: requests),
                openSecret: { try await vault.secret(for: $0, of: $1) }
            ).register(on: &router)
            let setup = tenancy.setup
            makeCollection = { name, person in
                try await service.ensureCollection(
                    name, size: setup.vectorSize, distance: setup.vectorDistance, for: person)
            }
            if vectors.port != 0 {
                var own = Router()
                own.cors = router.cors
                own.preparation = router.preparation
                own.admission = router.admission
                service.register(on: &own)
                vectorsRouter = own
            }
        }
        self.vectorsRouter = vectorsRouter
        let locks = try Database(
            Self.lockConfiguration(settings, logins.authenticator, count: tenancy.setup.maxRuns), loops: loops,
            log: log, metrics: metrics, name: "setup")
        databases.append(locks)
        let setup = SetupService(
            tenancy: tenants, locks: locks, validator: validator, makeCollection: makeCollection,
            makeSchema: { try await schemas.make($0) }, log: log)
        setup.register(on: &router)
        longLived.append { await setup.run() }
        if let files = projectFiles {
            let owner = try Database(
                Self.journalConfiguration(settings, logins.storage), loops: loops, log: log, metrics: metrics,
                name: "storage")
            let storageRequests = try database(logins.storageRequests, "storage_requests")
            databases += [owner, storageRequests]
            let storage = try Self.storage(
                project, files, requests: storageRequests, owner: owner, access: access, client: client, log: log)
            storage.register(on: &router)
            longLived.append { await storage.run() }
            if let events = try Self.storageEvents(project, client: client, log: log), let loop = loops.first {
                let worker = events.worker(owner: owner, loop: loop, metrics: metrics)
                longLived.append { await worker.run() }
            }
            seeds = BucketSeeds(project, folder: files.folder, router: router, log: log)
        } else {
            seeds = nil
        }
        let owned = try Self.database(ofOperators: logins.project, settings, "owner", loops: loops, log: log)
        databases.append(owned)
        let probes = try Self.database(
            ofOperators: logins.administrator, settings, "probes", connections: 2, loops: loops, log: log)
        databases.append(probes)
        let administration = Self.administration(
            project, owner: owned, probes: probes, workers: workers, logs: logs, log: log)
        longLived.append { await administration.check.run() }
        let pages = router
        Console(
            api: ConsoleAPI(key: project.secrets.publishableKey, operatorKey: project.secrets.secretKey) {
                await pages.respond(to: $0)
            },
            secret: project.secrets.jwtSecret.bytes, siteURL: project.apiURL, listings: Self.listings(project),
            minPasswordLength: project.configuration.auth.minimumPasswordLength,
            methods: Self.methods(project), setup: Self.setup(project),
            languages: [.english] + (try Self.languages(project)),
            administration: administration, log: log
        ).register(on: &router)
        self.router = router
        let keyWatch = SigningKeyWatch(project, keys, log: log)
        longLived.append { try await keyWatch.run() }
        let masterKeyWatch = EncryptionKeyWatch(project, log: log)
        longLived.append { try await masterKeyWatch.run() }
        longLived.append { try await thirdParties.run() }
        longLived.append { await auth.runRetention() }
        guard let loop = loops.first else { preconditionFailure("a server runs on a loop") }
        longLived.append { try await mailing.serve(on: loop) }
        longLived.append { await mailing.send(from: accounts, loop: loop, log: log, metrics: metrics) }
        longLived.append { await mailing.sendInvitations(from: tenancyOwner, loop: loop, log: log, metrics: metrics) }
        if let notices = try mailing.usageNotices(from: tenancyOwner, log: log) {
            longLived.append { await notices.run() }
        }
        longLived.append { [removal] in await removal.run(on: loop, metrics: metrics) }
        self.longLived = longLived
        self.databases = databases
    }

    private static func listings(_ project: Project) -> [Console.Listing] {
        let database = project.configuration.atoll.database.url == nil
        return [
            Console.Listing(name: "Auth", address: "\(project.apiURL)/auth/v1"),
            Console.Listing(name: "REST", address: "\(project.apiURL)/rest/v1"),
            Console.Listing(name: "Storage", address: "\(project.apiURL)/storage/v1"),
            Console.Listing(name: "Tenancy", address: "\(project.apiURL)/api"),
            Console.Listing(name: "Vectors", address: "\(project.apiURL)/vectors/v1"),
            Console.Listing(
                name: "PostgreSQL",
                address: database
                    ? "127.0.0.1:\(project.configuration.database.port)" : "the server that DATABASE_URL names"),
            Console.Listing(name: "Health", address: "\(project.apiURL)/health"),
            Console.Listing(name: "Metrics", address: "\(project.apiURL)/metrics"),
        ]
    }

    /// Index builds run for as long as they take, two at a time at most.
    private static func buildConfiguration(
        _ settings: ProjectConfiguration.Atoll.DatabasePools, _ address: PostgresAddress
    ) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(settings, address)
        configuration.connectionsPerLoop = 2
        configuration.lanesPerLoop = 0
        configuration.statementTimeout = .zero
        return configuration
    }

    /// Each run of a set-up holds a connection for as long as it takes, and does its work on others.
    private static func lockConfiguration(
        _ settings: ProjectConfiguration.Atoll.DatabasePools, _ address: PostgresAddress, count: Int
    ) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(settings, address)
        configuration.connectionsPerLoop = count
        configuration.lanesPerLoop = 0
        configuration.idleTransactionTimeout = .zero
        return configuration
    }

    /// What the database has to know before requests come: the configured bounds, and what tenants with schemas of their own have in
    /// common.
    func prepare() async throws {
        try await opening()
        try await removal.keep(rules)
        try await schemas.prepare()
    }

    /// What Storage and Vectors do on their own account is short and rare beside what requests do.
    private static func journalConfiguration(
        _ settings: ProjectConfiguration.Atoll.DatabasePools, _ address: PostgresAddress
    ) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(settings, address)
        configuration.connectionsPerLoop = min(settings.poolSize, 4)
        return configuration
    }

    /// Closes the databases' connections once their work is done.
    func shutdown() async {
        await client.shutdown()
        await qdrant?.shutdown()
        await files?.shutdown()
        await mailing.shutdown()
        await schemas.shutdown()
        for database in databases { await database.shutdown() }
    }
}

extension DatabaseConfiguration {
    init(_ settings: ProjectConfiguration.Atoll.DatabasePools, _ address: PostgresAddress) {
        self.init(address: address)
        connectionsPerLoop = settings.poolSize
        lanesPerLoop = settings.lanes
        laneDepth = settings.laneDepth
        laneTimeout = settings.laneTimeout
        maxWaiting = settings.maxWaiting
        waitTimeout = settings.waitTimeout
        connectTimeout = settings.connectTimeout
        minReconnectDelay = settings.minReconnectDelay
        maxReconnectDelay = settings.maxReconnectDelay
        statementTimeout = settings.statementTimeout
        idleTransactionTimeout = settings.idleTransactionTimeout
        cancelTimeout = settings.cancelTimeout
        maxPreparedStatements = settings.maxPreparedStatements
        maxPreparedBytes = settings.maxPreparedBytes
        maxBufferedNotifications = settings.maxBufferedNotifications
    }
}

/// What this program calls itself.
package enum ServerVersion {
    /// As in CHANGELOG.md.
    package static let current = "0.1.0"
}
