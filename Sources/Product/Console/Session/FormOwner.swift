// SPDX-License-Identifier: Apache-2.0

/// Whose page a form stands in: the person who is signed in, and the tenant they work in. The form's token carries it, so that a form
/// of one tab is not taken for somebody, or for a tenant, that another tab has changed to meanwhile.
struct FormOwner: Sendable {
    let person: String
    /// Empty for none.
    let tenant: String

    init(_ person: Person) {
        self.person = person.id
        tenant = person.tenantID ?? ""
    }

    /// - Parameter token: of a form, which ends in the owner where its page had one.
    init?(token: String) {
        let parts = token.split(separator: ".", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let names = parts[1].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard names.count == 2, !names[0].isEmpty else { return nil }
        person = String(names[0])
        tenant = String(names[1])
    }

    var text: String { "\(person)/\(tenant)" }
}
