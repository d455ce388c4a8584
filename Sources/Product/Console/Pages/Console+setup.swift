// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The set-up of a new account: who one is, keys and review, and the run with its progress. Each stage is stored when it is sent, so
/// that whoever comes back goes on where they were.
extension Console {
    func registerSetup(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/setup", forMembers(setupPage))
        router.on(.post, "/setup/profile", maxBodyBytes: bytes, forMembers(saveSetupProfile))
        router.on(.get, "/setup/review", forMembers { visit, person in reviewPage(visit, person) })
        router.on(.post, "/setup/start", maxBodyBytes: bytes, forMembers(startSetup))
        router.on(.get, "/setup/progress", forMembers(progressPage))
        router.on(.get, "/setup/events", forMembers(setupEvents))
    }

    /// The keys that are asked for at once; others are added later.
    private static let setupServices = ["openai", "anthropic", "perplexity", "twitter_bearer", "heygen", "twilio"]

    /// Begins the names of fields that hold keys.
    static let setupKeyPrefix = "key."

    // MARK: Stages

    private enum Stage: Int, CaseIterable {
        case you, review, progress

        var title: Message {
            switch self {
            case .you: .aboutYou
            case .review: .keysAndReview
            case .progress: .setUp
            }
        }
    }

    private func stages(_ current: Stage) -> Markup {
        Markup(.ol, .class("stages"), .label(.setUpStages)) {
            for stage in Stage.allCases {
                Markup.element(
                    .li,
                    stage == current
                        ? [.class("current"), .aria("current", "step")]
                        : [.class(stage.rawValue < current.rawValue ? "done" : "")],
                    [Markup(.span, text: stage.title)])
            }
        }
    }

    /// A run that was begun is shown; else the first stage.
    private func setupPage(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let run = SetupRun(await visit.call(.get, "/api/setup").body)
        switch run.status {
        case .running, .failed, .interrupted: return PageResponse.redirect("/setup/progress")
        case .notStarted, .completed: return youPage(visit, person)
        }
    }

    private func youPage(
        _ visit: Visit, _ person: Person, _ state: Form.State = .empty, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        var state = state
        for name in ["full_name", "company_name"] where state.values[name] == nil {
            state.values[name] = person.profile?[name]?.stringValue ?? ""
        }
        return visit.page(.setUp, .narrow, status: status) {
            stages(.you)
            Components.heading(.of(.welcome), .of(.welcomeText))
            if let problem = state.problem { Components.notice(problem, isGood: false) }
            Markup(.form, .method("post"), .action("/setup/profile"), .class("card")) {
                Form.token(visit.formToken)
                Form.field("full_name", .name, .optional(200, autocomplete: "name").focused(), state: state)
                Form.field(
                    "company_name", .company, .optional(200, autocomplete: "organization"), state: state,
                    hint: .of(.optional))
                Form.button(.continue)
            }
            later
        }
    }

    private var later: Markup {
        Markup(.p, .class("hint centred")) { Markup(.a, .href("/dashboard"), text: .later) }
    }

    private func saveSetupProfile(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        var body: JSONObject = [:]
        var values: [String: String] = [:]
        for name in ["full_name", "company_name"] {
            body[name] = .string(form.first(name) ?? "")
            values[name] = form.first(name) ?? ""
        }
        let answer = await visit.call(.patch, "/api/user/profile", .object(body))
        guard answer.isSuccess else {
            return youPage(
                visit, person, Form.State(values: values, problem: answer.phrase), status: answer.pageStatus)
        }
        return PageResponse.redirect("/setup/review")
    }

    private func reviewPage(
        _ visit: Visit, _ person: Person, _ state: Form.State = .empty, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        visit.page(.setUp, .narrow, status: status) {
            stages(.review)
            Components.heading(.of(.keysAndReview), .of(.keysAndReviewText))
            if let problem = state.problem { Components.notice(problem, isGood: false) }
            Markup(.div, .class("card")) {
                Components.facts([
                    (.name, .data(person.name)),
                    (.company, .data(person.profile?["company_name"]?.stringValue ?? "–")),
                    (.tenant, .data(person.tenantName)), (.plan, .data(Self.planName(person.plan))),
                ])
                Markup(.p, .class("more")) { Markup(.a, .href("/setup"), text: .edit) }
            }
            Markup(.form, .method("post"), .action("/setup/start"), .class("card")) {
                Form.token(visit.formToken)
                Markup(.fieldset) {
                    Markup(.legend, text: .yourKeys)
                    Markup(.p, .class("hint"), text: .keyHint)
                    for service in Self.setupServices { setupKeyField(service) }
                }
                if setup.offersSchemas { isolationChoice }
                Markup(.p, text: .whatIsMade)
                Markup(.ul, .class("points small")) {
                    for point in [Message.madeSchema, .madeCollection, .madeSettings] {
                        Markup(.li) {
                            Icon.check.markup
                            Markup(.span, text: point)
                        }
                    }
                }
                Markup(.div, .class("actions")) {
                    Form.button(.startSetUp)
                    Markup(
                        .button, .type("submit"), .class("quiet"), .name("skip"), .value("api_keys"),
                        text: .startWithoutKeys)
                }
            }
            later
        }
    }

    /// How the tenant's rows are kept apart, where the project has templates for schemas.
    private var isolationChoice: Markup {
        Markup(.fieldset) {
            Markup(.legend, text: .howRowsAreKept)
            Form.radio("isolation", "shared", .keptShared, .keptSharedText, isOn: !setup.prefersSchemas)
            Form.radio("isolation", "schema", .keptInSchema, .keptInSchemaText, isOn: setup.prefersSchemas)
        }
    }

    private func setupKeyField(_ service: String) -> Markup {
        let name = "\(Self.setupKeyPrefix)\(service)"
        return Markup(.div, .class("field")) {
            Markup(.label, .for(name), data: Self.serviceName(service))
            Markup(
                .input, .id(name), .name(name), .type("password"), .autocomplete("off"), .maxlength(8192))
        }
    }

    // MARK: The run

    /// Starts the run, or goes on with it: with the keys that were given, or without any.
    private func startSetup(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        var keys: JSONObject = [:]
        for field in form.all where field.name.hasPrefix(Self.setupKeyPrefix) && !field.value.isEmpty {
            keys[String(field.name.dropFirst(Self.setupKeyPrefix.count))] = .string(field.value)
        }
        var body: JSONObject = [:]
        if form.first("skip") == "api_keys" {
            body["skip"] = ["api_keys"]
        } else if !keys.isEmpty {
            body["keys"] = .object(keys)
        }
        if setup.offersSchemas, let mode = form.first("isolation") { body["isolation"] = .string(mode) }
        let answer = await visit.call(.post, "/api/setup", .object(body))
        guard answer.isSuccess else {
            return reviewPage(visit, person, Form.State(problem: answer.phrase), status: answer.pageStatus)
        }
        return PageResponse.redirect("/setup/progress")
    }

    private func progressPage(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let answer = await visit.call(.get, "/api/setup")
        let run = SetupRun(answer.body)
        if run.status == .notStarted { return PageResponse.redirect("/setup") }
        let isRunning = run.status == .running
        return visit.page(.setUp, .narrow, isRefreshed: isRunning) {
            stages(.progress)
            Markup.element(
                .div, [.id("setup-progress")] + (isRunning ? [.hook("follow", "/setup/events")] : []),
                [progress(visit, run)])
        }
    }

    private func progress(_ visit: Visit, _ run: SetupRun) -> Markup {
        let (title, lead): (Message, Message) =
            switch run.status {
            case .completed: (.setUpDone, .setUpDoneText)
            case .failed: (.setUpFailed, .setUpFailedText)
            case .interrupted: (.setUpInterrupted, .setUpInterruptedText)
            case .running, .notStarted: (.settingUp, .settingUpText)
            }
        return Markup(.div) {
            Components.heading(.of(title), .of(lead))
            Markup(
                .progress, .value("\(run.done)"), .svg("max", "\(max(run.steps.count, 1))"), .label(.progress))
            Markup(.ol, .class("steps card"), .aria("live", "polite")) {
                for step in run.steps { setupStep(step) }
            }
            switch run.status {
            case .completed:
                Markup(.p, .class("actions")) {
                    Markup(.a, .class("button"), .href("/dashboard"), text: .toDashboard)
                }
            case .failed, .interrupted: resumption(visit, run)
            case .running, .notStarted: later
            }
        }
    }

    private func setupStep(_ step: SetupRun.Step) -> Markup {
        let (state, icon): (Message, Icon) =
            switch step.status {
            case .pending: (.stepPending, .dots)
            case .running: (.stepRunning, .dots)
            case .failed: (.stepFailed, .cross)
            case .completed: (.stepCompleted, .check)
            case .skipped: (.stepSkipped, .check)
            }
        return Markup(.li, .class("step \(step.status.rawValue)")) {
            icon.markup
            Markup(.div) {
                Markup(.strong) { Markup.text(step.title) }
                Markup(.p, .class("hint")) {
                    Markup.text(state)
                    if let milliseconds = step.milliseconds, step.status == .completed {
                        Markup.data(" · ")
                        Markup.text(.tookMilliseconds, "\(milliseconds)")
                    }
                    if step.attempts > 1 {
                        Markup.data(" · ")
                        Markup.text(.attempts, "\(step.attempts)")
                    }
                }
                if let made = step.made, step.status == .completed {
                    Markup(.p, .class("hint")) { Markup(.code) { Markup.text(made) } }
                }
                if let error = step.error, step.status == .failed { Markup(.p, .class("error"), data: error) }
            }
        }
    }

    /// What can be done about a run that rests: other keys in place of those that were refused, no keys, or simply again.
    private func resumption(_ visit: Visit, _ run: SetupRun) -> Markup {
        Markup(.form, .method("post"), .action("/setup/start"), .class("card")) {
            Form.token(visit.formToken)
            for service in run.failedStep?.refusedKeys ?? [] { setupKeyField(service) }
            Markup(.div, .class("actions")) {
                Form.button(.tryAgain)
                if run.failedStep?.name == "api_keys" {
                    Markup(
                        .button, .type("submit"), .class("quiet"), .name("skip"), .value("api_keys"),
                        text: .goOnWithoutKeys)
                }
            }
        }
    }

    /// The run's events, for `atoll.js`, which loads the page's progress anew with each.
    private func setupEvents(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        await api.fetch(
            .get, "/api/setup", token: visit.session?.accessToken, headers: ["Accept": "text/event-stream"],
            for: visit.request)
    }
}
