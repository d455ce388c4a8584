// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Who belongs to the tenant, and who is invited to.
extension Console {
    func registerMembers(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/settings/members", forMembers { visit, person in await membersPage(visit, person) })
        router.on(.post, "/settings/members/role", maxBodyBytes: bytes, forMembers(changeRole))
        router.on(.post, "/settings/members/remove", maxBodyBytes: bytes, forMembers(removeMember))
        router.on(.post, "/settings/invitations", maxBodyBytes: bytes, forMembers(inviteMember))
        router.on(.post, "/settings/invitations/withdraw", maxBodyBytes: bytes, forMembers(withdrawInvitation))
    }

    private static let roles: [(id: String, name: Message)] = [
        ("member", .roleMember), ("admin", .roleAdmin), ("owner", .roleOwner),
    ]

    static func roleName(_ role: String) -> Phrase {
        roles.first { $0.id == role }.map { .of($0.name) } ?? .words(role)
    }

    private func membersPage(_ visit: Visit, _ person: Person, _ outcome: Outcome? = nil) async -> HTTPResponse {
        async let memberAnswer = visit.call(.get, "/api/members")
        async let invitationAnswer = visit.call(.get, "/api/invitations")
        let (found, invited) = await (memberAnswer, invitationAnswer)
        let members = found.body?["members"]?.arrayValue ?? []
        // Those that were withdrawn or accepted are history, which the activity tells.
        let invitations = (invited.body?["invitations"]?.arrayValue ?? []).filter {
            ($0["status"]?.stringValue ?? "pending") == "pending"
        }
        let mayChange = person.isAdministratorOfTenant
        let isPersonal = person.tenant?.isPersonal == true
        return settingsPage(visit, .members, .membersText, status: outcome?.status ?? .ok) {
            Components.section("member-list", .members) {
                outcome.notice("members")
                if !found.isSuccess { Components.notice(found.phrase, isGood: false) }
                Components.table(
                    .members, [.name, .role, .since, .action],
                    rows: members.map { memberRow(visit, person, $0, mayChange: mayChange) })
            }
            if mayChange {
                Components.section("invitation-list", .invitations, .of(.invitationsText)) {
                    outcome.notice("invitations")
                    if !invitations.isEmpty {
                        Components.table(
                            .invitations, [.email, .role, .validUntil, .action],
                            rows: invitations.map { invitationRow(visit, $0) })
                    } else if isPersonal {
                        Components.empty(.people, .personalTenant, .personalTenantText) {
                            Markup(.a, .class("button"), .href("/settings/team#new-team"), text: .newTeam)
                        }
                    } else {
                        Components.empty(.people, .noInvitation)
                    }
                    if !isPersonal { invitationForm(visit, outcome.state("invitations")) }
                }
            }
        }
    }

    private func invitationForm(_ visit: Visit, _ state: Form.State) -> Markup {
        Markup(.form, .method("post"), .action("/settings/invitations"), .class("row-form")) {
            Form.token(visit.formToken)
            Form.field("email", .email, Form.Input(type: "email"), state: state)
            Form.select(
                "role", .role, options: Self.roles.prefix(2).map { ($0.id, .of($0.name)) }, state: state)
            Form.button(.invite)
        }
    }

    private func memberRow(_ visit: Visit, _ person: Person, _ member: JSON, mayChange: Bool) -> [Markup] {
        let id = member["user_id"]?.stringValue ?? member["id"]?.stringValue ?? ""
        let email = member["email"]?.stringValue ?? ""
        let fullName = member["full_name"]?.stringValue ?? ""
        let name = fullName.isEmpty ? email : fullName
        let role = member["role"]?.stringValue ?? ""
        let isOther = id != person.id && role != "owner"
        let cells: [Markup] = [
            Markup(.div, .class("who")) {
                Components.avatar(Person.picture(member["avatar_url"]?.stringValue, of: id), name)
                Markup(.div) {
                    Markup(.strong, data: name)
                    if id == person.id {
                        Markup.data(" ")
                        Components.badge(.you)
                    }
                    if name != email { Markup(.div, .class("hint"), data: email) }
                }
            },
            mayChange && isOther
                ? roleForm(visit, id: id, name: name, role: role) : Markup(.span) { Markup.text(Self.roleName(role)) },
            Components.moment((member["created_at"] ?? member["joined_at"])?.stringValue),
            mayChange && isOther
                ? Form.action(
                    "/settings/members/remove", .remove, token: visit.formToken, about: name, asks: .askRemoveMember,
                    ("user_id", id))
                : .nothing,
        ]
        return cells
    }

    private func roleForm(_ visit: Visit, id: String, name: String, role: String) -> Markup {
        Markup(.form, .method("post"), .action("/settings/members/role"), .class("inline")) {
            Form.token(visit.formToken)
            Form.hidden("user_id", id)
            Markup(.select, .name("role"), .label(.roleOf, name), .class("small")) {
                for choice in Self.roles.prefix(2) {
                    Markup(.option, .value(choice.id), .selected(choice.id == role), text: choice.name)
                }
            }
            Markup(.button, .type("submit"), .class("quiet")) {
                Markup.text(.change)
                Markup(.span, .class("unseen"), data: " \(name)")
            }
        }
    }

    private func invitationRow(_ visit: Visit, _ invitation: JSON) -> [Markup] {
        let email = invitation["email"]?.stringValue ?? ""
        return [
            .data(email), Markup(.span) { Markup.text(Self.roleName(invitation["role"]?.stringValue ?? "")) },
            Components.moment(invitation["expires_at"]?.stringValue),
            Form.action(
                "/settings/invitations/withdraw", .withdraw, token: visit.formToken, about: email,
                ("id", invitation["id"]?.stringValue ?? "")),
        ]
    }

    private func changeRole(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let answer = await visit.call(
            .patch, "/api/members/\(Self.segment(form.first("user_id") ?? ""))",
            ["role": .string(form.first("role") ?? "")])
        guard answer.isSuccess else { return await membersPage(visit, person, Outcome("members", answer)) }
        return PageResponse.redirect(SettingsSection.members.path(done: .roleChanged))
    }

    private func removeMember(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let answer = await visit.call(.delete, "/api/members/\(Self.segment(form.first("user_id") ?? ""))")
        guard answer.isSuccess else { return await membersPage(visit, person, Outcome("members", answer)) }
        return PageResponse.redirect(SettingsSection.members.path(done: .memberRemoved))
    }

    private func inviteMember(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let email = form.first("email") ?? ""
        let role = form.first("role") ?? ""
        let answer = await visit.call(
            .post, "/api/invitations", ["email": .string(email), "role": .string(role)])
        guard answer.isSuccess else {
            return await membersPage(
                visit, person, Outcome("invitations", answer, field: "email", values: ["email": email, "role": role]))
        }
        return PageResponse.redirect(SettingsSection.members.path(done: .invitationSent))
    }

    private func withdrawInvitation(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let answer = await visit.call(.delete, "/api/invitations/\(Self.segment(form.first("id") ?? ""))")
        guard answer.isSuccess else { return await membersPage(visit, person, Outcome("invitations", answer)) }
        return PageResponse.redirect(SettingsSection.members.path(done: .invitationWithdrawn))
    }
}
