// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Where the link of an invitation leads, and switching between tenants.
extension Console {
    func registerInvitations(on router: inout Router) {
        let bytes = Self.maxFormBytes
        router.on(.get, "/invitations/accept", open(invitationPage))
        router.on(.post, "/invitations/accept", maxBodyBytes: bytes, forMembers(acceptInvitation))
        router.on(.post, "/tenant/switch", maxBodyBytes: bytes, forMembers(switchTenant))
    }

    /// People who are not signed in choose between signing in and making an account; both come back here.
    private func invitationPage(_ visit: inout Visit) async throws -> HTTPResponse {
        let token = visit.query.first("token") ?? ""
        let person = try await person(&visit)
        return invitationPage(visit, person, token: token)
    }

    private func invitationPage(
        _ visit: Visit, _ person: Person?, token: String, problem: Phrase? = nil, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        let here = Self.encoded("/invitations/accept?token=\(token)")
        return visit.page(.invitation, .narrow, status: status) {
            Components.heading(.of(.invitation), .of(.invitationText))
            if let problem { Components.notice(problem, isGood: false) }
            Markup(.div, .class("card")) {
                if let person {
                    Markup(.p, text: .acceptAs, person.email)
                    Markup(.form, .method("post"), .action("/invitations/accept")) {
                        Form.token(visit.formToken)
                        Form.hidden("token", token)
                        Form.button(.accept)
                    }
                } else {
                    Markup(.p, text: .acceptSignedIn)
                    Markup(.p, .class("actions")) {
                        Markup(.a, .class("button"), .href("/auth/signup?next=\(here)"), text: .signUp)
                        Markup(.a, .class("button quiet"), .href("/auth/signin?next=\(here)"), text: .signIn)
                    }
                }
            }
        }
    }

    private func acceptInvitation(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let token = form.first("token") ?? ""
        let answer = await visit.call(.post, "/api/invitations/accept", ["token": .string(token)])
        guard answer.isSuccess else {
            return invitationPage(visit, person, token: token, problem: answer.phrase, status: answer.pageStatus)
        }
        if let session = ConsoleSession(answer.body) ?? ConsoleSession(answer.body?["session"]) {
            visit.session = session
        } else if let tenant = (answer.body?["tenant_id"] ?? answer.body?["tenant"]?["id"])?.stringValue {
            _ = await enter(tenant, &visit)
        }
        return PageResponse.redirect("/dashboard?done=invitationAccepted")
    }

    private func switchTenant(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let answer = await enter(form.first("tenant_id") ?? "", &visit)
        guard answer.isSuccess else {
            return visit.page(.somethingIsWrong, .narrow, status: answer.pageStatus) {
                Components.heading(.of(.somethingIsWrong))
                Components.notice(answer.phrase, isGood: false)
                Markup(.p) { Markup(.a, .class("button"), .href("/dashboard"), text: .backToDashboard) }
            }
        }
        return PageResponse.redirect("/dashboard?done=tenantSwitched")
    }

    /// Goes on in another tenant: the visit has a new session of it.
    func enter(_ tenant: String, _ visit: inout Visit) async -> ConsoleAPI.Answer {
        let answer = await visit.call(.post, "/api/tenants/switch", ["tenant_id": .string(tenant)])
        if let session = ConsoleSession(answer.body) ?? ConsoleSession(answer.body?["session"]) {
            visit.session = session
        }
        return answer
    }
}
