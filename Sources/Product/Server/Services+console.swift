// SPDX-License-Identifier: Apache-2.0
internal import Console
internal import EventLoop
internal import Isolation
internal import Platform
internal import Postgres
internal import Primitives
internal import Processes

extension Services {
    /// What operators' pages work on. Its connections are opened when such a page asks for the first time.
    ///
    /// - Parameter workers: judge the schema, which takes longer than a loop may be kept.
    static func administration(
        _ project: Project, owner: Database, probes: Database, workers: WorkerPool, logs: LogRing, log: Log
    ) -> Administration {
        let settings = LintSettings(project.configuration)
        @Sendable func findings(in catalog: Catalog) async throws -> [Finding] {
            try await workers.run { Lint.run(on: catalog, settings) }
        }
        let check = IsolationCheck(log: log) { progress in
            guard let loop = Loop.current else { preconditionFailure("the check runs on a loop of the server") }
            let catalog = try await CatalogReader(probes).read()
            let findings = try await findings(in: catalog)
            let sql = try await SQLProbe(probes, catalog: catalog, settings: settings).run(progress: progress)
            let probe = HTTPProbe(ProbeServer(project), database: probes, catalog: catalog, settings: settings)
            let http = try await probe.run(quietFunctions: sql.quietFunctions, on: loop, progress: progress)
            return IsolationReport(findings: findings, crossings: sql.crossings + http.crossings, notes: http.left)
        }
        return Administration(owner: owner, logs: logs, check: check) {
            try await findings(in: try await CatalogReader(probes).read())
        }
    }

    /// What the pages offer of what Auth can do.
    static func methods(_ project: Project) -> AccountMethods {
        let auth = project.configuration.auth
        var methods = AccountMethods()
        methods.authenticatorApps = auth.mfa.totp.enrollEnabled && auth.mfa.totp.verifyEnabled
        methods.securityKeys = auth.mfa.webAuthn.enrollEnabled && auth.mfa.webAuthn.verifyEnabled
        let isSMSHooked = auth.hooks["send_sms"]?.enabled == true
        methods.phones =
            auth.mfa.phone.enrollEnabled && auth.mfa.phone.verifyEnabled
            && (Mailing.sendsMessages(auth.sms) || isSMSHooked)
        methods.passkeys = auth.passkey.enabled
        if let captcha = auth.captcha, captcha.enabled,
            let provider = CaptchaWidget.Provider(rawValue: captcha.provider.rawValue)
        {
            let settings = project.configuration.atoll.auth
            methods.captcha = CaptchaWidget(
                provider: provider, siteKey: settings.captchaSiteKey, scriptURL: settings.captchaScriptURL)
        }
        return methods
    }

    static func setup(_ project: Project) -> Console.Setup {
        var setup = Console.Setup()
        setup.offersSchemas = FileSystem.entries(of: TenantSchemaMaker.folder(project)).contains {
            $0.hasSuffix(".sql")
        }
        setup.prefersSchemas = project.configuration.atoll.tenancy.isolation == .schema
        return setup
    }

    private static let maxLanguages = 64
    private static let maxLanguageBytes = 1 << 20

    /// The languages that the project brings besides English: `supabase/languages/CODE.json`.
    ///
    /// - Throws: `ProjectError` for a file that would show as a fault on a page.
    static func languages(_ project: Project) throws(ProjectError) -> [Language] {
        let folder = project.path("languages")
        var languages: [Language] = []
        for name in FileSystem.entries(of: folder).sorted().prefix(maxLanguages) where name.hasSuffix(".json") {
            let path = "\(folder)/\(name)"
            do throws(LanguageProblem) {
                guard let file = FileSystem.read(path, maxBytes: maxLanguageBytes) else {
                    throw LanguageProblem(description: "it cannot be read, or has more than \(maxLanguageBytes) bytes")
                }
                languages.append(try Language(code: String(name.dropLast(5)), file: file))
            } catch {
                throw ProjectError("the language of \(path) cannot be used: \(error)", next: "mend or remove the file")
            }
        }
        return languages
    }

    /// A connection a loop, which few pages use: the owner of the project's schema reads and writes with it, the database's
    /// administrator makes and undoes probe tenants, and has another one beside a check.
    static func database(
        ofOperators address: PostgresAddress, _ settings: ProjectConfiguration.Atoll.DatabasePools, _ name: String,
        connections: Int = 1, loops: [Loop], log: Log
    ) throws -> Database {
        var configuration = DatabaseConfiguration(settings, address)
        configuration.connectionsPerLoop = connections
        configuration.lanesPerLoop = 0
        configuration.statementTimeout = .seconds(60)
        return try Database(configuration, loops: loops, log: log, name: name)
    }
}

extension ProbeServer {
    /// The server itself, as it is reached on this machine.
    init(_ project: Project) {
        self.init(
            url: project.localURL, anonKey: project.secrets.anonKey, serviceKey: project.secrets.serviceRoleKey,
            projectID: project.configuration.projectID)
        certificateAuthorityFile = project.configuration.api.tls.certificatePath.map(project.path)
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
