// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
package import HTTP
package import HTTPClient
package import Primitives

/// The identity services whose tokens a project takes (`[auth.third_party]`).
package struct ThirdPartyIssuers: Sendable {
    /// One service.
    package struct Service: Sendable {
        package var name: String
        /// The address below which its description is.
        package var url: String
        /// `aud` its tokens must hold; nil takes any.
        package var audience: String?

        package init(name: String, url: String, audience: String? = nil) {
            self.name = name
            self.url = url
            self.audience = audience
        }
    }

    private struct Source: Sendable {
        let service: Service
        let issuer: OpenIDIssuer
    }

    private let sources: [Source]
    private let access: AccessControl
    private let log: Log

    /// Makes the services known; until their keys are there none of their tokens is taken.
    package init(
        _ services: [Service], access: AccessControl, client: HTTPClient,
        limits: OpenIDIssuer.Limits = OpenIDIssuer.Limits(),
        log: Log
    ) {
        sources = services.map {
            Source(service: $0, issuer: OpenIDIssuer(url: $0.url, client: client, limits: limits))
        }
        self.access = access
        self.log = log
        for source in sources {
            access.keys.replace(
                IssuerKeys(url: source.issuer.url, checks: JWTChecks(issuer: source.issuer.url), keys: nil))
        }
    }

    package var isEmpty: Bool { sources.isEmpty }

    /// Between two looks at the services' keys while no token asks for any.
    private static let interval: Duration = .seconds(300)

    /// Keeps the keys current, so that no request waits for them, until it is cancelled.
    package func run() async throws {
        guard !isEmpty, let loop = Loop.current else { return }
        while true {
            for source in sources { await update(source, naming: nil) }
            try await loop.sleep(for: Self.interval)
        }
    }

    /// Fetches a service's keys before a request's token is verified that names one which is not known. To be called before
    /// every request; it does nothing for other tokens.
    package func prepare(for request: HTTPRequest) async {
        guard let token = AccessControl.bearerToken(of: request), let wanted = access.unknownKey(of: token),
            let source = sources.first(where: { $0.issuer.url == wanted.url })
        else { return }
        await update(source, naming: wanted.keyID)
    }

    private func update(_ source: Source, naming keyID: String?) async {
        let facts: OpenIDIssuer.Facts
        do { facts = try await source.issuer.facts(naming: keyID) } catch {
            log.warning(
                "third party keys not fetched", .field("service", source.service.name),
                .field("error", error.description))
            return
        }
        let checks = JWTChecks(
            issuer: facts.metadata.issuer, audiences: source.service.audience.map { [$0] })
        access.keys.replace(IssuerKeys(url: source.issuer.url, checks: checks, keys: facts.keys))
    }
}

extension ThirdPartyIssuers.Service {
    /// The services that a project takes tokens of.
    ///
    /// - Throws: ``ProjectError`` for one that is enabled and not described.
    package static func all(
        of configuration: ProjectConfiguration.Auth.ThirdParty
    ) throws(ProjectError) -> [ThirdPartyIssuers.Service] {
        var services: [ThirdPartyIssuers.Service] = []
        func add(
            _ name: String, _ isEnabled: Bool, _ keys: [(name: String, value: String)], url: String,
            audience: String? = nil
        ) throws(ProjectError) {
            guard isEnabled else { return }
            if let missing = keys.first(where: { $0.value.isEmpty }) {
                throw ProjectError(
                    "[auth.third_party.\(name)] is enabled without `\(missing.name)`",
                    next: "set it, or disable the service")
            }
            services.append(ThirdPartyIssuers.Service(name: name, url: url, audience: audience))
        }
        let firebase = configuration.firebase
        try add(
            "firebase", firebase.enabled, [("project_id", firebase.projectID)],
            url: "https://securetoken.google.com/\(firebase.projectID)", audience: firebase.projectID)
        let auth0 = configuration.auth0
        let region = auth0.tenantRegion.isEmpty ? "" : ".\(auth0.tenantRegion)"
        try add("auth0", auth0.enabled, [("tenant", auth0.tenant)], url: "https://\(auth0.tenant)\(region).auth0.com")
        let cognito = configuration.cognito
        try add(
            "aws_cognito", cognito.enabled,
            [("user_pool_id", cognito.userPoolID), ("user_pool_region", cognito.userPoolRegion)],
            url: "https://cognito-idp.\(cognito.userPoolRegion).amazonaws.com/\(cognito.userPoolID)")
        let clerk = configuration.clerk
        try add("clerk", clerk.enabled, [("domain", clerk.domain)], url: "https://\(clerk.domain)")
        let workOS = configuration.workOS
        try add("workos", workOS.enabled, [("issuer_url", workOS.issuerURL)], url: workOS.issuerURL)
        return services
    }
}
