// SPDX-License-Identifier: Apache-2.0
package import Cryptography
internal import HTTP
package import Platform
package import Postgres
package import Primitives

extension RESTConfiguration {
    /// What `[api]` and `[atoll.rest]` of a project's configuration say.
    package init(_ api: ProjectConfiguration.API, _ limits: ProjectConfiguration.Atoll.REST = .init()) {
        self.init()
        keyParameter = "apikey"
        preRequest = limits.preRequest
        transactionEnd =
            switch limits.transactionEnd {
            case .commit: .commit
            case .commitAllowingOverride: .commitAllowingOverride
            case .rollback: .rollback
            case .rollbackAllowingOverride: .rollbackAllowingOverride
            }
        allowsAggregates = limits.allowsAggregates
        showsPlans = limits.showsPlans
        showsTiming = limits.showsTiming
        showsErrorDetails = limits.errorVerbosity == .verbose
        description =
            switch limits.description {
            case .followingPrivileges: .followingPrivileges
            case .everything: .everything
            case .disabled: .disabled
            }
        maxBodyBytes = limits.maxBodyBytes
        maxQueryBytes = limits.maxQueryBytes
        maxTerms = limits.maxTerms
        maxHeldBytes = limits.maxHeldBytes
        settings = limits.settings.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        if !api.schemas.isEmpty { schemas = api.schemas }
        publicAddress = api.externalURL.map { "\($0.hasSuffix("/") ? String($0.dropLast()) : $0)/rest/v1" }
        extraSearchPath = api.extraSearchPath
        maxRows = api.maxRows
        servesTenantSchemas = !schemas.contains(Self.tenantProfile)
    }
}

extension RESTService {
    /// The service behind the platform's gateway: an API key, and a user's token beside it.
    ///
    /// - Parameter tenants: says which tenants have a schema of their own; nil where none has.
    package init(
        _ configuration: RESTConfiguration, database: Database, store: SchemaCacheStore, access: AccessControl,
        tenants: TenantDirectory? = nil, log: Log
    ) {
        self.init(configuration, database: database, store: store, tenants: tenants, log: log) { request in
            do throws(AccessError) {
                let principal = try access.principal(for: request)
                var identity = RESTIdentity(
                    role: principal.role.rawValue, claims: principal.claims, isAnonymous: principal.role == .anon,
                    principal: tenants == nil ? nil : principal)
                identity.sealed = principal.identity
                return identity
            } catch {
                switch error {
                case .invalidToken(let reason): throw RESTError(reason, partCount: Self.partCount(of: request))
                // Keys are the gateway's matter, and answered in its form.
                case .missingKey, .invalidKey, .roleNotAllowed: throw error
                }
            }
        }
    }

    private static func partCount(of request: HTTPRequest) -> Int {
        AccessControl.bearerToken(of: request)?.split(separator: ".", omittingEmptySubsequences: false).count ?? 0
    }
}

extension RESTError {
    /// The refusal of a token, in PostgREST's words.
    ///
    /// - Parameter partCount: how many parts, separated by dots, the token has.
    package init(_ error: JWTError, partCount: Int) {
        switch error {
        case .malformed where partCount == 0:
            self = .unauthorized(code: "PGRST301", message: "Empty JWT is sent in Authorization header")
        case .malformed where partCount != 3:
            self = .unauthorized(code: "PGRST301", message: "Expected 3 parts in JWT; got \(partCount)")
        case .unsupportedAlgorithm:
            self = .unauthorized(
                code: "PGRST301", message: "Wrong or unsupported encoding algorithm",
                details: "JWT is unsecured but expected 'alg' was not 'none'")
        case .expired: self = .unauthorized(code: "PGRST303", message: "JWT expired")
        case .notYetValid: self = .unauthorized(code: "PGRST303", message: "JWT not yet valid")
        case .issuedInFuture: self = .unauthorized(code: "PGRST303", message: "JWT issued at future")
        case .wrongAudience: self = .unauthorized(code: "PGRST303", message: "JWT not in audience")
        case .invalidClaim(let name):
            let type = name == "aud" ? "string or an array of strings" : "number"
            self = .unauthorized(code: "PGRST303", message: "The JWT '\(name)' claim must be a \(type)")
        case .unknownKey:
            self = .unauthorized(
                code: "PGRST301", message: "No suitable key or wrong key type",
                details: "No suitable key was found to decode the JWT")
        case .malformed, .tooLarge, .badSignature, .wrongIssuer:
            self = .unauthorized(
                code: "PGRST301", message: "No suitable key or wrong key type",
                details: "None of the keys was able to decode the JWT")
        }
    }
}
