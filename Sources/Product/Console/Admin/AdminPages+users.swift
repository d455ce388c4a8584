// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Users: found, banned, deleted, helped with a link.
extension AdminPages {
    func registerUsers(on router: inout Router) {
        page(.get, "/admin/users", on: &router, users)
        page(.get, "/admin/users/:user", on: &router) { visit, who in try await userPage(visit, who) }
        page(.post, "/admin/users/:user/ban", on: &router) { visit, who in
            try await change(&visit, who, ["ban_duration": "876000h"], "user.ban", .userBanned)
        }
        page(.post, "/admin/users/:user/unban", on: &router) { visit, who in
            try await change(&visit, who, ["ban_duration": "none"], "user.unban", .userUnbanned)
        }
        page(.post, "/admin/users/:user/appoint", on: &router) { visit, who in
            try await change(
                &visit, who, ["app_metadata": ["role": "operator"]], "user.appoint", .operatorAppointed)
        }
        page(.post, "/admin/users/:user/dismiss", on: &router) { visit, who in
            try await change(&visit, who, ["app_metadata": ["role": nil]], "user.dismiss", .operatorDismissed)
        }
        page(.post, "/admin/users/:user/link", on: &router, makeLink)
        page(.post, "/admin/users/:user/delete", on: &router, deleteUser)
    }

    private static let pageSize = 25

    private func users(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let filter = visit.query.first("filter") ?? ""
        var target = "/auth/v1/admin/users?page=\(visit.pageNumber)&per_page=\(Self.pageSize)"
        if !filter.isEmpty { target += "&" + FormFields.encode([("filter", filter)]) }
        let answer = await api.call(.get, target, as: who, for: visit.request)
        let users = answer.body?["users"]?.arrayValue ?? []
        return visit.page(.users, .admin(.users), status: answer.isSuccess ? .ok : answer.pageStatus) {
            Components.heading(.of(.users), .of(.usersText))
            visit.notice
            if !answer.isSuccess { Components.notice(answer.phrase, isGood: false) }
            Markup(.form, .method("get"), .action("/admin/users"), .class("row-form compact"), .role("search")) {
                Form.field("filter", .searchUsers, .optional(254), state: Form.State(values: ["filter": filter]))
                Form.button(.search, "quiet")
            }
            if users.isEmpty {
                Components.empty(.person, .noUsers)
            } else {
                Components.table(
                    .users, [.email, .status, .lastSignIn, .since], rows: users.map { userRow($0) })
            }
            Components.pager(
                filter.isEmpty ? "/admin/users" : "/admin/users?" + FormFields.encode([("filter", filter)]),
                page: visit.pageNumber, hasNext: users.count == Self.pageSize)
        }
    }

    private func userRow(_ user: JSON) -> [Markup] {
        let id = user["id"]?.stringValue ?? ""
        let email = user["email"]?.stringValue ?? ""
        return [
            Markup(.a, .href("/admin/users/\(id)"), data: email.isEmpty ? id : email), badges(user),
            Components.moment(user["last_sign_in_at"]?.stringValue),
            Components.moment(user["created_at"]?.stringValue),
        ]
    }

    private func badges(_ user: JSON) -> Markup {
        Markup(.span, .class("badges")) {
            if Self.isBanned(user) { Components.badge(.banned, "bad") }
            if user["email_confirmed_at"]?.stringValue == nil {
                Components.badge(.unconfirmed, "warn")
            } else {
                Components.badge(.confirmed, "good")
            }
            if Self.isOperator(user) { Components.badge(.operatorBadge, "warn") }
            if user["factors"]?.arrayValue?.contains(where: { $0["status"]?.stringValue == "verified" }) == true {
                Components.badge(.twoFactors)
            }
        }
    }

    private static func isBanned(_ user: JSON) -> Bool {
        user["banned_until"]?.stringValue.flatMap { Timestamp($0) }.map { $0 > .now() } ?? false
    }

    private static func isOperator(_ user: JSON) -> Bool { user["app_metadata"]?["role"]?.stringValue == "operator" }

    // MARK: One user

    private func target(_ visit: Visit) -> String {
        "/auth/v1/admin/users/\(Console.segment(visit.request.parameters["user"] ?? ""))"
    }

    private func address(_ visit: Visit) -> String {
        "/admin/users/\(Console.segment(visit.request.parameters["user"] ?? ""))"
    }

    private func userPage(
        _ visit: Visit, _ who: Operator, link: String? = nil, problem: Phrase? = nil, _ state: Form.State = .empty,
        status: HTTPStatus = .ok
    ) async throws -> HTTPResponse {
        let answer = await api.call(.get, target(visit), as: who, for: visit.request)
        guard answer.isSuccess, let user = answer.body else { throw PageRefusal(.notFound, .noSuchUser) }
        let email = user["email"]?.stringValue ?? ""
        return visit.page(.users, .admin(.users), status: status) {
            Markup(.p, .class("back")) { Markup(.a, .href("/admin/users"), text: .backToUsers) }
            Components.heading(email.isEmpty ? .of(.user) : .words(email)) { badges(user) }
            visit.notice
            if let problem { Components.notice(problem, isGood: false) }
            if let link {
                Components.section("link", .link, .of(.linkText)) {
                    Markup(.p, .class("secret")) { Components.code(link) }
                }
            }
            Components.section("facts", .account) { facts(user) }
            Components.section("help", .help, .of(.helpText)) {
                Markup(.form, .method("post"), .action("\(address(visit))/link"), .class("row-form")) {
                    Form.token(visit.formToken)
                    Form.select(
                        "type", .kindOfLink,
                        options: [("magiclink", .of(.signInLink)), ("recovery", .of(.recoveryLink))])
                    Form.button(.makeLink)
                }
            }
            dangers(visit, user, state)
        }
    }

    private func facts(_ user: JSON) -> Markup {
        Components.facts([
            (.identifier, Components.code(user["id"]?.stringValue ?? "")),
            (.tenant, Components.code(user["app_metadata"]?["tenant_id"]?.stringValue ?? "–")),
            (
                .signsInWith,
                .data(
                    user["app_metadata"]?["providers"]?.arrayValue?.compactMap(\.stringValue)
                        .joined(separator: ", ") ?? "–")
            ),
            (.since, Components.moment(user["created_at"]?.stringValue)),
            (.lastSignIn, Components.moment(user["last_sign_in_at"]?.stringValue)),
        ])
    }

    private func dangers(_ visit: Visit, _ user: JSON, _ state: Form.State) -> Markup {
        let path = address(visit)
        return Components.section("danger", .dangerZone, kind: "danger-zone") {
            Markup(.div, .class("actions")) {
                if Self.isBanned(user) {
                    Form.action("\(path)/unban", .unban, token: visit.formToken)
                } else {
                    Form.action("\(path)/ban", .ban, "danger", token: visit.formToken)
                }
                if Self.isOperator(user) {
                    Form.action("\(path)/dismiss", .dismissOperator, "danger", token: visit.formToken)
                } else {
                    Form.action("\(path)/appoint", .appointOperator, "danger", token: visit.formToken)
                }
            }
            Markup(.h3, text: .deleteUser)
            Markup(.form, .method("post"), .action("\(path)/delete")) {
                Form.token(visit.formToken)
                Form.field(
                    "confirmation", .typeToConfirm, Form.Input(maxLength: 254), state: state,
                    hint: .of(.typeAddress, Self.confirmation(user)))
                Form.button(.deleteUser, "danger")
            }
        }
    }

    /// What must be typed to delete a user: the address, or the id of somebody without one.
    private static func confirmation(_ user: JSON) -> String {
        let email = user["email"]?.stringValue ?? ""
        return email.isEmpty ? user["id"]?.stringValue ?? "" : email
    }

    private func change(
        _ visit: inout Visit, _ who: Operator, _ body: JSON, _ action: String, _ done: Message
    ) async throws -> HTTPResponse {
        _ = try await visit.form(ofTenant: false)
        let answer = await api.call(.put, target(visit), as: who, body: body, for: visit.request)
        guard answer.isSuccess else {
            return try await userPage(visit, who, problem: answer.phrase, status: answer.pageStatus)
        }
        note(action, who, visit, .field("user", visit.request.parameters["user"] ?? ""))
        return PageResponse.redirect("\(address(visit))?done=\(done)")
    }

    private func makeLink(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let user = await api.call(.get, target(visit), as: who, for: visit.request)
        let answer = await api.call(
            .post, "/auth/v1/admin/generate_link", as: who,
            body: [
                "type": .string(form.first("type") ?? ""), "email": .string(user.body?["email"]?.stringValue ?? ""),
            ], for: visit.request)
        guard answer.isSuccess, let link = answer.body?["action_link"]?.stringValue else {
            return try await userPage(visit, who, problem: answer.phrase, status: answer.pageStatus)
        }
        note("user.link", who, visit, .field("user", visit.request.parameters["user"] ?? ""))
        return try await userPage(visit, who, link: link)
    }

    private func deleteUser(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let user = await api.call(.get, target(visit), as: who, for: visit.request)
        guard let found = user.body, form.first("confirmation") == Self.confirmation(found) else {
            return try await userPage(
                visit, who, Form.State(errors: ["confirmation": .of(.confirmationDiffers)]),
                status: .unprocessableContent)
        }
        let answer = await api.call(.delete, target(visit), as: who, for: visit.request)
        guard answer.isSuccess else {
            return try await userPage(visit, who, problem: answer.phrase, status: answer.pageStatus)
        }
        note("user.delete", who, visit, .field("user", visit.request.parameters["user"] ?? ""))
        return PageResponse.redirect("/admin/users?done=\(Message.userDeleted)")
    }
}
