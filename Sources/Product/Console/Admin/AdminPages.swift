// SPDX-License-Identifier: Apache-2.0
internal import HTTP
package import Isolation
package import Postgres
package import Primitives

/// What operators' pages work on beside the API.
package struct Administration: Sendable {
    /// Reads the schema for faults.
    package typealias Inspect = @Sendable () async throws -> [Finding]

    let owner: Database
    let inspect: Inspect
    /// Whoever composes the server has it run.
    package let check: IsolationCheck
    let logs: LogRing
    let limits: Limits

    /// Bounds of what one page does.
    package struct Limits: Sendable {
        /// Of statements of the SQL editor and the row browser.
        package var statementTimeout: Duration = .seconds(10)
        /// Rows of a result that are shown.
        package var maxRows = 500
        /// Characters of a cell that are shown in a grid.
        package var maxCellCharacters = 200

        package init() {}
    }

    /// - Parameters:
    ///   - owner: logs in as the owner of the project's own schema.
    ///   - logs: the server's latest events.
    package init(
        owner: Database, logs: LogRing, limits: Limits = Limits(), check: IsolationCheck, inspect: @escaping Inspect
    ) {
        self.owner = owner
        self.check = check
        self.inspect = inspect
        self.logs = logs
        self.limits = limits
    }
}

/// The pages below `/admin`.
enum AdminSection: CaseIterable, Sendable {
    case overview, users, tenants, tables, sql, storage, vectors, logs, isolation, advisors

    var path: String {
        switch self {
        case .overview: "/admin"
        case .users: "/admin/users"
        case .tenants: "/admin/tenants"
        case .tables: "/admin/tables"
        case .sql: "/admin/sql"
        case .storage: "/admin/storage"
        case .vectors: "/admin/vectors"
        case .logs: "/admin/logs"
        case .isolation: "/admin/isolation"
        case .advisors: "/admin/advisors"
        }
    }

    var title: Message {
        switch self {
        case .overview: .overview
        case .users: .users
        case .tenants: .tenants
        case .tables: .tables
        case .sql: .sqlEditor
        case .storage: .storage
        case .vectors: .vectors
        case .logs: .logs
        case .isolation: .isolationReport
        case .advisors: .advisors
        }
    }

    var icon: Icon {
        switch self {
        case .overview: .home
        case .users: .person
        case .tenants: .building
        case .tables: .table
        case .sql: .terminal
        case .storage: .folder
        case .vectors: .vector
        case .logs: .list
        case .isolation: .shield
        case .advisors: .warning
        }
    }
}

/// The operators' pages. What passes row level security is reached with an ``Operator`` alone.
struct AdminPages: Sendable {
    let console: Console
    let administration: Administration

    var api: ConsoleAPI { console.api }
    var forms: FormGuard { console.forms }
    var limits: Administration.Limits { administration.limits }

    func register(on router: inout Router) {
        let bytes = Console.maxFormBytes
        router.on(.get, "/admin/signin", console.open { visit in signInPage(visit) })
        router.on(.post, "/admin/signin", maxBodyBytes: bytes, console.open(signIn))
        router.on(.post, "/admin/signout", maxBodyBytes: bytes, console.open(signOut))
        page(.get, "/admin", on: &router, overview)
        registerUsers(on: &router)
        registerTenants(on: &router)
        registerTables(on: &router)
        registerRows(on: &router)
        registerEditor(on: &router)
        registerStorage(on: &router)
        registerVectors(on: &router)
        page(.get, "/admin/logs", on: &router, logs)
        registerInspection(on: &router)
    }

    func page(
        _ method: HTTPMethod, _ path: String, on router: inout Router, maxBodyBytes: Int = Console.maxFormBytes,
        _ handler: @escaping Console.OperatorHandler
    ) {
        router.on(method, path, maxBodyBytes: method == .post ? maxBodyBytes : nil, console.forOperators(handler))
    }

    /// Writes down what an operator did; the database's own audit knows the service role alone.
    func note(_ action: String, _ who: Operator, _ visit: Visit, _ fields: KeyValue...) {
        console.log.write(
            .info, "operator action",
            [
                .field("action", action), .field("operator", who.name), .field("request_id", visit.request.id),
                .field("address", visit.request.remoteAddress),
            ] + fields)
    }

    // MARK: Coming and going

    private func signInPage(_ visit: Visit, problem: Phrase? = nil, status: HTTPStatus = .ok) -> HTTPResponse {
        let next = Console.destination(visit.query.first("next"), otherwise: "/admin")
        return visit.page(.administration, .narrow, status: status) {
            Components.heading(.of(.administration), .of(.operatorSignInText))
            Markup(.form, .method("post"), .action("/admin/signin?next=\(Console.encoded(next))"), .class("card")) {
                Form.token(visit.formToken)
                Form.field(
                    "key", .secretKey, Form.Input(type: "password", maxLength: 4096, takesFocus: true),
                    state: Form.State(errors: problem.map { ["key": $0] } ?? [:]), hint: .of(.secretKeyHint))
                Form.button(.signIn)
            }
            Markup(.p, .class("hint centred")) {
                Markup(
                    .a, .href("/auth/signin?next=\(Console.encoded(next))"), text: .signInAsOperator)
            }
        }
    }

    private func signIn(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        guard let seed = Cookie.all(of: visit.request)[FormGuard.cookieName],
            await api.isSecretKey((form.first("key") ?? "").filter { !$0.isWhitespace }, for: visit.request)
        else {
            console.log.warning(
                "operator refused", .field("request_id", visit.request.id),
                .field("address", visit.request.remoteAddress))
            return signInPage(visit, problem: .of(.wrongSecretKey), status: .forbidden)
        }
        console.log.info(
            "operator signed in", .field("request_id", visit.request.id), .field("address", visit.request.remoteAddress)
        )
        visit.cookies.append(console.operators.cookie(for: seed))
        let next = Console.destination(visit.query.first("next"), otherwise: "/admin")
        return PageResponse.redirect(next.hasPrefix("/admin") ? next : "/admin")
    }

    private func signOut(_ visit: inout Visit) async throws -> HTTPResponse {
        _ = try await forms.form(of: visit.request)
        visit.cookies.append(OperatorGate.cleared)
        return PageResponse.redirect("/")
    }
}
