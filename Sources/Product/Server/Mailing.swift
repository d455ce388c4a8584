// SPDX-License-Identifier: Apache-2.0
internal import Auth
internal import EventLoop
internal import Glibc
internal import HTTP
internal import HTTPClient
internal import Jobs
internal import Mail
internal import MailCatcher
internal import Platform
internal import Postgres
internal import Primitives
internal import Processes
internal import Tenancy

/// How a project's mail leaves: its mail server, or the catcher while there is none.
struct Mailing: Sendable {
    /// What Auth sends by.
    let messaging: AuthMessaging
    /// What Tenancy sends by.
    let invitations: InvitationMailer
    private let sender: Mailbox
    /// Nil when nothing is caught.
    private let catcher: MailCatcher?
    private let transport: MailTransport
    private let client: HTTPClient
    private let project: Project

    /// - Throws: `ProjectError` for a template or a sender that cannot be used.
    init(_ project: Project, loops: [Loop]) throws {
        self.project = project
        let settings = project.configuration.atoll.mail
        var outgoing = HTTPClientConfiguration()
        outgoing.certificateAuthorityFile = settings.certificateAuthorities.map(project.path)
        client = try HTTPClient(outgoing, loops: loops)

        let inbox = project.configuration.mailCatcher
        let smtp = project.configuration.auth.email.smtp.flatMap { $0.enabled ? $0 : nil }
        let store = MailStore(maxMails: settings.maxCaught, maxBytes: settings.maxCaughtBytes)
        catcher =
            inbox.enabled && (smtp == nil || inbox.smtpPort != nil)
            ? MailCatcher(
                store: store, isLocalOnly: settings.catcherHost.hasPrefix("127.") || settings.catcherHost == "::1",
                version: ServerVersion.current) : nil
        if let smtp {
            transport = .smtp(client, SMTPServer(smtp, settings))
        } else {
            transport = .catcher { sender, recipient, message in
                store.add(CaughtMail(sender: sender, recipients: [recipient], raw: message))
            }
        }
        let sender = smtp.map { ($0.adminEmail, $0.senderName) } ?? (inbox.adminEmail, inbox.senderName)
        let outbox = MailOutbox(JobQueue(settings), keyring: project.secrets.keyring)
        var mailer: AuthMailer
        do {
            mailer = try AuthMailer(
                outbox: outbox, sender: try Mailbox(sender.0, name: sender.1), templates: try Self.templates(project))
        } catch let error as MailError {
            throw ProjectError(
                "mail cannot be sent as configured: \(error)",
                next: "set `admin_email` and `sender_name` under [auth.email.smtp] in supabase/config.toml")
        }
        invitations = try Self.invitationMailer(
            project, outbox: MailOutbox(JobQueue(settings, name: "invitations"), keyring: project.secrets.keyring),
            sender: mailer.sender)
        self.sender = mailer.sender
        mailer.isLimited = smtp != nil
        let notices = project.configuration.auth.email.notifications
        mailer.notices = Set(AuthMailKind.allCases.filter { $0.isNotice && notices[$0.rawValue]?.enabled == true })
        messaging = AuthMessaging(
            mailer: mailer, messenger: try Self.messenger(project), codeKey: project.secrets.oneTimeCodeKey)
    }

    // MARK: Configuration

    private static func templates(_ project: Project) throws -> [AuthMailKind: AuthMailTemplate] {
        let email = project.configuration.auth.email
        var templates: [AuthMailKind: AuthMailTemplate] = [:]
        for kind in AuthMailKind.allCases {
            let name = kind.rawValue
            let subject = kind.isNotice ? email.notifications[name]?.subject : email.templates[name]?.subject
            let content = kind.isNotice ? email.notifications[name]?.content : email.templates[name]?.content
            let path = kind.isNotice ? email.notifications[name]?.contentPath : email.templates[name]?.contentPath
            guard subject != nil || content != nil || path != nil else { continue }
            let key = "[auth.email.\(kind.isNotice ? "notification" : "template").\(name)]"
            let html = try content ?? path.map { try text(of: $0, key, project) } ?? kind.builtIn.html
            do {
                templates[kind] = try AuthMailTemplate(subject: subject ?? kind.builtIn.subject, html: html)
            } catch {
                throw ProjectError("the template of \(key) cannot be read: \(error)", next: "mend it")
            }
        }
        return templates
    }

    private static func invitationMailer(
        _ project: Project, outbox: MailOutbox, sender: Mailbox
    ) throws -> InvitationMailer {
        let key = "[atoll.tenancy.invitation]"
        let mail = project.configuration.atoll.tenancy.invitation
        let html = try mail.content ?? mail.contentPath.map { try text(of: $0, key, project) }
        do {
            return try InvitationMailer(outbox: outbox, sender: sender, subject: mail.subject, html: html)
        } catch {
            throw ProjectError("the template of \(key) cannot be read: \(error)", next: "mend it")
        }
    }

    /// What tells of limits that come near; nil where that is switched off.
    ///
    /// - Parameter database: logs in as `atoll_tenancy`, whose the mails are.
    /// - Throws: `ProjectError` for a template that cannot be used.
    func usageNotices(from database: Database, log: Log) throws -> UsageNotices? {
        let key = "[atoll.tenancy.usage_notice]"
        let mail = project.configuration.atoll.tenancy.usageNotice
        guard mail.enabled else { return nil }
        let html = try mail.content ?? mail.contentPath.map { try Self.text(of: $0, key, project) }
        do {
            return try UsageNotices(
                database: database, outbox: invitations.outbox, sender: sender, subject: mail.subject, html: html,
                siteURL: project.configuration.auth.siteURL, log: log)
        } catch {
            throw ProjectError("the template of \(key) cannot be read: \(error)", next: "mend it")
        }
    }

    private static let maxTemplateBytes = 1 << 20

    /// Paths of templates are relative to the project's folder, as for the Supabase CLI.
    private static func text(of path: String, _ key: String, _ project: Project) throws -> String {
        let full = path.hasPrefix("/") ? path : "\(project.folder)/\(path)"
        guard let text = FileSystem.read(full, maxBytes: maxTemplateBytes) else {
            throw ProjectError(
                "the template \(full) cannot be read", next: "mend `content_path` of \(key) in supabase/config.toml")
        }
        return text
    }

    private static func messenger(_ project: Project) throws -> AuthMessenger {
        let sms = project.configuration.auth.sms
        var messenger: AuthMessenger
        do {
            messenger = AuthMessenger(provider: provider(sms), template: try MailTemplate(sms.template))
        } catch {
            throw ProjectError("`template` of [auth.sms] cannot be read: \(error)", next: "mend it")
        }
        messenger.baseURL = project.configuration.atoll.auth.smsBaseURL
        messenger.testCodes = Dictionary(
            sms.testOTP.map { ($0.key.filter(\.isNumber), $0.value) }, uniquingKeysWith: { first, _ in first })
        return messenger
    }

    /// Whether somebody is configured who sends text messages.
    static func sendsMessages(_ sms: ProjectConfiguration.Auth.SMS) -> Bool { provider(sms) != nil }

    private static func provider(_ sms: ProjectConfiguration.Auth.SMS) -> AuthMessenger.Provider? {
        let none = SecretString("")
        if sms.twilio.enabled {
            return .twilio(
                account: sms.twilio.accountSID, sender: sms.twilio.messageServiceSID,
                token: sms.twilio.authToken ?? none)
        }
        if sms.twilioVerify.enabled {
            return .twilioVerify(
                account: sms.twilioVerify.accountSID, service: sms.twilioVerify.messageServiceSID,
                token: sms.twilioVerify.authToken ?? none)
        }
        if sms.messagebird.enabled {
            return .messagebird(originator: sms.messagebird.originator, accessKey: sms.messagebird.accessKey ?? none)
        }
        if sms.textlocal.enabled {
            return .textlocal(sender: sms.textlocal.sender, apiKey: sms.textlocal.apiKey ?? none)
        }
        if sms.vonage.enabled {
            return .vonage(
                from: sms.vonage.from, apiKey: sms.vonage.apiKey, apiSecret: sms.vonage.apiSecret ?? none)
        }
        return nil
    }

    // MARK: Life

    /// Sends what Auth queues until the task is cancelled.
    func send(from database: Database, loop: Loop, log: Log, metrics: Metrics) async {
        await messaging.mailer.outbox.worker(transport, database: database, loop: loop, log: log, metrics: metrics)
            .run()
    }

    /// Sends the invitations that Tenancy queues until the task is cancelled.
    ///
    /// - Parameter database: logs in as `atoll_tenancy`, whose the mails are.
    func sendInvitations(from database: Database, loop: Loop, log: Log, metrics: Metrics) async {
        await invitations.outbox.worker(transport, database: database, loop: loop, log: log, metrics: metrics).run()
    }

    /// Serves what was caught until the task is cancelled.
    ///
    /// - Throws: `ProjectError` when a port is in use.
    func serve(on loop: Loop) async throws {
        guard let catcher else { return }
        let inbox = project.configuration.mailCatcher
        let host = project.configuration.atoll.mail.catcherHost
        var router = Router()
        catcher.register(on: &router)
        var http = HTTPServerConfiguration()
        http.host = host
        http.port = UInt16(inbox.port)
        http.maxConnections = 200
        let server = try Self.binding("[inbucket] port", inbox.port) { [http, router] in
            try HTTPServer(http, router: router, loops: [loop])
        }
        guard let port = inbox.smtpPort else {
            await server.run()
            return
        }
        let listener = try Self.binding("[inbucket] smtp_port", port) {
            try SMTPListener(
                host: host, port: UInt16(port), store: catcher.store, maxMessageBytes: 10 << 20, loop: loop)
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask(executorPreference: loop) { await server.run() }
            group.addTask(executorPreference: loop) { try await listener.run() }
        }
    }

    private static func binding<T>(_ key: String, _ port: Int, _ bind: () throws -> T) throws -> T {
        do { return try bind() } catch let error as SystemError where error.code == EADDRINUSE {
            throw ProjectError(
                "port \(port) is in use by another program",
                next: "stop that program, or set another `\(key)` in supabase/config.toml")
        }
    }

    func shutdown() async { await client.shutdown() }
}

extension SMTPServer {
    fileprivate init(
        _ smtp: ProjectConfiguration.Auth.SMTP, _ settings: ProjectConfiguration.Atoll.Mail
    ) {
        let isLocal = ["localhost", "::1"].contains(smtp.host) || smtp.host.hasPrefix("127.")
        let security: Security =
            switch settings.security {
            case .tls: .tls
            case .startTLS: .startTLS
            case .opportunistic: .opportunistic
            case .plain: .plain
            case .automatic: smtp.port == 465 ? .tls : isLocal ? .opportunistic : .startTLS
            }
        self.init(
            host: smtp.host, port: smtp.port, security: security, user: smtp.user.isEmpty ? nil : smtp.user,
            password: smtp.password)
        clientName = settings.clientName
        connectTimeout = settings.connectTimeout
        timeout = settings.timeout
    }
}

extension JobQueue {
    fileprivate init(_ settings: ProjectConfiguration.Atoll.Mail, name: String = "mail") {
        self.init(name)
        maxAttempts = settings.maxAttempts
        firstDelay = settings.firstRetryDelay
        maxDelay = settings.maxRetryDelay
        lease = settings.attemptLease
        concurrency = settings.concurrency
        deadRetention = settings.deadRetention
    }
}
