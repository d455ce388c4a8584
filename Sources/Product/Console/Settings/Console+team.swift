// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The tenant itself: its name, another one, its data, and the ways out.
extension Console {
    func registerTeam(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/settings/team", forMembers { visit, person in await teamPage(visit, person) })
        router.on(.post, "/settings/team", maxBodyBytes: bytes, forMembers(renameTeam))
        router.on(.post, "/settings/team/new", maxBodyBytes: bytes, forMembers(makeTeam))
        router.on(.get, "/settings/team/export", forMembers(exportTeam))
        router.on(.post, "/settings/team/leave", maxBodyBytes: bytes, forMembers(leaveTeam))
        router.on(.post, "/settings/team/transfer", maxBodyBytes: bytes, forMembers(transferTeam))
        router.on(.post, "/settings/team/delete", maxBodyBytes: bytes, forMembers(deleteTeam))
        router.on(.post, "/settings/team/restore", maxBodyBytes: bytes, forMembers(restoreTeam))
    }

    private func teamPage(_ visit: Visit, _ person: Person, _ outcome: Outcome? = nil) async -> HTTPResponse {
        async let current = visit.call(.get, "/api/tenants/current")
        async let memberList = visit.call(.get, "/api/members")
        let (answer, memberAnswer) = await (current, memberList)
        let tenant = answer.body?["tenant"] ?? answer.body
        let others = (memberAnswer.body?["members"]?.arrayValue ?? []).filter {
            $0["user_id"]?.stringValue != person.id
        }
        var rename = outcome.state("rename")
        if rename.values["name"] == nil { rename.values["name"] = tenant?["name"]?.stringValue ?? person.tenantName }
        return settingsPage(visit, .team, .teamText, status: outcome?.status ?? .ok) {
            Components.section("this-team", .thisTeam) {
                outcome.notice("rename")
                Components.facts(
                    [
                        (.identifier, Components.code(person.tenantID ?? "–")),
                        (.plan, .data(Self.planName(tenant?["plan"]?.stringValue ?? person.plan))),
                        (.role, .text(Self.roleName(person.tenant?.role ?? "owner"))),
                        (.since, Components.moment(tenant?["created_at"]?.stringValue)),
                    ])
                if person.isAdministratorOfTenant {
                    Markup(.form, .method("post"), .action("/settings/team"), .class("row-form")) {
                        Form.token(visit.formToken)
                        Form.field("name", .name, Form.Input(maxLength: 200), state: rename)
                        Form.button(.rename)
                    }
                }
            }
            Components.section("new-team", .newTeam, .of(.newTeamText)) {
                outcome.notice("new")
                Markup(.form, .method("post"), .action("/settings/team/new"), .class("row-form")) {
                    Form.token(visit.formToken)
                    Form.field(
                        "team_name", .teamName, Form.Input(maxLength: 200), state: outcome.state("new"))
                    Form.button(.makeTeam)
                }
            }
            if person.isAdministratorOfTenant {
                Components.section("export", .export, .of(.exportText)) {
                    Markup(.p) {
                        Markup(.a, .class("button quiet"), .href("/settings/team/export"), text: .downloadExport)
                    }
                }
            }
            dangerZone(visit, person, others: others, isDeleted: tenant?["status"]?.stringValue == "deleted", outcome)
        }
    }

    private func dangerZone(
        _ visit: Visit, _ person: Person, others: [JSON], isDeleted: Bool, _ outcome: Outcome?
    ) -> Markup {
        Components.section("danger", .dangerZone, kind: "danger-zone") {
            outcome.notice("danger")
            if isDeleted {
                Markup(.p, text: .teamIsDeleted)
                Form.action("/settings/team/restore", .restore, "primary", token: visit.formToken)
            }
            if !person.isOwnerOfTenant {
                Markup(.h3, text: .leaveTeam)
                Markup(.p, text: .leaveTeamText)
                Form.action(
                    "/settings/team/leave", .leaveTeam, "danger", token: visit.formToken, asks: .askLeaveTeam)
            }
            if person.isOwnerOfTenant, !others.isEmpty {
                Markup(.h3, text: .transferTeam)
                Markup(.form, .method("post"), .action("/settings/team/transfer"), .class("row-form")) {
                    Form.token(visit.formToken)
                    Form.select(
                        "user_id", .newOwner,
                        options: others.map {
                            ($0["user_id"]?.stringValue ?? "", .words($0["email"]?.stringValue ?? ""))
                        }, state: outcome.state("transfer"), hint: .of(.transferTeamText))
                    Form.button(.transfer, "danger")
                }
            }
            if person.tenant?.isPersonal == true {
                Markup(.p, text: .personalTenantGoes)
                Markup(.p) { Markup(.a, .href("/settings/account"), text: .account) }
            } else if person.isOwnerOfTenant, !isDeleted {
                Markup(.h3, text: .deleteTeam)
                Markup(.form, .method("post"), .action("/settings/team/delete")) {
                    Form.token(visit.formToken)
                    Form.field(
                        "confirmation", .typeToConfirm, Form.Input(maxLength: 200), state: outcome.state("delete"),
                        hint: .of(.deleteTeamText, person.tenantName))
                    Form.button(.deleteTeam, "danger")
                }
            }
        }
    }

    private func renameTeam(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let name = form.first("name") ?? ""
        let answer = await visit.call(.patch, "/api/tenants/current", ["name": .string(name)])
        guard answer.isSuccess else {
            return await teamPage(visit, person, Outcome("rename", answer, field: "name", values: ["name": name]))
        }
        return PageResponse.redirect(SettingsSection.team.path(done: .teamRenamed))
    }

    private func makeTeam(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let name = form.first("team_name") ?? ""
        let answer = await visit.call(.post, "/api/tenants", ["name": .string(name)])
        guard answer.isSuccess else {
            return await teamPage(
                visit, person, Outcome("new", answer, field: "team_name", values: ["team_name": name]))
        }
        if let tenant = (answer.body?["tenant"]?["id"] ?? answer.body?["id"])?.stringValue {
            _ = await enter(tenant, &visit)
        }
        return PageResponse.redirect(SettingsSection.members.path(done: .teamMade))
    }

    private func exportTeam(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        var response = await api.fetch(
            .get, "/api/tenants/current/export", token: visit.session?.accessToken, for: visit.request)
        guard response.status == .ok else {
            let answer = ConsoleAPI.Answer(status: response.status.code, body: ConsoleAPI.json(response))
            return await teamPage(visit, person, Outcome("danger", answer))
        }
        if response.headers["content-disposition"] == nil {
            response.headers.set("Content-Disposition", "attachment; filename=\"export.json\"")
        }
        response.headers.set("X-Content-Type-Options", "nosniff")
        return response
    }

    private func leaveTeam(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        _ = try await visit.form()
        let answer = await visit.call(.post, "/api/tenants/current/leave", [:])
        guard answer.isSuccess else { return await teamPage(visit, person, Outcome("danger", answer)) }
        await goHome(&visit, person)
        return PageResponse.redirect("/dashboard?done=teamLeft")
    }

    /// Goes on in another of the person's tenants, their own first.
    private func goHome(_ visit: inout Visit, _ person: Person) async {
        let others = person.tenants.filter { $0.id != person.tenantID }
        guard let next = others.first(where: \.isPersonal) ?? others.first else { return }
        _ = await enter(next.id, &visit)
    }

    private func transferTeam(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        let answer = await visit.call(
            .post, "/api/tenants/current/transfer", ["user_id": .string(form.first("user_id") ?? "")])
        guard answer.isSuccess else {
            return await teamPage(visit, person, Outcome("transfer", answer, field: "user_id"))
        }
        return PageResponse.redirect(SettingsSection.team.path(done: .teamTransferred))
    }

    private func deleteTeam(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form()
        guard form.first("confirmation") == person.tenantName else {
            return await teamPage(
                visit, person,
                Outcome("delete", Form.State(errors: ["confirmation": .of(.confirmationDiffers)])))
        }
        let answer = await visit.call(.delete, "/api/tenants/current")
        guard answer.isSuccess else {
            return await teamPage(visit, person, Outcome("delete", answer, field: "confirmation"))
        }
        await goHome(&visit, person)
        return PageResponse.redirect("/dashboard?done=teamDeleted")
    }

    private func restoreTeam(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        _ = try await visit.form()
        let answer = await visit.call(.post, "/api/tenants/current/restore", [:])
        guard answer.isSuccess else { return await teamPage(visit, person, Outcome("danger", answer)) }
        return PageResponse.redirect(SettingsSection.team.path(done: .teamRestored))
    }
}
