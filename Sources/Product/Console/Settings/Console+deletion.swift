// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The account: its address, and its end.
extension Console {
    func registerAccount(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/settings/account", forMembers { visit, person in accountPage(visit, person) })
        router.on(.post, "/settings/email", maxBodyBytes: bytes, forMembers(changeAddress))
        router.on(.post, "/settings/account/delete", maxBodyBytes: bytes, forMembers(deleteAccount))
    }

    private func accountPage(_ visit: Visit, _ person: Person, _ outcome: Outcome? = nil) -> HTTPResponse {
        settingsPage(visit, .account, .accountText, status: outcome?.status ?? .ok) {
            Components.section("address", .emailAddress) {
                outcome.notice("email")
                Components.facts([
                    (.email, .data(person.email)), (.identifier, Components.code(person.id)),
                    (.since, Components.moment(person.user["created_at"]?.stringValue)),
                ])
                Markup(.form, .method("post"), .action("/settings/email"), .class("row-form")) {
                    Form.token(visit.formToken)
                    Form.field("email", .newEmail, .email, state: outcome.state("email"))
                    Form.button(.changeEmail)
                }
            }
            Components.section("delete-account", .deleteAccount, .of(.deleteAccountText), kind: "danger-zone") {
                outcome.notice("delete")
                Markup(.form, .method("post"), .action("/settings/account/delete")) {
                    Form.token(visit.formToken)
                    Form.field(
                        "confirmation", .typeToConfirm, Form.Input(type: "email"), state: outcome.state("delete"),
                        hint: .of(.typeAddress, person.email))
                    Form.field("password", .password, .currentPassword, state: outcome.state("delete"))
                    Form.button(.deleteAccount, "danger")
                }
            }
        }
    }

    private func changeAddress(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let email = form.first("email") ?? ""
        let answer = await visit.call(
            .put, "/auth/v1/user?redirect_to=\(siteURL)/auth/signin", ["email": .string(email)])
        guard answer.isSuccess else {
            return accountPage(
                visit, person, Outcome("email", answer, field: "email", values: ["email": email]))
        }
        let isChanged = answer.body?["email"]?.stringValue == email.lowercased()
        return PageResponse.redirect(
            SettingsSection.account.path(done: isChanged ? .emailChanged : .emailChangeSent))
    }

    private func deleteAccount(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        guard form.first("confirmation")?.lowercased() == person.email else {
            return accountPage(
                visit, person, Outcome("delete", Form.State(errors: ["confirmation": .of(.confirmationDiffers)])))
        }
        let answer = await visit.call(
            .delete, "/auth/v1/user", ["password": .string(form.first("password") ?? "")])
        guard answer.isSuccess else {
            return accountPage(visit, person, Outcome("delete", answer, field: "password"))
        }
        visit.session = nil
        visit.cookies += ConsoleSession.cleared
        return PageResponse.redirect("/auth/signin?done=accountDeleted")
    }
}
