// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What the tenant has.
extension Console {
    func dashboard(_ visit: inout Visit) async throws -> HTTPResponse {
        let profile = await visit.call(.get, "/api/user/profile").body?["profile"]
        let keys = await visit.call(.get, "/api/user/api-keys").body?["apiKeys"]?.arrayValue ?? []
        let user = await visit.call(.get, "/auth/v1/user").body
        let tenant = user?["app_metadata"]?["tenant_id"]?.stringValue ?? ""
        let layout = Layout(
            title: "Dashboard", visitor: Self.visitor(user, profile), path: "/dashboard", formToken: visit.formToken)
        return PageResponse.html(
            layout.page {
                Markup(.h1) { "Hello, \(Self.name(user, profile))" }
                Markup(.div, .class("grid")) {
                    Layout.section("home", "Your home") {
                        Markup(.dl) {
                            Markup(.dt) { "Account" }
                            Markup(.dd) { user?["email"]?.stringValue ?? "" }
                            Markup(.dt) { "User" }
                            Markup(.dd) { Markup(.code) { user?["id"]?.stringValue ?? "" } }
                            Markup(.dt) { "Tenant" }
                            Markup(.dd) { Markup(.code) { tenant } }
                            Markup(.dt) { "Plan" }
                            Markup(.dd) { profile?["subscription_tier"]?.stringValue ?? "free" }
                        }
                    }
                    Layout.section("usage", "This month") {
                        usage(profile)
                    }
                    Layout.section("keys", "API keys") {
                        if keys.isEmpty {
                            Markup(.p, .class("empty")) {
                                "No key yet. Keys of other services are sealed for your tenant and never shown again."
                            }
                        } else {
                            Markup(.ul, .class("plain")) {
                                for key in keys {
                                    Markup(.li) { Markup(.code) { key["service_name"]?.stringValue ?? "" } }
                                }
                            }
                        }
                        Markup(.p) { Markup(.a, .class("button quiet"), .href("/settings#keys")) { "Add a key" } }
                    }
                    services
                }
            })
    }

    private func usage(_ profile: JSON?) -> Markup {
        let used = profile?["api_usage_current"]?.intValue ?? 0
        let limit = max(1, profile?["api_usage_limit"]?.intValue ?? 1000)
        return Markup(.div) {
            Markup(.p, .class("figure")) { "\(used) of \(limit)" }
            Markup(.progress, .value("\(min(used, limit))"), .svg("max", "\(limit)"), .aria("label", "Used this month"))
            {
                "\(used * 100 / limit) %"
            }
            Markup(.p, .class("hint")) { "Calls of paid services count here, whoever of the tenant makes them." }
        }
    }

    static func name(_ user: JSON?, _ profile: JSON?) -> String {
        for name in [profile?["full_name"]?.stringValue, user?["user_metadata"]?["full_name"]?.stringValue] {
            if let name, !name.isEmpty { return name }
        }
        return user?["email"]?.stringValue ?? "visitor"
    }

    static func visitor(_ user: JSON?, _ profile: JSON?) -> Layout.Visitor {
        Layout.Visitor(email: user?["email"]?.stringValue ?? "", tenant: profile?["company_name"]?.stringValue)
    }
}
