// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
package import HTTP
package import Platform
package import Postgres
package import Primitives

/// Takes a tenant from sign-up to a usable home, in steps that are recorded and can be resumed: `/api/setup`, and the two end
/// points `/api/setup-supabase` and `/api/setup-qdrant` for a single step each.
///
/// Everything is done in the name of the person, under row level security. A run is carried on by ``run()``, so that it does not
/// end with the request that started it; while it is, its worker holds a lock that is gone with the process.
package struct SetupService: Sendable {
    /// Makes a collection of the person's tenant unless it is there, and says why it is refused; nil when it is not.
    package typealias MakeCollection = @Sendable (_ name: String, _ person: Principal) async throws -> String?

    /// Makes a tenant's schema from the newest templates, or brings it to them.
    package typealias MakeSchema = @Sendable (_ tenant: UUID) async throws -> (schema: String, version: String?)

    let tenancy: TenancyService
    let locks: Database
    let validator: KeyValidator
    let makeCollection: MakeCollection?
    let makeSchema: MakeSchema?
    let active: ActiveSetups
    let log: Log

    var configuration: TenancyConfiguration.Setup { tenancy.configuration.setup }

    /// - Parameters:
    ///   - locks: logs in as `authenticator`; each run under way holds one of its connections.
    ///   - makeCollection: nil where no vectors are served.
    ///   - makeSchema: nil where tenants share all tables.
    package init(
        tenancy: TenancyService, locks: Database, validator: KeyValidator, makeCollection: MakeCollection?,
        makeSchema: MakeSchema? = nil, log: Log
    ) {
        self.tenancy = tenancy
        self.locks = locks
        self.validator = validator
        self.makeCollection = makeCollection
        self.makeSchema = makeSchema
        active = ActiveSetups(maxCount: tenancy.configuration.setup.maxRuns)
        self.log = log.with(.field("service", "setup"))
    }

    /// Adds the routes.
    package func register(on router: inout Router) {
        let maxBytes = tenancy.configuration.maxBodyBytes
        router.group("/api/setup", errors: tenancy.answer) { router in
            router.on(.get, "/api/setup", show)
            router.on(.post, "/api/setup", maxBodyBytes: maxBytes, start)
            router.on(.post, "/api/setup-supabase", maxBodyBytes: maxBytes) { request in
                try await perform(.schema, request)
            }
            router.on(.post, "/api/setup-qdrant", maxBodyBytes: maxBytes) { request in
                try await perform(.vectorCollection, request)
            }
        }
    }

    // MARK: Requests

    /// The latest run as JSON, or as server-sent events until it rests.
    private func show(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try tenancy.person(request)
        let state = try await state(of: person, request)
        guard request.headers["accept"]?.contains("text/event-stream") == true else {
            return Self.response(state)
        }
        return events(from: state, of: person, request)
    }

    /// Starts a run, or resumes the one that is not completed; a run that is completed is shown unless something new is asked.
    private func start(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try tenancy.person(request)
        let bytes = try await request.body.collect()
        let body = bytes.isEmpty ? JSONObject() : try RequestObject(bytes: bytes).members
        let input = try SetupInput(body, tenancy.configuration)
        let wait = Self.preferredWait(request)
        if input.isEmpty {
            let state = try await state(of: person, request)
            if state["status"] == "completed" { return Self.response(state) }
        }
        let run = try await record(input, person, request)
        guard let gate = active.begin(SetupJob(run: run, person: person, requestID: request.id)) else {
            throw TenancyError(.unavailable, "Too many set-ups are under way, try again in a moment")
        }
        if let wait {
            let deadline = ContinuousClock.now + min(wait, configuration.maxWait)
            while !gate.isOpen, ContinuousClock.now < deadline {
                try await request.loop.sleep(for: Self.pause)
            }
        }
        let state = try await state(of: person, request)
        return Self.response(state, status: state["status"] == "running" ? .accepted : .ok)
    }

    /// Does one step, whatever runs there are, as the seeds' pages ask for it.
    private func perform(_ step: SetupStep, _ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try tenancy.person(request)
        let worker = SetupWorker(service: self, person: person, requestID: request.id)
        let outcome: SetupOutcome
        do {
            outcome = try await worker.perform(step, SetupInput(), run: nil)
        } catch let failure as SetupFailure {
            throw TenancyError(.setupFailed, failure.message)
        }
        var answer: JSONObject = ["success": true]
        switch outcome {
        case .completed(let detail), .skipped(let detail):
            for (name, value) in detail { answer[name] = value }
            _ = try await tenancy.run(
                ["select tenancy.note_setup_step(\(step.rawValue), \(JSON.object(detail))::jsonb)"], as: person, request
            )
        }
        return .json(.object(answer))
    }

    // MARK: State

    /// The interval at which a waiting request looks whether its run rests.
    private static let pause: Duration = .milliseconds(20)

    /// `Prefer: wait=10` (RFC 7240): seconds a client is ready to wait for the end.
    private static func preferredWait(_ request: HTTPRequest) -> Duration? {
        for field in request.headers.values("prefer") {
            for preference in field.split(separator: ",") {
                let parts = preference.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, parts[0].filter({ $0 != " " }).lowercased() == "wait",
                    let seconds = Int(parts[1].filter { $0 != " " }), seconds >= 0
                else { continue }
                return .seconds(min(seconds, 86_400))
            }
        }
        return nil
    }

    /// Makes or finds the run and adds to what it has to do, in one transaction.
    private func record(_ input: SetupInput, _ person: Principal, _ request: HTTPRequest) async throws -> UUID {
        guard let tenant = person.tenantID else { throw TenancyError.noTenant }
        return try await tenancy.database.withTransaction(
            role: person.role.rawValue, settings: tenancy.settings(of: person, requestID: request.id)
        ) { transaction in
            let results = try await transaction.run([
                TenancyService.hasTenant,
                "select run_id, envelope from tenancy.begin_setup(\(SetupStep.names))",
            ])
            try tenancy.requireTenant(results)
            guard let row = results[1].onlyRow, let run = row["run_id"].uuid else {
                throw TenancyError(.internalError, "Internal error")
            }
            guard !input.isEmpty else { return run }
            var whole = try row["envelope"].string.map { try open($0, tenant: tenant) } ?? SetupInput()
            whole.merge(input)
            let sealed = try tenancy.vault.seal(whole.encoded, tenant: tenant, service: SetupInput.sealName)
            try await transaction.run(
                ["select tenancy.put_setup_input(\(run), \(sealed))"]
                    + input.steps.map { "select tenancy.reopen_setup_step(\(run), \($0.rawValue))" })
            return run
        }
    }

    func open(_ sealed: String, tenant: UUID) throws -> SetupInput {
        SetupInput(decoding: try tenancy.vault.open(sealed, tenant: tenant, service: SetupInput.sealName))
    }

    /// The latest run of the person's tenant, as clients see it.
    func state(of person: Principal, _ request: HTTPRequest) async throws -> JSONObject {
        let results = try await tenancy.run(
            [TenancyService.hasTenant, "select tenancy.setup_state()"], as: person, request)
        try tenancy.requireTenant(results)
        guard let text = results[1].onlyRow?[0].string, var state = (try? JSON(parsing: text))?.objectValue else {
            return Self.notStarted
        }
        // Between the request that starts a run and its worker's lock.
        if state["status"] == "interrupted", let run = state["run_id"]?.stringValue.flatMap({ UUID($0) }),
            active.contains(run)
        {
            state["status"] = "running"
        }
        let steps = state["steps"]?.arrayValue ?? []
        state["progress"] = [
            "done": JSON(steps.count { ["completed", "skipped"].contains($0["status"]?.stringValue) }),
            "total": JSON(steps.count),
        ]
        return state
    }

    private static var notStarted: JSONObject {
        [
            "run_id": nil, "status": "not_started", "started_at": nil, "finished_at": nil,
            "steps": .array(
                SetupStep.names.map {
                    [
                        "name": .string($0), "status": "pending", "attempts": 0, "error": nil, "started_at": nil,
                        "finished_at": nil, "duration_ms": nil, "detail": [:],
                    ]
                }),
            "progress": ["done": 0, "total": JSON(SetupStep.allCases.count)],
        ]
    }

    private static func response(_ state: JSONObject, status: HTTPStatus = .ok) -> HTTPResponse {
        var response = HTTPResponse.json(.object(state), status: status)
        response.headers.append("Cache-Control", "private, no-store")
        return response
    }

    // MARK: Events

    /// An event `setup` with the state whenever it has changed, until the run rests.
    private func events(from state: JSONObject, of person: Principal, _ request: HTTPRequest) -> HTTPResponse {
        var response = HTTPResponse(
            .ok, headers: ["Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "private, no-store"])
        response.body = .stream(byteCount: nil) { writer in
            let deadline = ContinuousClock.now + configuration.maxStream
            var lastWritten = ContinuousClock.now
            var shown = JSON.object(state).text
            var status = state["status"]
            try await writer.write(Self.event(shown))
            while status == "running", ContinuousClock.now < deadline {
                try await request.loop.sleep(for: configuration.streamInterval)
                let state = try await self.state(of: person, request)
                status = state["status"]
                let text = JSON.object(state).text
                if text != shown {
                    shown = text
                    try await writer.write(Self.event(text))
                    lastWritten = .now
                } else if ContinuousClock.now - lastWritten > .seconds(15) {
                    // Keeps proxies from closing what seems idle.
                    try await writer.write(Array(": \n\n".utf8))
                    lastWritten = .now
                }
            }
        }
        return response
    }

    private static func event(_ state: String) -> [UInt8] { Array("event: setup\ndata: \(state)\n\n".utf8) }
}
