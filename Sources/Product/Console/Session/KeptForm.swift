// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// A form that cannot be taken as things are, though its browser was given it here: nothing of it is done, and a page keeps what was
/// typed until it is sent again.
struct KeptForm: Error {
    enum Obstacle: Sendable {
        /// Nobody is signed in any more, or not with both factors: the page where that is mended.
        case signedOut(signIn: String)
        /// The person works in another tenant now than when the form was loaded.
        case otherTenant(Person.Tenant)
    }

    let obstacle: Obstacle
    /// Where the form goes.
    let action: String
    let fields: [(name: String, value: String)]

    /// - Returns: Nil for what is no form of a page, and for one that holds a secret, which no page sends back, or nothing at all.
    init?(_ obstacle: Obstacle, _ fields: FormFields, of request: HTTPRequest) {
        // Scripts see a redirect in place of what they asked for, and load the page anew.
        let mode = request.headers["sec-fetch-mode"] ?? "navigate"
        let kept = fields.all.filter { $0.name != FormGuard.fieldName && !$0.value.isEmpty }
        guard mode == "navigate", !kept.isEmpty, !kept.contains(where: { Self.isSecret($0.name, on: request.path) })
        else { return nil }
        self.obstacle = obstacle
        action = request.query.map { "\(request.path)?\($0)" } ?? request.path
        self.fields = fields.all
    }

    private static func isSecret(_ name: String, on path: String) -> Bool {
        let secrets = ["password", "current_password", "nonce", "code", "api_key", KeyCeremony.answerField]
        return secrets.contains(name) || path.hasPrefix("/setup/") && name.hasPrefix(Console.setupKeyPrefix)
    }
}

extension Visit {
    /// The form of this visit, read and checked.
    ///
    /// - Parameter ofTenant: whether what it does concerns the tenant that its page showed.
    /// - Throws: as ``FormGuard/form(of:)``; ``KeptForm`` when the visitor works in another tenant now; 409 when somebody else is
    ///   signed in.
    func form(ofTenant: Bool = true) async throws -> FormFields {
        let fields = try await forms.form(of: request)
        try checkOwner(of: fields, ofTenant: ofTenant)
        return fields
    }

    /// As ``form(ofTenant:)``, of a file, whose form has its token in the address.
    func upload() async throws -> [UInt8] {
        let body = try await forms.upload(of: request)
        try checkOwner(of: query, ofTenant: false)
        return body
    }

    private func checkOwner(of fields: FormFields, ofTenant: Bool) throws {
        guard let person = signedIn, let owner = FormOwner(token: fields.first(FormGuard.fieldName) ?? "") else {
            return
        }
        guard owner.person == person.id else { throw PageRefusal(.conflict, .formOfOtherPerson) }
        guard ofTenant, owner.tenant != person.tenantID ?? "" else { return }
        guard let tenant = person.tenants.first(where: { $0.id == owner.tenant }),
            let kept = KeptForm(.otherTenant(tenant), fields, of: request)
        else { throw PageRefusal(.conflict, .formOfOtherTenant) }
        throw kept
    }

    /// Leads to where one signs in, and back; a form that was under way is kept meanwhile.
    ///
    /// - Parameters:
    ///   - path: of the page to sign in on.
    ///   - home: where that page leads for whoever has a form to go back to.
    func signInFirst(at path: String, home: String = "/dashboard") async -> HTTPResponse {
        if request.method == .post, let fields = try? await forms.form(of: request) {
            let signIn = "\(path)?next=\(Console.encoded("\(home)?done=\(Message.signedInAgain)"))"
            if let kept = KeptForm(.signedOut(signIn: signIn), fields, of: request) { return page(of: kept) }
        }
        return PageResponse.redirect("\(path)?next=\(Console.encoded(returnAddress))")
    }

    /// Where to come back to after signing in: the page with its query, or for a form the page it was sent from.
    private var returnAddress: String {
        guard request.method != .get else { return request.query.map { "\(request.path)?\($0)" } ?? request.path }
        return sender ?? "/dashboard"
    }

    /// The page of this server that a form was sent from, as far as the browser tells.
    var sender: String? {
        guard let referer = request.headers["referer"], let host = request.headers["host"],
            let start = referer.firstRange(of: "://\(host)/")
        else { return nil }
        return Console.destination("/\(referer[start.upperBound...].prefix { $0 != "#" })")
    }

    // MARK: The page

    /// The page with a kept form and the way to send it again.
    func page(of kept: KeptForm) -> HTTPResponse {
        var visit = self
        visit.widget = nil
        switch kept.obstacle {
        case .signedOut(let signIn):
            return visit.page(.notSentYet, .narrow, status: .unauthorized) {
                Components.heading(.of(.notSentYet))
                Components.notice(.of(.signedOutMeanwhile), isGood: false)
                Markup(.div, .class("card")) {
                    Markup(.p, text: .signInBesideText)
                    Markup(.p, .class("actions")) {
                        Markup(.a, .class("button"), .href(signIn), .opensTab(), text: .signInBeside)
                    }
                    visit.again(kept)
                }
            }
        case .otherTenant(let tenant):
            return visit.page(.notSentYet, .narrow, status: .conflict) {
                Components.heading(.of(.notSentYet))
                Components.notice(
                    .of(.otherTenantMeanwhile, visit.signedIn?.tenantName ?? "", tenant.name), isGood: false)
                Markup(.div, .class("card")) {
                    Markup(.p, text: .switchBesideText)
                    Markup(.form, .method("post"), .action("/tenant/switch"), .opensTab(), .class("kept")) {
                        Form.token(formToken)
                        Form.hidden("tenant_id", tenant.id)
                        Form.button(.switchBeside)
                    }
                    visit.again(kept)
                }
            }
        }
    }

    /// The form once more, for the one it was of.
    private func again(_ kept: KeptForm) -> Markup {
        Markup(.form, .method("post"), .action(kept.action), .class("kept")) {
            for field in kept.fields { Form.hidden(field.name, field.value) }
            Form.button(.sendAgain, "quiet")
        }
    }
}
