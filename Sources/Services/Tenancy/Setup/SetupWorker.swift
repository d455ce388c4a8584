// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension SetupService {
    /// Carries runs on until it is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await job in active.jobs {
                guard let loop = Loop.current else { return }
                group.addTask(executorPreference: loop) {
                    await SetupWorker(service: self, person: job.person, requestID: job.requestID).carryOn(job.run)
                }
            }
        }
    }
}

/// Does the steps of a run, in the name of a person.
struct SetupWorker: Sendable {
    let service: SetupService
    let person: Principal
    let requestID: String

    private var tenancy: TenancyService { service.tenancy }

    /// Does what is left of a run. A step that fails ends it for now; what comes between leaves it as it is.
    func carryOn(_ run: UUID) async {
        do {
            try await service.locks.withTransaction(
                role: person.role.rawValue, settings: tenancy.settings(of: person, requestID: requestID)
            ) { lock in
                // Another server is at it.
                guard try await lock.query("select tenancy.lock_setup(\(run))").onlyRow?[0].bool == true else {
                    service.active.abandon(run)
                    return
                }
                repeat { try await doSteps(of: run) } while !service.active.finish(run)
            }
        } catch {
            service.log.warning(
                "setup interrupted", .field("request_id", requestID), .field("cause", String(describing: error)))
        }
        service.active.abandon(run)
    }

    private func doSteps(of run: UUID) async throws {
        for step in SetupStep.allCases {
            let results = try await unit(["select tenancy.start_setup_step(\(run), \(step.rawValue))"])
            guard results[0].onlyRow?[0].bool == true else { continue }
            guard try await carryOut(step, of: run) else { return }
        }
    }

    /// - Returns: whether the run can go on.
    private func carryOut(_ step: SetupStep, of run: UUID) async throws -> Bool {
        let outcome: SetupOutcome
        do {
            outcome = try await perform(step, try await input(of: run), run: run)
        } catch {
            // A server that stops cancels its work: that is no fault of the step.
            if Task.isCancelled { throw error }
            let failure = describe(error, step)
            try await end(step, of: run, "failed", failure.message, failure.detail)
            return false
        }
        switch outcome {
        case .completed(let detail): try await end(step, of: run, "completed", nil, detail)
        case .skipped(let detail): try await end(step, of: run, "skipped", nil, detail)
        }
        return true
    }

    private func end(
        _ step: SetupStep, of run: UUID, _ status: String, _ failure: String?, _ detail: SetupDetail
    ) async throws {
        try await unit([
            """
            select tenancy.end_setup_step(
                \(run), \(step.rawValue), \(status), \(failure), \(JSON.object(detail))::jsonb)
            """
        ])
    }

    private func input(of run: UUID) async throws -> SetupInput {
        let results = try await unit(["select tenancy.setup_input(\(run))"])
        guard let sealed = results[0].onlyRow?[0].string, let tenant = person.tenantID else { return SetupInput() }
        return try service.open(sealed, tenant: tenant)
    }

    /// In words for the person; what is not theirs to know goes to the log.
    private func describe(_ error: any Error, _ step: SetupStep) -> SetupFailure {
        if let failure = error as? SetupFailure { return failure }
        let known = TenancyError(error)
        if known.code.status.code >= 500 {
            service.log.error(
                "setup step failed", .field("request_id", requestID), .field("step", step.rawValue),
                .field("cause", String(describing: known.cause ?? error)))
        }
        return SetupFailure(message: known.message)
    }

    @discardableResult
    private func unit(_ queries: [PostgresQuery]) async throws -> [PostgresResult] {
        try await tenancy.run(queries, as: person, requestID: requestID)
    }

    // MARK: Steps

    /// Does a step, again if need be: each ends in the state it wants, whatever it finds.
    ///
    /// - Parameter run: nil outside of a run.
    /// - Throws: ``SetupFailure`` and what the person may hear; anything else is the server's own trouble.
    func perform(_ step: SetupStep, _ input: SetupInput, run: UUID?) async throws -> SetupOutcome {
        switch step {
        case .profile: try await storeProfile(input)
        case .apiKeys: try await storeKeys(input, run)
        case .schema: try await makeSchema(input)
        case .vectorCollection: try await makeCollection()
        case .settings: try await storeSettings(input)
        }
    }

    private func storeProfile(_ input: SetupInput) async throws -> SetupOutcome {
        guard !input.profile.isEmpty else { return .completed([:]) }
        try await unit([TenancyService.changeProfile(input.profile)])
        return .completed(["changed": .array(input.profile.names.map { .string($0) })])
    }

    /// Stores every key that its service does not refuse; fails when it refuses one.
    private func storeKeys(_ input: SetupInput, _ run: UUID?) async throws -> SetupOutcome {
        guard !input.keys.isEmpty else { return .skipped([:]) }
        let outcomes = try await outcomes(of: input.keys)
        var detail = SetupDetail()
        var stored: [String] = []
        for (name, outcome) in outcomes.sorted(by: { $0.key < $1.key }) {
            detail[name] = .string(outcome.stored ?? "not tried")
            guard outcome != .invalid, let key = input.keys[name] else { continue }
            try await tenancy.store(key, service: name, validation: outcome.stored, as: person, requestID: requestID)
            stored.append(name)
        }
        if let run { try await forget(stored, of: run) }
        let refused = outcomes.filter { $0.value == .invalid }.keys.sorted()
        guard refused.isEmpty else {
            throw SetupFailure(
                message: "\(refused.joined(separator: ", ")): the service refuses the key",
                detail: ["keys": .object(detail), "refused": .array(refused.map { .string($0) })])
        }
        return .completed(["keys": .object(detail)])
    }

    /// Asks all services at once, so that one which does not answer costs its time alone.
    private func outcomes(of keys: [String: SecretString]) async throws -> [String: KeyValidator.Outcome] {
        guard let loop = Loop.current else { return [:] }
        return try await withThrowingTaskGroup(of: (String, KeyValidator.Outcome).self) { group in
            for (name, key) in keys {
                group.addTask(executorPreference: loop) {
                    let outcome = try await service.validator.outcome(of: key, for: name) { other in
                        if let given = keys[other] { return given }
                        return try await tenancy.vault.secret(for: other, of: person)
                    }
                    return (name, outcome)
                }
            }
            var outcomes: [String: KeyValidator.Outcome] = [:]
            for try await (name, outcome) in group { outcomes[name] = outcome }
            return outcomes
        }
    }

    /// Takes stored keys out of the run's input: they are sealed where they belong, and are not tried again.
    private func forget(_ services: [String], of run: UUID) async throws {
        guard !services.isEmpty, let tenant = person.tenantID else { return }
        try await tenancy.database.withTransaction(
            role: person.role.rawValue, settings: tenancy.settings(of: person, requestID: requestID)
        ) { transaction in
            let sealed = try await transaction.query("select tenancy.setup_input(\(run))").onlyRow?[0].string
            guard let sealed else { return }
            var input = try service.open(sealed, tenant: tenant)
            for name in services { input.keys[name] = nil }
            let left = try tenancy.vault.seal(input.encoded, tenant: tenant, service: SetupInput.sealName)
            try await transaction.query("select tenancy.put_setup_input(\(run), \(left))")
        }
    }

    private func makeSchema(_ input: SetupInput) async throws -> SetupOutcome {
        var queries: [PostgresQuery] = []
        if let mode = input.isolation { queries.append("select tenancy.set_isolation(\(mode))") }
        queries += [
            "select tenancy.require_admin()",
            "select isolation from tenancy.tenants where id = (select tenancy.current_tenant())",
        ]
        let mode: String
        do {
            mode = try await unit(queries).last?.onlyRow?[0].string ?? "shared"
        } catch let error as PostgresError where error.sqlState == "55000" {
            throw SetupFailure(message: error.message)
        }
        guard mode == "schema", let tenant = person.tenantID else { return .completed(["isolation": .string(mode)]) }
        guard let makeSchema = service.makeSchema else {
            throw SetupFailure(message: "This project has no schemas of tenants' own")
        }
        do {
            let made = try await makeSchema(tenant)
            return .completed([
                "isolation": "schema", "schema": .string(made.schema), "version": JSON(made.version),
            ])
        } catch let error as MigrationError {
            service.log.error(
                "tenant schema not made", .field("request_id", requestID), .field("tenant", tenant.description),
                .field("error", error.message))
            throw SetupFailure(message: error.message)
        }
    }

    private func makeCollection() async throws -> SetupOutcome {
        let results = try await unit(["select tenancy.setup_collection()"])
        guard let make = service.makeCollection, let name = results[0].onlyRow?[0].string else {
            return .skipped(["reason": "no vectors are served"])
        }
        if let refusal = try await make(name, person) { throw SetupFailure(message: refusal) }
        try await unit(["select tenancy.store_collection()"])
        return .completed([
            "collection_name": .string(name), "size": JSON(service.configuration.vectorSize),
            "distance": .string(service.configuration.vectorDistance),
        ])
    }

    private func storeSettings(_ input: SetupInput) async throws -> SetupOutcome {
        try await unit([
            """
            update tenancy.settings as s
            set preferences = s.preferences || \(JSON.object(input.preferences))::jsonb
            where s.tenant_id = (select tenancy.current_tenant())
            """,
            "update tenancy.profiles set setup_completed = true where user_id = (select auth.uid())",
        ])
        return .completed([:])
    }
}
