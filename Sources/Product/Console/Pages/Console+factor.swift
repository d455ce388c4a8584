// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The second factor at sign-in: a code of an authenticator app raises the session.
extension Console {
    func registerFactorChallenge(on router: inout Router) {
        router.on(.get, "/auth/mfa", open(factorPage))
        router.on(.post, "/auth/mfa", maxBodyBytes: Self.maxFormBytes, open(proveFactor))
    }

    private func factorPage(_ visit: inout Visit) async throws -> HTTPResponse {
        let next = Self.destination(visit.query.first("next"))
        guard let person = try await person(&visit) else {
            return PageResponse.redirect("/auth/signin?next=\(Self.encoded(next))")
        }
        guard person.hasVerifiedFactor, visit.session?.isSecondLevel == false else {
            return PageResponse.redirect(next)
        }
        return challengePage(visit, person, next: next)
    }

    private func challengePage(
        _ visit: Visit, _ person: Person, next: String, _ state: Form.State = .empty, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        // The navigation leads to pages that are not open yet.
        var visit = visit
        visit.signedIn = nil
        let factors = person.factors.filter(\.isVerified)
        return visit.page(.secondFactor, .narrow, status: status) {
            Components.heading(.of(.secondFactor), .of(.secondFactorText))
            if let problem = state.problem { Components.notice(problem, isGood: false) }
            Markup(.form, .method("post"), .action("/auth/mfa"), .class("card")) {
                Form.token(visit.formToken)
                Form.hidden("next", next)
                if factors.count > 1 {
                    Form.select(
                        "factor", .authenticator,
                        options: factors.map { ($0.id, .words($0.name.isEmpty ? $0.id : $0.name)) }, state: state)
                } else {
                    Form.hidden("factor", factors.first?.id ?? "")
                }
                Form.field("code", .code, .code, state: state, hint: .of(.codeHint))
                Form.button(.verify)
            }
            Markup(.form, .method("post"), .action("/auth/signout"), .class("centred")) {
                Form.token(visit.formToken)
                Markup(.button, .type("submit"), .class("link"), text: .signOut)
            }
        }
    }

    private func proveFactor(_ visit: inout Visit) async throws -> HTTPResponse {
        let form = try await forms.form(of: visit.request)
        let next = Self.destination(form.first("next"))
        guard let person = try await person(&visit) else {
            return PageResponse.redirect("/auth/signin?next=\(Self.encoded(next))")
        }
        let answer = await raise(&visit, factor: form.first("factor") ?? "", code: form.first("code") ?? "")
        guard answer.isSuccess else {
            return challengePage(
                visit, person, next: next, Form.State(errors: ["code": answer.phrase]), status: answer.pageStatus)
        }
        return PageResponse.redirect(next)
    }

    /// Challenges a factor and proves it with a code; the visit goes on in the raised session.
    func raise(_ visit: inout Visit, factor: String, code: String) async -> ConsoleAPI.Answer {
        let path = "/auth/v1/factors/\(Self.segment(factor))"
        let challenge = await visit.call(.post, "\(path)/challenge", [:])
        guard challenge.isSuccess, let id = challenge.body?["id"]?.stringValue else { return challenge }
        let answer = await visit.call(
            .post, "\(path)/verify",
            ["challenge_id": .string(id), "code": .string(code.filter { $0 != " " })])
        if answer.isSuccess, let session = ConsoleSession(answer.body) { visit.session = session }
        return answer
    }
}
