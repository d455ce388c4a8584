// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import HTTPClient
internal import Postgres
internal import Primitives

/// The probe while its accounts exist.
struct HTTPProbeRun {
    let server: ProbeServer
    let client: HTTPClient
    let database: Database
    let catalog: Catalog
    let settings: LintSettings
    let progress: ProbeProgress
    let mine: ProbeSession
    let other: ProbeSession
    /// The ids of the functions that may be called with all they do; nil for every function.
    var callableFunctions: Set<Int>? = []
    /// The rows that were made for the probe.
    let made: ProbeRows
    /// What an answer to somebody else must not hold, as bytes.
    private let otherMarks: [[UInt8]]
    var own: RowMaker
    var foreign: RowMaker
    private let log = CrossingLog()
    var crossings: [Crossing] { log.crossings }
    var unserved: [String] { log.unserved }

    init(
        server: ProbeServer, client: HTTPClient, database: Database, catalog: Catalog, settings: LintSettings,
        progress: ProbeProgress, mine: ProbeSession, other: ProbeSession, made: ProbeRows
    ) {
        self.server = server
        self.client = client
        self.database = database
        self.catalog = catalog
        self.settings = settings
        self.progress = progress
        self.mine = mine
        self.other = other
        self.made = made
        otherMarks = other.marks.map { Array($0.utf8) }
        own = RowMaker(catalog: catalog, tenant: mine.tenant)
        foreign = RowMaker(catalog: catalog, tenant: other.tenant)
    }

    mutating func run() async throws {
        try await crossTables()
        try await crossClaims()
        try await crossFunctions()
        try await crossDescription()
        try await crossTokens()
        try await crossConnections()
        try await crossStorage()
        try await crossVectors()
        try await crossAccounts()
        try await crossTenancy()
        try await crossConsole()
        try await crossRealtime()
        recordCaches()
    }

    // MARK: Attempts

    /// Sends a request, judges its answer and notes both.
    ///
    /// - Parameters:
    ///   - fix: what to do about a leak; nil for the usual.
    ///   - leaked: whether the answer, or what became of the other's data, shows a leak. An answer with the other's marks that were
    ///     not in the request is one in any case.
    /// - Returns: the answer, and whether something leaked.
    @discardableResult
    mutating func attempt(
        _ channel: String, _ object: String, _ action: Crossing.Action, _ request: ProbeRequest, fix: String? = nil,
        leaked: (ProbeAnswer) async throws -> Bool
    ) async throws -> (answer: ProbeAnswer, isLeak: Bool) {
        try progress.check()
        let answer = try await server.send(request, by: client)
        return try await judge(channel, object, action, request, answer, fix: fix, leaked: leaked)
    }

    /// As ``attempt(_:_:_:_:fix:leaked:)`` for requests that change nothing, a few at a time.
    ///
    /// - Returns: whether something leaked.
    @discardableResult
    mutating func attempt(
        _ channel: String, _ object: String, _ action: Crossing.Action, all requests: [ProbeRequest],
        fix: String? = nil, leaked: (ProbeAnswer) async throws -> Bool
    ) async throws -> Bool {
        try progress.check()
        let answers = try await server.send(requests, by: client)
        for (request, answer) in zip(requests, answers) {
            // What one form shows the others show: a leak is one, not thirty.
            if try await judge(channel, object, action, request, answer, fix: fix, leaked: leaked).isLeak {
                return true
            }
        }
        return false
    }

    /// Judges an answer and notes it.
    private mutating func judge(
        _ channel: String, _ object: String, _ action: Crossing.Action, _ request: ProbeRequest, _ answer: ProbeAnswer,
        fix: String?, leaked: (ProbeAnswer) async throws -> Bool
    ) async throws -> (answer: ProbeAnswer, isLeak: Bool) {
        noteCaching(channel, request, answer)
        let isLeak: Bool
        if shows(answer, to: request) { isLeak = true } else { isLeak = try await leaked(answer) }
        let outcome: Crossing.Outcome =
            if isLeak { .leaked } else if answer.status >= 500 || answer.status == 429 {
                .untried("the server answered \(answer.status)")
            } else { .held }
        note(channel, object, action, request, outcome, fix)
        return (answer, isLeak)
    }

    /// Fields that say more than the status of an answer.
    private static let tellingFields = ["location", "content-location", "content-disposition", "link"]

    /// Notes an answer that must not show anything of the other's.
    mutating func note(
        _ channel: String, _ object: String, _ action: Crossing.Action, _ request: ProbeRequest, _ answer: ProbeAnswer
    ) async throws {
        _ = try await judge(channel, object, action, request, answer, fix: nil) { _ in false }
    }

    /// Whether an answer, its fields and its errors among it, has marks of the other's that the request did not.
    private func shows(_ answer: ProbeAnswer, to request: ProbeRequest) -> Bool {
        let found = otherMarks.filter { mark in
            answer.body.holds(mark)
                || Self.tellingFields.contains { Array((answer.headers[$0] ?? "").utf8).holds(mark) }
        }
        guard !found.isEmpty else { return false }
        let sent = Array(request.text.utf8)
        return found.contains { !sent.holds($0) }
    }

    mutating func note(
        _ channel: String, _ object: String, _ action: Crossing.Action, _ request: ProbeRequest,
        _ outcome: Crossing.Outcome, _ fix: String? = nil
    ) {
        // What carries its own token, such as a page's cookie, is a member's.
        let caller: Crossing.Caller = if case .visitor = request.caller { .visitor } else { .member }
        log.crossings.append(
            Crossing(
                channel: channel, object: object, action: action, caller: caller, outcome: outcome,
                request: request.curl, fix: fix ?? HTTPFix.text(channel, action, caller)))
    }

    mutating func untried(
        _ channel: String, _ object: String, _ action: Crossing.Action, _ reason: String,
        by caller: Crossing.Caller = .member
    ) {
        log.crossings.append(
            Crossing(
                channel: channel, object: object, action: action, caller: caller, outcome: .untried(reason),
                request: "", fix: ""))
    }

    /// Notes that there is nothing to try, as the server does not serve it.
    mutating func isUnserved(_ what: String) {
        if !log.unserved.contains(what) { log.unserved.append(what) }
    }

    /// Sends a request of the probe's own making, whose answer is no attempt.
    func send(_ request: ProbeRequest) async throws -> ProbeAnswer { try await server.send(request, by: client) }

    /// Runs a statement with all rights.
    ///
    /// - Parameter tenant: in whose name, for defaults and triggers that ask; nobody's for nil.
    func run(_ statement: String, for tenant: ProbeTenant? = nil) async -> Result<PostgresResult, PostgresError> {
        let query = PostgresQuery(sql: statement)
        do {
            guard let tenant else { return .success(try await database.query(query)) }
            let results = try await database.run(
                WorkUnit(settings: [("request.jwt.claims", tenant.claims.text)], queries: [query]))
            return results.last.map(Result.success) ?? .failure(PostgresError(.misuse, "nothing was answered"))
        } catch { return .failure(error) }
    }

    /// The first column of the only row; nil also where the statement fails.
    func value(_ statement: String) async -> String? {
        guard case .success(let result) = await run(statement) else { return nil }
        return result.onlyRow?[0].string
    }

    // MARK: Caches

    /// A shared cache may keep an answer to a request with credentials only where the answer says so (RFC 9111 section 3.5), and to
    /// one with a cookie always.
    private mutating func noteCaching(_ channel: String, _ request: ProbeRequest, _ answer: ProbeAnswer) {
        guard answer.isSuccess, log.cacheable[channel] == nil else { return }
        let control = answer.headers.values("cache-control").joined(separator: ",").lowercased()
        let varies = answer.headers.values("vary").joined(separator: ",").lowercased()
        let isClosed = control.contains("private") || control.contains("no-store") || control.contains("no-cache")
        if request.headers.contains(where: { $0.name == "cookie" }) {
            if !isClosed, !varies.contains("cookie") { log.cacheable[channel] = request }
            return
        }
        guard case .member = request.caller, !isClosed else { return }
        let isOpen = ["public", "s-maxage", "must-revalidate"].contains(where: control.contains)
        if isOpen, !varies.contains("authorization") { log.cacheable[channel] = request }
    }

    private mutating func recordCaches() {
        for channel in Set(crossings.map(\.channel)).sorted() {
            let request = log.cacheable[channel]
            note(
                channel, "shared caches", .share, request ?? ProbeRequest(.get, "/", as: mine),
                request == nil ? .held : .leaked)
        }
    }
}

extension [UInt8] {
    /// Whether these bytes stand somewhere in it.
    func holds(_ part: [UInt8]) -> Bool {
        guard let first = part.first, part.count <= count else { return false }
        return withUnsafeBufferPointer { bytes in
            part.withUnsafeBufferPointer { part in
                var start = 0
                let last = bytes.count - part.count
                while start <= last {
                    if bytes[start] == first, (1..<part.count).allSatisfy({ bytes[start + $0] == part[$0] }) {
                        return true
                    }
                    start += 1
                }
                return false
            }
        }
    }
}

/// Rows by the conditions that find them, in the order they were made.
final class ProbeRows {
    var rows: [(table: Catalog.Relation, identity: String)] = []
}

/// What was tried so far; shared by the copies of a run, which are made for closures.
private final class CrossingLog {
    var crossings: [Crossing] = []
    var unserved: [String] = []
    /// Channels some of whose answers a cache could hand to somebody else, and the first such request.
    var cacheable: [String: ProbeRequest] = [:]
}

/// What to do about a leak.
enum HTTPFix {
    static func text(_ channel: String, _ action: Crossing.Action, _ caller: Crossing.Caller) -> String {
        if action == .share {
            return
                "Answer with `Cache-Control: private` or `Vary: Authorization`; never keep a caller's settings on a connection."
        }
        switch channel {
        case "storage", "tus", "s3":
            return
                "Compare the file's folder or owner with the caller in the policies on storage.objects, in `using` and in `with check`: (storage.foldername(name))[1] = (select auth.uid())::text."
        case "rest", "rpc":
            if caller == .visitor {
                return "Name authenticated in the policy's `to`, and revoke from anon what visitors need not."
            }
            return rest(action)
        case "token": return "Verify the signature and the algorithm of every token before a claim of it is believed."
        default:
            return
                "An export follows the policies of the project's tables: mend those that REST leaks too. Anything else is the platform's part: please report it with the request above."
        }
    }

    private static func rest(_ action: Crossing.Action) -> String {
        switch action {
        case .count: "Filter what is counted by the policy for select; begin unique keys with the tenant column."
        case .embed: "Protect the table that is embedded by a policy of its own; security_invoker for a view."
        case .insert: "Compare the tenant or owner of the new row with the caller in `with check`."
        case .upsert, .update: "Compare the row's tenant or owner with the caller in the policy for update."
        case .delete: "Compare the row's tenant or owner with the caller in the policy for delete."
        case .move: "Repeat the condition of `using` in `with check`."
        case .reference: "Put the tenant column into the foreign key, or look the target up in `with check`."
        case .call: "Take the tenant or person from the token in the function, or make it security invoker."
        case .list: "Serve only the schemas that are meant to be served, and leave `openapi_mode` at follow-privileges."
        case .read, .copy, .sign, .forge, .share:
            "Compare the row's tenant or owner with the caller in the policy for select; security_invoker for a view."
        }
    }
}
